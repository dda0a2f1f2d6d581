"""`manage.py claims_verify`: compare the claims outside the database with the database."""

from __future__ import annotations

import argparse
import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from executor import outside
from executor.errors import AwsError
from executor.outside import Bucket

EPILOG = """\
What is looked for: an attempt whose claim is not there; a claim without an attempt (the database was restored from a backup, rows
were taken away, or a worker was lost between its claim and its call); a claim of another attempt than its key says; a claim that
was deleted or replaced; a claim that saw another audit trail than this one, for each carries the trail's head of its time.

example:
  COUNTERSIGN_PROCESS=execution manage.py claims_verify   (with the environment of the execution process)

exit status: 0 everything fits; 1 something does not and is named; 2 the environment, the database or S3.
"""


class Command(BaseCommand):
    """Reads everything, changes nothing."""

    help = "Compare the claims outside the database with its attempts and its audit trail."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(
            prog_name, subcommand, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter, **kwargs
        )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_: Any, **options: Any) -> None:
        if not settings.CLAIMS_BUCKET:
            raise CommandError("No bucket of claims is configured: set COUNTERSIGN_CLAIMS_BUCKET.", returncode=2)
        try:
            found = outside.compare(Bucket(settings.CLAIMS_BUCKET, settings.HOME_REGION))
        except AwsError as error:
            raise CommandError(f"The bucket {settings.CLAIMS_BUCKET} could not be read: {error}", returncode=2) from error
        except DatabaseError as error:
            raise CommandError(f"The database could not be read: {error}", returncode=2) from error
        if options["json"]:
            counts = {"attempts": found.attempts, "claims": found.claims, "unclaimed": found.unclaimed}
            self.stdout.write(json.dumps({"holds": found.holds, **counts, "faults": found.faults}))
        else:
            for fault in found.faults:
                self.stdout.write(fault)
            if found.unclaimed:
                self.stdout.write(f"{found.unclaimed} attempts were made without a claim outside: claims were switched off then.")
            if found.holds:
                self.stdout.write(f"Outside and inside say the same: {found.claims} claims, {found.attempts} attempts.")
        if not found.holds:
            raise CommandError(f"The claims outside do not fit: {len(found.faults)} finding(s).", returncode=1)
