"""`manage.py sealed_rewrap`: wrap every data key for the executor's next key. Plans, digests and signatures stay as they are."""

from __future__ import annotations

import argparse
import base64
import json
import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.utils import timezone

from approvals import sealing
from approvals.errors import BadSealingKey, CountersignError
from approvals.models import SealedKey
from executor import opening

EPILOG = """\
example:
  COUNTERSIGN_PROCESS=execution COUNTERSIGN_OPENING_KEY=old.pem,new.pem manage.py sealed_rewrap --to new-public.pem

How a key is changed: give the execution process both keys (COUNTERSIGN_OPENING_KEY=NEW,OLD); give the web process the new public
key; run this; when it says that nothing is left under another key, take the old key away.

exit status: 0 every data key is wrapped for the new key; 1 some are not and are named; 2 the environment.
"""
# Seconds before, and between, two lines of progress on a terminal.
QUIET, OFTEN = 2.0, 0.5


class Command(BaseCommand):
    """Opens with the execution process's keys, one row at a time; what is done already is passed over, so it may be repeated."""

    help = "Wrap the data keys of sealed values for another public key of the executor."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(
            prog_name, subcommand, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter, **kwargs
        )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--to", type=Path, required=True, metavar="FILE", help="the new public key, PEM")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_: Any, **options: Any) -> None:
        key = _public(options["to"])
        done, failed = 0, dict[str, str]()
        begun = said = time.monotonic()
        try:
            left = SealedKey.objects.exclude(fingerprint=key.fingerprint)
            for row in left.iterator(chunk_size=500):
                try:
                    done += _rewrap(row, key)
                except CountersignError as error:
                    failed[str(row.pk)] = str(error)
                now = time.monotonic()
                if self.stderr.isatty() and now - begun > QUIET and now - said > OFTEN:
                    self.stderr.write(f"\r{done} data keys …", ending="")
                    said = now
        except DatabaseError as error:
            raise CommandError(f"The database could not be read or written: {error}", returncode=2) from error
        self._tell(key, done, failed, as_json=options["json"])
        if failed:
            raise SystemExit(1)

    def _tell(self, key: sealing.SealingKey, done: int, failed: dict[str, str], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps({"fingerprint": key.fingerprint, "rewrapped": done, "failed": failed}, sort_keys=True))
            return
        for pk, why in failed.items():
            self.stderr.write(f"{pk}: {why}")
        left = f"{len(failed)} could not be opened and stay as they were." if failed else "Nothing is left under another key."
        self.stdout.write(f"{done} data keys are wrapped for {key.fingerprint[:16]}… now. {left}")


def _public(path: Path) -> sealing.SealingKey:
    try:
        return sealing.sealing_key(path.read_text("ascii"))
    except (OSError, ValueError) as error:
        raise CommandError(f"{path} cannot be read as a PEM file.", returncode=2) from error
    except BadSealingKey as error:
        raise CommandError(f"{path} does not do. {error}", returncode=2) from error


def _rewrap(row: SealedKey, key: sealing.SealingKey) -> int:
    """One, or none when somebody else changed the row meanwhile. Raises CannotOpen, AwsError."""
    wrapped = base64.b64encode(key.wrap(opening.data_key(row))).decode("ascii")
    same = SealedKey.objects.filter(pk=row.pk, wrapped=row.wrapped)
    return same.update(wrapped=wrapped, fingerprint=key.fingerprint, rewrapped_at=timezone.now())
