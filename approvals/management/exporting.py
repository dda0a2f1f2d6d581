"""What the two export commands share: their arguments, where they write, and their progress."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from approvals import audit, export
from approvals.export import Format

Row = TypeVar("Row")


class ExportCommand(BaseCommand):
    """Streams rows as CSV or JSON Lines. A subclass says which rows and columns."""

    what: ClassVar[str]
    columns: ClassVar[Sequence[str]]

    def rows(self, since: datetime | None, until: datetime | None) -> Iterable[Mapping[str, Any]]:
        """The rows of the time span, streamed."""
        raise NotImplementedError(f"{type(self).__name__} says which rows it exports")

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=argparse.RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--format", choices=[str(one) for one in Format], default="csv", help="csv (the default) or jsonl")
        parser.add_argument(
            "--output", type=Path, metavar="FILE", help="write to this file (mode 0600) instead of standard output"
        )
        parser.add_argument("--since", type=_moment, metavar="TIME", help="from this time on, ISO 8601; without a zone it is UTC")
        parser.add_argument("--until", type=_moment, metavar="TIME", help="before this time, ISO 8601; without a zone it is UTC")

    def handle(self, *args: Any, **options: Any) -> None:
        how, path = Format(options["format"]), options["output"]
        try:
            with audit.snapshot():
                rows = counted(self.rows(options["since"], options["until"]), self.what, self.stderr)
                count = self._to_file(path, rows, how) if path else export.write(rows, self.columns, how, self._print)
        except DatabaseError as error:
            raise CommandError(f"The database could not be read: {error}", returncode=2) from error
        except BrokenPipeError:
            # The reader has had enough (`| head`); that is no fault, and Python must not complain at its exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return
        if path is not None:
            self.stderr.write(f"Wrote {count} {self.what} to {path}.")

    def _print(self, text: str) -> None:
        self.stdout.write(text, ending="")

    def _to_file(self, path: Path, rows: Iterable[Mapping[str, Any]], how: Format) -> int:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError as error:
            raise CommandError(f"{path} exists already; name another file, or remove it.", returncode=2) from error
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror}.", returncode=2) from error
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            return export.write(rows, self.columns, how, file.write)


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write it as 2026-11-23T10:00:00+00:00") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def counted(rows: Iterable[Row], what: str, out: Any) -> Iterator[Row]:
    """Pass rows through; on a terminal, after two seconds, say how many there were so far."""
    begun = said = time.monotonic()
    shows = bool(getattr(out, "isatty", lambda: False)())
    for count, row in enumerate(rows, 1):
        if shows and (now := time.monotonic()) - begun > 2 and now - said > 0.5:
            out.write(f"\r{count} {what} …", ending="")
            said = now
        yield row
    if said != begun:
        out.write("")
