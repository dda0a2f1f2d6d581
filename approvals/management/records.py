"""CloudTrail records out of the files that a command is given, each explained."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from django.core.management.base import CommandError

from approvals import explanation, trail_files
from approvals.explanation import Explanation, Setting
from approvals.trail_files import Unreadable


def explained(names: Sequence[str], setting: Setting) -> Iterator[Explanation]:
    """Every record of the files, `-` or none being standard input. Raises CommandError (2) for a file that cannot be read."""
    for name in names or ["-"]:
        try:
            with _opened(name) as stream:
                for found in trail_files.read(stream, "standard input" if name == "-" else name):
                    if isinstance(found, Unreadable):
                        yield explanation.not_a_record(found.why, found.place)
                    else:
                        yield explanation.explain(found.value, setting, found.place)
        except OSError as error:
            raise CommandError(f"{name} cannot be read: {error.strerror or error}. Look at the path.", returncode=2) from error


def _opened(name: str) -> io.BufferedReader:
    if name == "-":
        return io.BufferedReader(io.FileIO(sys.stdin.fileno(), closefd=False))
    return Path(name).open("rb")
