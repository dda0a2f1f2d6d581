"""`manage.py guardrails_replay`: a draft of guardrails over recorded events, before anybody signs it."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from approvals.errors import BadGuardrailFile
from approvals.explanation import ASSUMED
from approvals.management import surroundings
from approvals.management.exporting import counted
from approvals.management.records import explained
from approvals.management.surroundings import World, count
from approvals.operations import words
from approvals.policies import Mode
from approvals.policies.files import GuardrailFile
from approvals.replay import Gate, Judged, Replay, Summary, Tally

# A sentence names this many of several.
_NAMED: Final = 5


class Command(BaseCommand):
    """Works with the file and the events alone; a manifest or a database adds persons, grants and today's guardrails."""

    help = (
        "Hold a guardrails file against recorded CloudTrail events, as if it were all the guardrails there are: what each would "
        "gate, who would decide, whose quorum is out of reach, and what today's guardrails gate that the draft would not. An "
        "event counts as gated whether it was denied or went through. Reads the same files as trail_explain. With DATABASE_URL, "
        "or --manifest, persons, grants and today's guardrails are known.\n\n"
        "Example: manage.py guardrails_replay guardrails.yaml logs/*.json.gz --summary\n\n"
        "Exit status: 0 nothing found, 1 a gate is lost, a quorum out of reach, or a record or the file cannot be read, "
        "2 usage, file or database."
    )

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=argparse.RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        surroundings.add_arguments(parser)
        parser.add_argument(
            "events", nargs="*", metavar="EVENTS", help="files of CloudTrail records; - or none is standard input"
        )
        parser.add_argument("--summary", action="store_true", help="print the counts alone, not each event")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["file"] == "-":
            raise CommandError("The events may come from standard input, the guardrails file may not: name it.", returncode=2)
        try:
            file = surroundings.read_file(options["file"])
        except BadGuardrailFile as error:
            raise CommandError(f"{options['file']} cannot be used:\n{error}", returncode=1) from error
        world = surroundings.world(options["manifest"])
        summary = Summary(file.rules)
        surroundings.tell(self.stdout, self._lines(file, world, summary, options))
        if summary.findings:
            said = f"{count(summary.lost, 'event')} would lose their gate" if summary.lost else "no gate is lost"
            far = sum(tally.unreachable.total() for tally in summary.tallies.values())
            unread = f"; {count(len(summary.unreadable), 'record')} could not be read" if summary.unreadable else ""
            raise CommandError(f"{said}; {far:,} times the quorum is out of reach{unread}.", returncode=1)

    def _lines(self, file: GuardrailFile, world: World, summary: Summary, options: dict[str, Any]) -> Iterator[str]:
        replay = Replay(file.rules, world.current, world.around, roles=world.roles, who=world.who)
        for found in counted(explained(options["events"], ASSUMED), "records", self.stderr):
            judged = replay.judge(found)
            summary.add(found, judged)
            if judged is not None and not options["summary"]:
                yield json.dumps(judged.as_json(), ensure_ascii=True) if options["json"] else words.visible(_in_words(judged))
        if options["json"] and options["summary"]:
            yield json.dumps(summary.as_json() | {"surroundings": world.source}, ensure_ascii=True)
        elif not options["json"]:
            yield from _summary(summary, world)


def _in_words(judged: Judged) -> str:
    """One event in a line."""
    who = judged.requester or judged.event.caller.arn or judged.event.caller.type
    what = f"{judged.place}: {judged.operation.full_name} by {who}, {judged.event.outcome}"
    gates = "; ".join(_gate(gate) for gate in judged.gates) or "no guardrail of the draft"
    lost = f"; today gated by {', '.join(judged.today)}" if judged.lost else ""
    return f"{what}  ->  {gates}{lost}"


def _gate(gate: Gate) -> str:
    if gate.deciders is None:
        return f"{gate.rules.name} asks for {gate.need}"
    by = f"of {_some(gate.deciders)}" if gate.deciders else "and nobody may approve"
    return f"{gate.rules.name} asks for {gate.need} {by}{' (out of reach)' if gate.lacking else ''}"


def _summary(summary: Summary, world: World) -> Iterator[str]:
    yield f"{count(summary.records, 'record')}, {summary.gated:,} of them gated by the draft."
    for tally in summary.tallies.values():
        yield from _tally(tally)
    if world.current is None:
        yield "Today's guardrails and grants are not known: set DATABASE_URL, or name a --manifest."
        return
    yield f"Gated today and not by the draft: {count(summary.lost, 'event')}."
    for (name, operation), number in summary.lost_by.most_common():
        yield words.visible(f"    {number:7,}  {operation} by {name}")


def _tally(tally: Tally) -> Iterator[str]:
    would = "would gate" if tally.rules.mode is Mode.ENFORCE else "would record"
    yield f"Guardrail {tally.rules.name} {would} {count(tally.events, 'event')}{_counts(tally.outcomes)}."
    if not tally.events:
        return
    yield f"    operations: {_most(tally.operations)}"
    nobody = f"{', ' if tally.requesters else ''}nobody who is mapped {tally.unmapped:,}" if tally.unmapped else ""
    yield words.visible(f"    asked for by: {_most(tally.requesters)}{nobody}")
    if tally.deciders is not None:
        yield f"    decided by: {_some(sorted(tally.deciders)) or 'nobody, no active person holds the right'}"
    elif tally.events:
        yield "    decided by: not known, there are no grants on it"
    for lacking, number in tally.unreachable.most_common():
        yield f"    out of reach for {count(number, 'event')}: it {lacking}"


def _counts(counter: Counter[str]) -> str:
    return f" ({', '.join(f'{number:,} {name}' for name, number in counter.most_common())})" if counter else ""


def _most(counter: Counter[str]) -> str:
    said = ", ".join(f"{name} {number:,}" for name, number in counter.most_common(_NAMED))
    return said + (f" and {len(counter) - _NAMED} more" if len(counter) > _NAMED else "")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
