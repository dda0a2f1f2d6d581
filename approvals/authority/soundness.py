"""Whether a state of authority is one that people can live with: nothing twice, nobody locked out, every quorum in reach.

Judged when a manifest is sealed and when a change is proposed and applied. Knows no Django.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from approvals.authority.state import Authority, Document, view
from approvals.errors import BadChange
from approvals.policies import Mode, reach

LEAST_ADMINISTRATORS: Final = 3


def must_be_sound(document: Document, now: datetime) -> None:
    """Raise BadChange with the first thing that is wrong and what to do about it."""
    _once(document)
    authority = view(document)
    _nobody_locked_out(document, authority)
    _rights_are_of_something(document)
    _quorums_in_reach(authority, now)


def _once(document: Document) -> None:
    persons = document["persons"]
    for word, names in (
        ("handle", [row["handle"] for row in persons]),
        ("login", [login for row in persons for login in row["logins"]]),
        ("single sign-on subject", [f"{one['provider']}:{one['subject']}" for row in persons for one in row["sign_on"]]),
        ("principal", [f"{one['kind']}:{one['value']}" for row in persons for one in row["principals"]]),
        ("passkey", [key["credential_id"] for row in persons for key in row["passkeys"]]),
        ("account", [row["id"] for row in document["accounts"]]),
        ("account alias", [row["alias"] for row in document["accounts"]]),
    ):
        if twice := _repeated(names):
            raise BadChange(f"The {word} {twice} would belong to two; it belongs to one.")


def _repeated(names: Iterable[str]) -> str:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return ""


def _nobody_locked_out(document: Document, authority: Authority) -> None:
    invited = {row["person"] for row in document["invitations"]}
    able = [
        row["id"]
        for row in document["persons"]
        if authority.is_administrator(row["id"]) and row["logins"] and (row["passkeys"] or row["id"] in invited)
    ]
    # One more than have to sign: whoever gains by a change does not count for it, and a key can be lost.
    need = max(LEAST_ADMINISTRATORS, authority.signers + 1)
    if len(able) < need:
        raise BadChange(
            f"{len(able)} active administrators would have a login and a passkey or an invitation to register one; at least "
            f"{need} are needed, so that a lost key does not lock everybody out."
        )


def _rights_are_of_something(document: Document) -> None:
    logins = {login for row in document["persons"] for login in row["logins"]}
    persons = {row["id"] for row in document["persons"]}
    names = {row["name"] for row in document["guardrails"]}
    delegable = view(document).guardrails
    for grant in document["grants"]:
        if grant["guardrail"] not in names:
            raise BadChange(f"A right is given on guardrail {grant['guardrail']!r}, which there is not.")
        if grant["delegated_by"] is not None:
            if grant["delegated_by"] not in persons:
                raise BadChange("A delegation is by somebody who is no person here.")
            if not delegable[grant["guardrail"]][2].delegation:
                raise BadChange(f"Rights under guardrail {grant['guardrail']} are not delegated.")
    for name, members in document["groups"].items():
        if strangers := set(members) - logins:
            raise BadChange(f"Group {name} would hold {', '.join(sorted(strangers))}, who is nobody's login.")


def _quorums_in_reach(authority: Authority, now: datetime) -> None:
    voters = [person for person in authority.persons if authority.is_voter(person)]
    rights = {person: authority.rights_at(person, now) for person in voters}
    for name, (_, _, rules) in sorted(authority.guardrails.items()):
        if rules.mode is Mode.OBSERVE:
            continue
        holders = {person: authority.groups_of(person) for person in voters if name in rights[person]}
        if lacking := reach.never(rules, holders, voters):
            raise BadChange(f"Guardrail {name} {lacking}.")
