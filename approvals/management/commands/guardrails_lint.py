"""`manage.py guardrails_lint`: what is wrong with a guardrails file before anybody signs it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from approvals import lint
from approvals.errors import BadGuardrailFile
from approvals.management import surroundings
from approvals.management.surroundings import count
from approvals.operations import words
from approvals.policies.reading import dotted

UNREADABLE: Final = "unreadable"


class Command(BaseCommand):
    """Works with the file alone; with a manifest or a database it also knows accounts, persons, groups and grants."""

    help = (
        "Say what is wrong with a guardrails file: fields that cannot be read (with line and field), quorums out of reach, "
        "nobody left when somebody asks, rules that another one makes superfluous, operations, accounts, regions, ARNs, groups, "
        "families and parameters that nothing known matches. With DATABASE_URL, or --manifest, persons and grants are looked at "
        "too.\n\n"
        "Example: manage.py guardrails_lint guardrails.yaml --manifest genesis.yaml\n\n"
        "Exit status: 0 nothing found, 1 something is wrong, 2 usage, file or database."
    )

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=argparse.RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        surroundings.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            file = surroundings.read_file(options["file"])
        except BadGuardrailFile as error:
            rows = [
                {"kind": UNREADABLE, "guardrail": None, "line": one.line, "field": one.field, "says": one.said}
                for one in error.problems
            ]
            surroundings.tell(self.stdout, _lines(options, rows, None, "none"))
            said = f"{options['file']} cannot be used; {count(len(rows), 'place')} must be mended."
            raise CommandError(said, returncode=1) from error
        world = surroundings.world(options["manifest"])
        rows = [
            {
                "kind": str(one.kind),
                "guardrail": one.guardrail,
                "line": file.line(one.index, one.path),
                "field": dotted(one.path),
                "says": one.said,
            }
            for one in lint.check(file.rules, world.around, timezone.now())
        ]
        surroundings.tell(self.stdout, _lines(options, rows, len(file.rules), world.source))
        if rows:
            raise CommandError(f"{count(len(rows), 'finding')} in {count(len(file.rules), 'guardrail')}.", returncode=1)


def _lines(options: dict[str, Any], rows: list[dict[str, Any]], guardrails: int | None, source: str) -> Iterator[str]:
    """What is printed: one JSON object, or a line a finding. `guardrails` is None where the file could not be read."""
    if options["json"]:
        whole = {"file": options["file"], "guardrails": guardrails, "surroundings": source, "findings": rows}
        yield json.dumps(whole, ensure_ascii=True)
        return
    for row in rows:
        whose = f" guardrail {row['guardrail']}," if row["guardrail"] else ""
        field = f" {row['field']}:" if row["field"] else ""
        yield words.visible(f"{options['file']}:{row['line']}: {row['kind']}:{whose}{field} {row['says']}")
    if guardrails is not None and not rows:
        yield f"{count(guardrails, 'guardrail')}, nothing found.{_NOT_KNOWN if source == 'none' else ''}"


_NOT_KNOWN: Final = " Accounts, persons and grants are not known: set DATABASE_URL, or name a --manifest."
