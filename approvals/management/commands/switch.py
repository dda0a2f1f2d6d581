"""`manage.py switch`: whether executions are paused, since when, by whom and why."""

from __future__ import annotations

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from approvals import statements


class Command(BaseCommand):
    """Reads the tables. What a claim rests on, the executor verifies from signatures."""

    help = (
        "Say whether executions are paused: since when, by whom, why, and how many have signed that they go on. Pausing and "
        "resuming are signed with a passkey, in the portal (Statements); no command can do either.\n\n"
        "Example: manage.py switch --json\n\n"
        "Exit status: 0 not paused, 1 paused, 2 usage or database."
    )

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=argparse.RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="for a machine: {paused: [...], resuming: [...]}")

    def handle(self, *args: Any, **options: Any) -> None:
        holding, resuming = statements.in_force(), statements.waiting_to_resume()
        if options["json"]:
            rows = {
                "paused": [_row(one) for one in holding],
                "resuming": [{**_row(one), "signed": len(statements.counted_signers(one))} for one in resuming],
            }
            self.stdout.write(json.dumps(rows, ensure_ascii=True))
        elif not holding:
            self.stdout.write("Executions are not paused.")
        else:
            for one in holding:
                self.stdout.write(f"{statements.PAUSED} {statements.words_of(one)}")
            for one in resuming:
                signed = len(statements.counted_signers(one))
                self.stdout.write(
                    f"Resuming {one.reference}, by {one.proposer.handle}: {signed} of 2 administrators have signed."
                )
        if holding:
            raise CommandError(f"{len(holding)} pause{'s' if len(holding) > 1 else ''} in force.", returncode=1)


def _row(statement: Any) -> dict[str, Any]:
    return {
        "statement": str(statement.pk),
        "by": statement.proposer.handle,
        "at": statement.created_at.isoformat(),
        "digest": statement.digest,
    }
