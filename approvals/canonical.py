"""Canonical JSON in a restricted profile, so that equal values have equal bytes and equal digests.

The profile: objects, arrays, strings, booleans, null and integers within ±(2^53 - 1). What JSON has no word for is written as a
tagged object with one key: `{"$float": "1.5"}`, `{"$decimal": "1.50"}`, `{"$bytes": "<base64>"}`, `{"$timestamp": "<ISO 8601>"}`,
`{"$sealed": "<token>"}`; a person's own key that begins with `$` gets a second one. Keys are sorted by UTF-16 code unit and the
text has no white space, as RFC 8785 asks; duplicate keys, floats, NaN and lone surrogates are refused.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

import orjson

from approvals.errors import BadCanonicalForm

LARGEST_INTEGER: Final = 2**53 - 1
DEEPEST: Final = 64
# What neither PostgreSQL's texts nor UTF-8 can hold.
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")
_TOKEN: Final = re.compile(r"1\.(?P<key>[0-9a-f]{32})\.(?P<body>[A-Za-z0-9_-]+)")


@dataclass(frozen=True, slots=True)
class Sealed:
    """A secret that only the executor can open (see `approvals.sealing`), as the token that stands for it.

    The token is `1.<id of its data key, 32 hexadecimal digits>.<base64url>`; every other spelling is refused, so that a sealed
    value has one. As text it is a note and never the token: what forgets to treat it shows nothing.
    """

    token: str

    def __post_init__(self) -> None:
        found = _TOKEN.fullmatch(self.token)
        if found is None or _spelt(found["body"]) is None:
            # Not quoted: what stands here by mistake may be the secret itself.
            raise BadCanonicalForm("A sealed value is no token of ours.")

    @property
    def key_id(self) -> str:
        """Which data key it was sealed with: 32 hexadecimal digits."""
        return self.token[2:34]

    @property
    def body(self) -> bytes:
        """What the token carries."""
        return _spelt(self.token[35:]) or b""

    def __str__(self) -> str:
        return "(sealed)"

    def __repr__(self) -> str:
        return f"Sealed({self.token[:10]}…)"


def base64url(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _spelt(body: str) -> bytes | None:
    """The bytes of base64url without padding; None when they have another spelling than this."""
    try:
        found = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    except ValueError:
        return None
    return found if base64url(found) == body else None


def dumps(value: object) -> str:
    """The canonical text of a value of the profile (no tags are made here: see `encode`).

    Raises BadCanonicalForm for anything outside the profile.
    """
    try:
        return orjson.dumps(_checked(value, 0)).decode("utf-8")
    except (orjson.JSONEncodeError, UnicodeEncodeError) as error:
        raise BadCanonicalForm(f"This value cannot be written as canonical JSON: {error}.") from error


def loads(text: str) -> Any:
    """Parse canonical text; the inverse of `dumps`.

    Raises BadCanonicalForm when the text is not exactly what `dumps` would write for its value, so that two readers can never
    see two values in the same bytes.
    """
    value = parse(text)
    if dumps(value) != text:
        raise BadCanonicalForm("The text is JSON but not in canonical form (white space, key order or escapes differ).")
    return value


def parse(text: str) -> Any:
    """Parse JSON of the profile in any layout: duplicate keys, floats, NaN and large integers are refused."""
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_float=_no_float, parse_constant=_no_float)
    except (ValueError, RecursionError) as error:  # Python refuses a number of thousands of digits by a ValueError of its own
        raise BadCanonicalForm(f"Not JSON: {error}.") from error
    return _checked(value, 0)


def is_storable(text: str) -> bool:
    """Whether a text can be stored and signed as it is: it has no NUL and no half of a surrogate pair."""
    return "\0" not in text if text.isascii() else _UNSTORABLE.search(text) is None


def storable(text: str) -> str:
    """The text with what cannot be stored as escapes (`\\u0000`), for eyes: it is no longer the text that it was."""
    return text if is_storable(text) else _UNSTORABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def digest(text: str) -> str:
    """SHA-256 of a text's UTF-8 bytes, as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def encode(value: object) -> Any:
    """Python parameters (as boto3 takes them) to a value of the profile, with tags for what JSON has no word for."""
    match value:
        case None | bool() | str():
            return value
        case int() if abs(value) <= LARGEST_INTEGER:
            return value
        case Mapping():
            return {_escaped(key): encode(item) for key, item in value.items()}
        case list() | tuple():
            return [encode(item) for item in value]
    return _tagged(value)


def _tagged(value: object) -> dict[str, str]:
    match value:
        case float():
            return {"$float": repr(value)}
        case int() | Decimal():
            return {"$decimal": str(value)}
        case Sealed():
            return {"$sealed": value.token}
        case bytes() | bytearray():
            return {"$bytes": base64.b64encode(bytes(value)).decode("ascii")}
        case datetime():
            if value.tzinfo is None:
                raise BadCanonicalForm("A timestamp without a time zone cannot be signed: say which instant is meant.")
            return {"$timestamp": value.astimezone(UTC).isoformat()}
        case date():
            raise BadCanonicalForm("A date without a time cannot be signed: say which instant is meant.")
    raise BadCanonicalForm(f"A value of type {type(value).__name__} cannot be signed.")


def decode(value: Any) -> Any:
    """The inverse of `encode`. Raises BadCanonicalForm for an unknown tag."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (key, item), *_ = value.items()
        if key.startswith("$") and not key.startswith("$$"):
            return _untagged(key, item)
    return {_unescaped(key): decode(item) for key, item in value.items()}


def _untagged(tag: str, item: Any) -> Any:
    if not isinstance(item, str):
        raise BadCanonicalForm(f"The tag {tag} carries a {type(item).__name__}, not a string.")
    if tag == "$sealed":
        return Sealed(item)
    try:
        match tag:
            case "$float":
                return float(item)
            case "$decimal":
                return int(item) if item.lstrip("-").isdigit() else Decimal(item)
            case "$bytes":
                return base64.b64decode(item, validate=True)
            case "$timestamp":
                return datetime.fromisoformat(item)
    except (ValueError, ArithmeticError) as error:
        raise BadCanonicalForm(f"The tag {tag} carries {item!r}, which it cannot mean.") from error
    raise BadCanonicalForm(f"{tag} is no tag of this profile.")


def _escaped(key: object) -> str:
    if not isinstance(key, str):
        raise BadCanonicalForm(f"An object's key must be a string, not {type(key).__name__}.")
    return "$" + key if key.startswith("$") else key


def _unescaped(key: str) -> str:
    if not key.startswith("$"):
        return key
    if not key.startswith("$$"):
        raise BadCanonicalForm(f"{key} is a tag beside other keys.")
    return key[1:]


def _checked(value: object, depth: int) -> Any:
    if depth > DEEPEST:
        raise BadCanonicalForm(f"Nested deeper than {DEEPEST} levels.")
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        if abs(value) > LARGEST_INTEGER:
            raise BadCanonicalForm(f"The integer {value} is beyond 2^53; readers would disagree on it.")
        return value
    if isinstance(value, list):
        return [_checked(item, depth + 1) for item in value]
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise BadCanonicalForm(f"An object's key must be a string, not {type(key).__name__}.")
        # RFC 8785 sorts by UTF-16 code unit, which differs from Python's order only beyond the basic plane.
        return {key: _checked(value[key], depth + 1) for key in sorted(value, key=_utf16)}
    raise BadCanonicalForm(f"A value of type {type(value).__name__} is outside the profile.")


def _utf16(key: str) -> bytes:
    return key.encode("utf-16-be", "surrogatepass")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise BadCanonicalForm(f"The key {twice!r} occurs twice; readers would disagree on its value.")
    return value


def _no_float(text: str) -> Any:
    raise BadCanonicalForm(f"The number {text} is no integer; write it as a tagged string.")
