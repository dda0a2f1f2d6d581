"""Scalars as CloudTrail writes them, as the Python values that boto3 takes.

Documented re-encodings, and no others; each can be read back:
- a numeral in a string becomes a number where the shape is one (`"80"`), a number or boolean becomes its JSON text where the
  shape is a string (`30` -> `"30"`), `"true"` and `"false"` become booleans, a whole float an integer;
- a date becomes a datetime in UTC: ISO 8601, `Oct 10, 2024 3:30:23 PM` (with or without the second comma), seconds or
  milliseconds since 1970;
- a blob becomes bytes: from base64, from the octets of a Java buffer (`{"hb": [...]}`), else from its text in UTF-8;
- a document that is recorded as an object becomes compact JSON text where the shape is a string (bucket policies).
What fits none of them is handed back as it came, or as UNREADABLE where boto3 would choke on it, and the verdict says so.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

UNREADABLE: Final = object()
_INTEGER: Final = re.compile(r"[+-]?\d{1,20}")
_NUMBER: Final = re.compile(r"[+-]?(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})(?:[eE][+-]?\d{1,3})?")
_SPOKEN: Final = re.compile(r"([A-Z][a-z]{2}) (\d{1,2}), (\d{4}),? (\d{1,2}):(\d\d):(\d\d)\s([AP])M")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# A count since 1970 above this many is of milliseconds: as seconds it would be the year 5138.
_MILLISECONDS_FROM: Final = 1e11


def scalar(kind: str, value: Any) -> Any:
    """The value for a shape of this botocore type (`string`, `integer`, `timestamp` ...)."""
    return _READERS.get(kind, _as_it_is)(value)


def document(value: Any) -> Any:
    """A JSON document as text, UNREADABLE where it holds what JSON has no word for."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (ValueError, RecursionError):
        return UNREADABLE


def _as_it_is(value: Any) -> Any:
    return value


def _string(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return _digits(value)
    return _finite(value)


def _digits(value: float) -> Any:
    try:
        return json.dumps(value)
    except ValueError:  # more digits than Python writes
        return UNREADABLE


def _integer(value: Any) -> Any:
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    # True counts as a number for botocore's validator.
    return UNREADABLE if isinstance(value, bool) else _finite(value)


def _float(value: Any) -> Any:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return _finite(float(value))
    return UNREADABLE if isinstance(value, bool) else _finite(value)


def _finite(value: Any) -> Any:
    return UNREADABLE if isinstance(value, float) and not math.isfinite(value) else value


def _boolean(value: Any) -> Any:
    if isinstance(value, str) and (low := value.lower()) in ("true", "false"):
        return low == "true"
    return value


def _blob(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            return value.encode("utf-8", "surrogatepass")
    octets = _content(value) if isinstance(value, Mapping) else None
    if octets is not None and all(isinstance(octet, int) and -128 <= octet <= 255 for octet in octets):
        return bytes(octet & 0xFF for octet in octets)
    return UNREADABLE


def _content(buffer: Mapping[str, Any]) -> list[Any] | None:
    """What a Java buffer holds: its array from `offset` on, as far as `limit` goes."""
    octets, start, length = buffer.get("hb"), buffer.get("offset", 0), buffer.get("limit")
    if not isinstance(octets, list) or not isinstance(start, int) or start < 0:
        return None
    if not isinstance(length, int | None) or (length or 0) < 0:
        return None
    return octets[start:] if length is None else octets[start : start + length]


def is_cut(buffer: Mapping[str, Any]) -> bool:
    """Whether a Java buffer's array is shorter than the buffer says: whoever published the record cut it."""
    octets, length = _content(buffer), buffer.get("limit")
    return octets is not None and length is not None and len(octets) < length


def _timestamp(value: Any) -> Any:
    if isinstance(value, bool):
        return UNREADABLE
    try:
        if isinstance(value, int | float):
            return _since_1970(value)
        if isinstance(value, str):
            return _date(value.strip())
    except (ValueError, OverflowError):
        return UNREADABLE
    return UNREADABLE


def _since_1970(count: float) -> datetime:
    seconds = count / 1000 if abs(count) >= _MILLISECONDS_FROM else count
    return _EPOCH + timedelta(seconds=seconds)


def _date(text: str) -> datetime:
    if spoken := _SPOKEN.fullmatch(text):
        month, day, year, hour, minute, second, half = spoken.groups()
        hours = int(hour) % 12 + (12 if half == "P" else 0)
        return datetime(int(year), _MONTHS.index(month) + 1, int(day), hours, int(minute), int(second), tzinfo=UTC)
    if _NUMBER.fullmatch(text):
        return _since_1970(float(text))
    found = datetime.fromisoformat(text)
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "string": _string,
    "character": _string,
    "integer": _integer,
    "long": _integer,
    "float": _float,
    "double": _float,
    "boolean": _boolean,
    "blob": _blob,
    "timestamp": _timestamp,
}
