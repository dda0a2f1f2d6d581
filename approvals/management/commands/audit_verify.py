"""`manage.py audit_verify`: prove that nothing in the audit trail was altered."""

from __future__ import annotations

import argparse
import json
import re
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from approvals import audit


class Command(BaseCommand):
    """Walks every link from the beginning."""

    help = (
        "Verify every link of the audit trail and name each that does not hold: edited, deleted, inserted or re-ordered entries, "
        "and a head that does not fit. The chain alone cannot show that all of it was written anew: compare the printed head "
        "with one that you keep elsewhere (--head).\n\n"
        "Example: manage.py audit_verify --head 5c1d…9f   (the hash that an earlier run printed)\n\n"
        "Exit status: 0 every link holds, 1 a link does not, 2 usage or environment."
    )

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=argparse.RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--head", type=_hash, metavar="HASH", help="a hash kept from an earlier run; the chain must still contain it"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found = audit.verify(kept_head=options["head"])
        except DatabaseError as error:
            raise CommandError(f"The database could not be read: {error}", returncode=2) from error
        if options["json"]:
            faults = [{"sequence": fault.sequence, "what": fault.what} for fault in found.faults]
            self.stdout.write(json.dumps({"holds": found.holds, "links": found.links, "head": found.head, "faults": faults}))
        elif found.holds:
            self.stdout.write(f"Every link holds: {found.links} entries. Head: {found.head}")
        else:
            for fault in found.faults:
                self.stdout.write(f"Entry #{fault.sequence}: {fault.what}.")
        if not found.holds:
            raise CommandError(f"The audit trail does not hold: {len(found.faults)} fault(s).", returncode=1)


def _hash(text: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no hash; give the 64 hexadecimal digits that an earlier run printed")
    return text
