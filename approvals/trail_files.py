"""CloudTrail records out of files as people have them: JSON, JSON lines, what wraps a record, gzip. Knows no Django.

A record stands alone, in a list, as `{"Records": [...]}` (CloudTrail's log files), as `{"record": ...}`, or as the `detail` of an
EventBridge envelope. What is none of these comes out as Unreadable with the place where it stands, never as an exception: one bad
line must not hide the thousand behind it.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

_GZIP: Final = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Found:
    """A value that should be a CloudTrail record, and where it stood (`file.json, record 3`)."""

    value: Any
    place: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something that is no JSON, and why."""

    why: str
    place: str


def read(stream: io.BufferedReader, name: str) -> Iterator[Found | Unreadable]:
    """Every record of a stream of bytes, in its order; gzip is seen by its first bytes. Raises OSError.

    JSON lines are read line by line, so a file of any size takes the memory of its longest line; a single JSON document is read
    whole.
    """
    if not stream.peek(2).startswith(_GZIP):
        yield from _read(stream, name)
        return
    try:
        yield from _read(gzip.GzipFile(fileobj=stream), name)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        yield Unreadable(f"The gzip stream is broken: {_short(error)}. Fetch the file again.", name)


def _read(stream: io.BufferedReader | gzip.GzipFile, name: str) -> Iterator[Found | Unreadable]:
    lines = enumerate(stream, 1)
    number, first = next(((number, line) for number, line in lines if line.strip()), (0, b""))
    if not first:
        return
    try:
        value = _json(first)
    except ValueError:
        yield from _whole(first + stream.read(), name)
        return
    yield from _unwrapped(value, f"{name}, line {number}")
    for number, line in lines:
        if not line.strip():
            continue
        place = f"{name}, line {number}"
        try:
            value = _json(line)
        except ValueError as error:
            yield Unreadable(f"This line is no JSON: {_short(error)}.", place)
            continue
        yield from _unwrapped(value, place)


def _whole(data: bytes, name: str) -> Iterator[Found | Unreadable]:
    """One document over several lines, or several of them one after the other."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        yield Unreadable(f"This is no UTF-8 text: {_short(error)}.", name)
        return
    decoder, at, number = json.JSONDecoder(), 0, 0
    while at < len(text):
        if text[at].isspace() or text[at] in ",\x1e":
            at += 1
            continue
        number += 1
        place = f"{name}, document {number}"
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            # Lines that follow may be whole again.
            yield Unreadable(f"This is no JSON: {_short(error)}.", place)
            at = text.find("\n{", at + 1)
            if at < 0:
                return
            continue
        yield from _unwrapped(value, place)


def _unwrapped(value: Any, place: str) -> Iterator[Found]:
    if isinstance(value, dict) and isinstance(value.get("Records"), list):
        value = value["Records"]
    if isinstance(value, list):
        for number, one in enumerate(value, 1):
            yield Found(_bare(one), f"{place}, record {number}")
        return
    yield Found(_bare(value), place)


def _bare(value: Any) -> Any:
    if not isinstance(value, dict) or "eventName" in value:
        return value
    if "detail-type" in value and isinstance(value.get("detail"), dict):
        return value["detail"]
    return value["record"] if isinstance(value.get("record"), dict) else value


def _json(line: bytes) -> Any:
    try:
        return json.loads(line.decode("utf-8-sig"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _short(error: Exception) -> str:
    return str(error)[:200]
