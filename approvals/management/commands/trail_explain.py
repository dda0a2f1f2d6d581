"""`manage.py trail_explain`: what CloudTrail records are, and what would become of each."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from approvals import explanation, genesis, watch
from approvals.errors import CountersignError
from approvals.explanation import Becomes, Explanation, Setting
from approvals.management.records import explained
from approvals.operations import iam, words
from approvals.plan import Step
from approvals.states import Completeness


class Command(BaseCommand):
    """Needs no database: guardrails, where they matter, come from a genesis manifest."""

    help = (
        "Read CloudTrail records and print for each what it is and what would become of it: a request (a person completes it "
        "where CloudTrail recorded too little), a proof, an alert, or nothing. Reads JSON, JSON lines (bare records, "
        '{"record": ...}, {"Records": [...]}, EventBridge envelopes), gzip, and standard input. Without --manifest a record is '
        "judged as if a guardrail protected every operation that changes something.\n\n"
        "Example: aws s3 cp s3://trail/…/file.json.gz - | manage.py trail_explain --json\n\n"
        "Exit status: 0 all read, 1 something was no CloudTrail record (it is said where), 2 usage or file."
    )

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=argparse.RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="*", metavar="FILE", help="files to read; - or none is standard input")
        parser.add_argument("--json", action="store_true", help="print one JSON object a line, see docs/trail-explain.md")
        parser.add_argument("--summary", action="store_true", help="print counts and shares instead of each record")
        parser.add_argument(
            "--manifest", type=Path, metavar="FILE", help="judge by the accounts and guardrails of this genesis manifest"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        setting = _setting(options["manifest"]) if options["manifest"] else explanation.ASSUMED
        summary = Summary()
        try:
            for found in explained(options["files"], setting):
                summary.add(found)
                if options["json"] and not options["summary"]:
                    self.stdout.write(json.dumps(found.as_json(), ensure_ascii=True))
                elif not options["summary"]:
                    self.stdout.write(in_words(found))
            if options["summary"]:
                self.stdout.write(json.dumps(summary.as_json(), ensure_ascii=True) if options["json"] else summary.in_words())
        except BrokenPipeError:
            # The reader has had enough (`| head`); that is no fault, and Python must not complain at its exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return
        if summary.unread:
            places = "; ".join(summary.unread[:5])
            raise CommandError(f"{len(summary.unread)} of {summary.seen} were no CloudTrail record: {places}", returncode=1)


def _setting(path: Path) -> Setting:
    try:
        manifest = genesis.read(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, CountersignError) as error:
        raise CommandError(f"The manifest {path} cannot be used: {error}", returncode=2) from error

    roles = {account["id"]: account["executor_role_arn"] for account in manifest.accounts}
    return Setting(watch.over(manifest.guardrails), roles)


def in_words(found: Explanation) -> str:
    """One record in two or three lines for a person."""
    event, operation = found.event, found.operation
    if event is None:
        return f"{found.place}: no CloudTrail record. {words.visible(found.why)}"
    caller = words.visible(event.caller.human or event.caller.arn or event.caller.type)
    what = operation.full_name if operation else f"{event.event_source} {event.event_name}"
    lines = [f"{event.event_id}  {words.visible(what)}  {event.outcome}  by {caller}  ->  {found.becomes}"]
    if operation is not None and found.has_parameters:
        step = Step(operation.service, operation.name, found.conversion.parameters)
        lines.append(f"    {words.sentence(step, f'{event.account}, {event.region}')}")
    lines.append(f"    {found.conversion.completeness}: {words.visible(found.conversion.why)}")
    if found.fragment:
        lines.append(f"    A fragment; the feed would keep it in quarantine. {words.visible(found.fragment)}")
    if found.becomes is not Becomes.REQUEST:
        lines.append(f"    {words.visible(found.why)}")
    return "\n".join(lines)


class Summary:
    """Counts of what was read, by outcome, completeness, fate and cause."""

    def __init__(self) -> None:
        self.seen = 0
        self.unread: list[str] = []
        self.fragments = 0
        self.outcomes: Counter[str] = Counter()
        self.becomes: Counter[str] = Counter()
        self.completeness: Counter[str] = Counter()
        self.writes: Counter[str] = Counter()
        self.causes: Counter[str] = Counter()
        self.told = 0

    def add(self, found: Explanation) -> None:
        """Count one."""
        self.seen += 1
        if found.event is None:
            self.unread.append(found.place)
            return
        self.fragments += bool(found.fragment)
        self.outcomes[str(found.event.outcome)] += 1
        self.becomes[str(found.becomes)] += 1
        self.completeness[str(found.conversion.completeness)] += 1
        if found.operation is None:
            self.writes["of no public API"] += 1
        elif iam.only_reads(found.operation) and not found.operation.facts.curated:
            self.writes["reading"] += 1
        elif found.event.request_parameters is None:
            self.writes["changing, recorded without parameters"] += 1
        else:
            clean = found.clean
            self.writes["changing, converted cleanly" if clean else "changing, not converted cleanly"] += 1
            self.told += found.told
            if not clean:
                what = ", ".join(found.conversion.unknown) or found.conversion.why
                self.causes[f"{found.operation.full_name}: {what}"] += 1

    def as_json(self) -> dict[str, Any]:
        """The counts as one object; the shares are of the records that change something and came with parameters."""
        return {
            "records": self.seen - len(self.unread),
            "unreadable": len(self.unread),
            "fragments": self.fragments,
            "outcomes": dict(self.outcomes),
            "becomes": dict(self.becomes),
            "completeness": {str(one): self.completeness[str(one)] for one in Completeness},
            "kinds": dict(self.writes),
            "clean_share": self.clean_share,
            "told_share": self.told_share,
            "causes": dict(self.causes.most_common()),
        }

    @property
    def clean_share(self) -> float | None:
        """How many of the changing records with parameters convert with no unknown key and fit their operation; None of none."""
        return self.writes["changing, converted cleanly"] / self._converted if self._converted else None

    @property
    def told_share(self) -> float | None:
        """The same with those that lack nothing but members that the record does not show and that are named as missing."""
        return self.told / self._converted if self._converted else None

    @property
    def _converted(self) -> int:
        return self.writes["changing, converted cleanly"] + self.writes["changing, not converted cleanly"]

    def in_words(self) -> str:
        """The counts as a table for a person."""
        lines = [f"{self.seen - len(self.unread)} records, {self.fragments} of them fragments, {len(self.unread)} unreadable"]
        for title, counts in (
            ("outcome", self.outcomes),
            ("kind", self.writes),
            ("completeness", self.completeness),
            ("becomes", self.becomes),
        ):
            total = sum(counts.values())
            lines += [f"  {title:13} {name:42} {count:7}  {count / total:6.1%}" for name, count in counts.most_common()]
        if self.clean_share is not None:
            lines.append(f"{self.clean_share:.1%} of the changing records with parameters convert cleanly,")
            lines.append(f"{self.told_share:.1%} but for members that the record does not show and that are named as missing.")
        if self.causes:
            lines.append("Not cleanly, by cause:")
            lines += [f"  {count:5}  {words.visible(cause)}" for cause, count in self.causes.most_common()]
        return "\n".join(lines)
