"""Rules from parsed YAML or JSON, strictly: every field that is not known is refused by name."""

from __future__ import annotations

from datetime import datetime
from functools import cache, lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from approvals import canonical
from approvals.errors import BadCanonicalForm, BadGuardrail
from approvals.policies import schema, tickets
from approvals.policies.rules import (
    DAYS,
    BreakGlass,
    Clocks,
    Condition,
    Freeze,
    Irreversible,
    Mode,
    Operator,
    Rules,
    Window,
)
from approvals.policies.shapes import Misfit, Path, quoted


@lru_cache(maxsize=4096)
def rules_from_text(text: str) -> Rules:
    """Read a stored version back. Raises BadGuardrail."""
    try:
        return rules_from(canonical.loads(text))
    except BadCanonicalForm as error:
        raise BadGuardrail(f"The guardrail's text cannot be read: {error}") from error


def rules_from(found: Any) -> Rules:
    """Read rules from parsed YAML or JSON. Raises BadGuardrail naming the field that is wrong, and its path."""
    if not isinstance(found, dict):
        raise BadGuardrail("A guardrail is an object with a name, operations, resources and approvals.")
    name = found.get("name")
    try:
        schema.GUARDRAIL.check(found, ())
        return _written(_read(found))
    except Misfit as error:
        whose = f"Guardrail {name}" if isinstance(name, str) and error.path[:1] != ("name",) else "The guardrail"
        raise BadGuardrail(f"{whose}: {_said(error)}.", path=error.path) from error


def dotted(path: Path) -> str:
    """A path as people write it: `windows[1].from`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _said(error: Misfit) -> str:
    field = dotted(error.path)
    return f"{error} {field}" if str(error) == "unknown field" else f"{field} {error}"


def _read(found: dict[str, Any]) -> Rules:
    return Rules(
        name=found["name"],
        description=found.get("description", ""),
        mode=Mode(found.get("mode", Mode.ENFORCE)),
        accounts=tuple(found.get("accounts", ())),
        regions=tuple(found.get("regions", ("*",))),
        operations=tuple(found["operations"]),
        resources=tuple(found.get("resources", ("*",))),
        approvals=found["approvals"],
        clocks=Clocks(**found.get("clocks", {})),
        irreversible=Irreversible(**found.get("irreversible", {})),
        account_tags=tuple((key, tuple(patterns)) for key, patterns in sorted(found.get("account_tags", {}).items())),
        risk=tuple(found.get("risk", ())),
        families=tuple(found.get("families", ())),
        conditions=tuple(_condition(item) for item in found.get("conditions", ())),
        groups=tuple(sorted(found.get("groups", {}).items())),
        reason=found.get("reason", True),
        ticket=_ticket(found.get("ticket", "")),
        unconfirmed=found.get("unconfirmed", False),
        windows=tuple(_window(item, ("windows", index)) for index, item in enumerate(found.get("windows", ()))),
        freezes=tuple(_freeze(item, ("freezes", index)) for index, item in enumerate(found.get("freezes", ()))),
        break_glass=_break_glass(found.get("break_glass")),
        delegation=found.get("delegation", True),
        protective_step=found.get("protective_step", False),
    )


def _written(rules: Rules) -> Rules:
    """The rules, which can be written as canonical text: half a character of UTF-16 cannot."""
    try:
        rules.text().encode()
    except (BadCanonicalForm, UnicodeEncodeError) as error:
        raise Misfit((), f"cannot be written down: {error}") from error
    return rules


def _condition(found: dict[str, Any]) -> Condition:
    operator = next(one for one in Operator if one in found)
    value = found[operator]
    return Condition(found["parameter"], operator, tuple(value) if isinstance(value, list | tuple) else value)


def _ticket(pattern: str) -> str:
    try:
        tickets.check(pattern)
    except ValueError as error:
        raise Misfit(("ticket",), str(error)) from error
    return pattern


def _window(found: dict[str, Any], path: Path) -> Window:
    _known_zone(found["zone"], (*path, "zone"))
    return Window(tuple(day for day in DAYS if day in found["days"]), found["from"], found["to"], found["zone"])


def _freeze(found: dict[str, Any], path: Path) -> Freeze:
    _known_zone(found["zone"], (*path, "zone"))
    begins, ends = (_local(found[name], (*path, name)) for name in ("from", "until"))
    if not begins < ends:
        raise Misfit((*path, "until"), f"is after the freeze's beginning, not {quoted(found['until'])}")
    return Freeze(begins, ends, found["zone"], found["why"])


def _local(text: str, path: Path) -> str:
    """A local time as `YYYY-MM-DDTHH:MM`. Raises Misfit for a day that no calendar has."""
    whole = text if "T" in text else f"{text}T00:00"
    try:
        datetime.fromisoformat(whole)
    except ValueError as error:
        raise Misfit(path, f"is a day that is in the calendar, not {quoted(text)}") from error
    return whole


def _known_zone(zone: str, path: Path) -> None:
    if not is_zone(zone):
        said = f"is a time zone of the IANA database such as Europe/Berlin, not {quoted(zone)}; this machine does not know it"
        raise Misfit(path, said)


@cache
def is_zone(name: str) -> bool:
    """Whether this machine knows a time zone of this name."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _break_glass(found: dict[str, Any] | None) -> BreakGlass | None:
    return BreakGlass(tuple(found["groups"]), found["review_within"]) if found is not None else None
