"""`manage.py guardrails_apply FILE`: propose a change of authority with the guardrails of a file that differ."""

from __future__ import annotations

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.urls import reverse

from approvals import changes
from approvals.errors import BadChange, BadGuardrailFile, CountersignError
from approvals.management import surroundings
from approvals.management.addresses import origin
from approvals.management.surroundings import count
from approvals.models import AuthorityChange, Guardrail, GuardrailVersion, Person
from approvals.operations import words
from approvals.policies import Rules


class Command(BaseCommand):
    """Runs with a database role that may propose: the web process's, or the owner's."""

    help = (
        "Propose one change of authority with every guardrail of the file that differs from what holds. Nothing is changed by "
        "it: administrators read the proposal and sign it. A guardrail that the file does not name stays as it is.\n\n"
        "Nobody may review yet under a guardrail that is new: name the groups with --reviewers, and the same change gives them "
        "the right.\n\n"
        'Example: manage.py guardrails_apply guardrails.yaml --as dana --reason "OPS-17: tables of the shop" '
        "--reviewers Approvers\n\n"
        "Exit status: 0 proposed, or nothing differs; 1 the file or the proposal is wrong; 2 usage or database."
    )

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=argparse.RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="a guardrails file, see docs/guardrails.md; - is standard input")
        parser.add_argument("--as", dest="handle", required=True, metavar="HANDLE", help="the person who proposes it")
        parser.add_argument("--reason", required=True, metavar="TEXT", help="why; whoever signs reads it first")
        parser.add_argument(
            "--reviewers",
            action="append",
            default=[],
            metavar="GROUP",
            help="a group that may review under what is new in the file; may be given several times",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            file = surroundings.read_file(options["file"])
        except BadGuardrailFile as error:
            self._tell(options, None, [], [str(one) for one in error.problems])
            raise CommandError(
                f"{count(len(error.problems), 'place')} must be mended. Nothing was proposed.", returncode=1
            ) from error
        try:
            person = Person.objects.filter(handle=options["handle"]).first()
            if person is None:
                raise CommandError(f"There is no person {options['handle']!r}. Name one by his handle.", returncode=2)
            differing = _differing(file.rules)
            change = _propose(person, differing, options["reason"], options["reviewers"]) if differing else None
        except CountersignError as error:
            self._tell(options, None, [], [str(error)])
            raise CommandError("Nothing was proposed.", returncode=1) from error
        except DatabaseError as error:
            raise CommandError(f"The database cannot be used: {error}. Set DATABASE_URL.", returncode=2) from error
        self._tell(options, change, [one.name for one in differing], [])

    def _tell(self, options: dict[str, Any], change: AuthorityChange | None, differing: list[str], problems: list[str]) -> None:
        if options["json"]:
            said = {
                "file": options["file"],
                "change": str(change.pk) if change else None,
                "digest": change.digest if change else None,
                "guardrails": differing,
                "problems": problems,
            }
            surroundings.tell(self.stdout, [json.dumps(said, ensure_ascii=True)])
            return
        lines = [words.visible(problem) for problem in problems]
        if change is not None:
            lines += [
                f"Proposed as change {change.reference}: {count(len(differing), 'guardrail')} ({', '.join(differing)}).",
                f"Digest: {change.digest}",
                f"{origin()}{reverse('admin:approvals_authoritychange_change', args=[change.pk])}",
            ]
        elif not problems:
            lines.append("Nothing differs: every guardrail of the file says what holds already.")
        surroundings.tell(self.stdout, lines)


def _differing(wanted: tuple[Rules, ...]) -> list[Rules]:
    """Those of the file's guardrails whose newest version says something else, or that there are none of."""
    current = GuardrailVersion.objects.current().select_related("guardrail")
    texts = {version.guardrail.name: version.text for version in current}
    return [rules for rules in wanted if texts.get(rules.name) != rules.text()]


def _propose(person: Person, differing: list[Rules], reason: str, reviewers: list[str]) -> AuthorityChange:
    edits: list[dict[str, Any]] = [{"edit": "put_guardrail", "rules": json.loads(rules.text())} for rules in differing]
    known = set(Guardrail.objects.values_list("name", flat=True))
    new = [rules.name for rules in differing if rules.name not in known]
    edits += [{"edit": "grant", "guardrail": name, "group": group} for name in new for group in reviewers]
    try:
        return changes.propose(person, edits, reason=reason)
    except BadChange as error:
        if new and not reviewers:
            raise BadChange(f"{error} Nobody may review yet under what is new ({', '.join(new)}): name --reviewers.") from error
        raise
