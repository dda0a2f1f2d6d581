"""Fields of secrets: what is typed into one is sealed while its POST is read, and never goes back to a page.

Beside such a field's name may stand `<name>:sealed`, the token of what was sealed before, and `<name>:drop`, the box "leave it
out of the call". What is typed replaces the token; an empty field keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

from approvals.canonical import Sealed
from approvals.errors import BadSeal
from approvals.operations.sensitive import Rule
from approvals.sealing import Place

# Said beside a field of which the value is lost.
AGAIN: Final = "A secret that does not fit is not kept: enter it again."
SUFFIXES: Final = ("sealed", "drop", "empty")


class Seals(Protocol):
    """What seals for one person and one operation in one place (`portal.sealer.Sealer`)."""

    rule: Rule

    def seal(self, parameters: dict[str, Any], place: Place, value: Any) -> Sealed:
        """A new token. Raises BadSeal, with what the person can do."""

    def kept(self, parameters: dict[str, Any], place: Place, token: str) -> Sealed:
        """The token that the form carried, when it was sealed by this person for this very place. Raises BadSeal."""


@dataclass(eq=False, slots=True)
class Held:
    """Stands among the parameters until all of them are read, for a value is sealed to its target."""

    name: str
    place: Place
    value: Any = None
    token: str = ""


def settled(
    parameters: dict[str, Any], held: list[Held], data: dict[str, str], problems: dict[str, list[str]], sealer: Seals
) -> dict[str, Any]:
    """The parameters with every Held sealed, or left out with a problem. `data` gets the tokens; one that is not good goes."""
    become: dict[int, Sealed] = {}
    for one in held:
        data.pop(f"{one.name}:sealed", None)
        try:
            sealed = sealer.kept(parameters, one.place, one.token) if one.token else sealer.seal(parameters, one.place, one.value)
        except BadSeal as error:
            problems.setdefault(one.name, []).append(str(error))
        else:
            become[id(one)] = sealed
            data[f"{one.name}:sealed"] = sealed.token
    found: dict[str, Any] = _replaced(parameters, become)
    return found


def scrubbed(data: dict[str, str], name: str) -> None:
    """Take what was typed out of the form's data, and the boxes that were about it."""
    data.pop(name, None)
    for suffix in SUFFIXES:
        data.pop(f"{name}:{suffix}", None)


def _replaced(value: Any, become: dict[int, Sealed]) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(item, become) for key, item in value.items() if _stays(item, become)}
    if isinstance(value, list):
        return [_replaced(item, become) for item in value if _stays(item, become)]
    return become[id(value)] if isinstance(value, Held) else value


def _stays(value: Any, become: dict[int, Sealed]) -> bool:
    return not isinstance(value, Held) or id(value) in become
