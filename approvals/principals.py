"""Which person is behind an AWS caller: principals are values or patterns, and the most telling one wins.

Of what CloudTrail says about a caller the most trustworthy identity is asked first (`Caller.principals`). For it a value that is
written out wins over every pattern; among patterns that fit, the highest precedence, then the most characters that are no
wildcard. Where the best ones name different persons nobody is meant: a person is never guessed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from approvals.caller import Caller
from approvals.models import Person, Principal
from approvals.policies import any_fits

One = TypeVar("One", bound="Weighed")


@dataclass(frozen=True, slots=True)
class Behind:
    """The person behind a caller, or why there is none and what to do about it."""

    person: Person | None
    why: str


def behind(caller: Caller) -> Behind:
    """Who made a call. Two queries for each identity that the caller has."""
    known = caller.principals()
    if not known:
        return Behind(None, f"Nobody can be told from this caller: {caller.why}.")
    for kind, value in known:
        fitting = _best(kind, value)
        persons = {one.person_id: one.person for one in fitting}
        if len(persons) > 1:
            names = ", ".join(sorted(person.handle for person in persons.values()))
            return Behind(None, f"{kind}:{value} fits principals of {names} equally well; give one of them a higher precedence.")
        for person in persons.values():
            if not person.is_active:
                return Behind(None, f"{kind}:{value} is {person.handle}, who was switched off.")
            return Behind(person, f"{kind}:{value} is {person.handle}.")
    kind, value = known[0]
    return Behind(None, f"{kind}:{value} is nobody's principal. {how_to_map(kind, value)}")


def how_to_map(kind: str, value: str) -> str:
    """What to do about an identity that belongs to nobody."""
    return (
        f"Propose a change of authority that gives somebody the principal {kind}:{value} (two administrators sign it), or let an "
        "eligible person adopt the draft."
    )


def _best(kind: str, value: str) -> list[Principal]:
    exact = list(Principal.objects.select_related("person").filter(kind=kind, value=value))
    if exact:
        return exact
    patterns = Principal.objects.select_related("person").filter(kind=kind, value__regex=r"[*?]")
    # What a caller's name holds stands for itself: a path of IAM may hold a star, and whoever makes a user chooses it.
    return foremost(one for one in patterns if any_fits((one.value,), value))


class Weighed(Protocol):
    """A principal's pattern and its precedence."""

    @property
    def value(self) -> str: ...
    @property
    def precedence(self) -> int: ...


def foremost(fitting: Iterable[One]) -> list[One]:
    """Of the patterns that fit, those of the highest precedence, then with the most characters that are no wildcard."""

    def weight(one: Weighed) -> tuple[int, int]:
        return one.precedence, sum(char not in "*?" for char in one.value)

    found = list(fitting)
    best = max(map(weight, found), default=None)
    return [one for one in found if weight(one) == best]
