"""What changes from one state of authority to another: in words for those who sign, and who gains by it. Knows no Django."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from approvals import canonical
from approvals.authority.state import Document


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is added, removed or changed: `subject` says of what, `field` which part; empty where there is nothing."""

    subject: str
    field: str
    before: str
    after: str


def between(old: Document, new: Document) -> tuple[Difference, ...]:
    """Every difference, in the order in which a person reads: settings, accounts, persons, groups, grants, guardrails."""
    return tuple(_all(old, new))


def gains(old: Document, new: Document) -> frozenset[str]:
    """The ids of the persons of the old state to whom the new one gives something of their own.

    A passkey, login, identity or principal, a flag, membership of a group, a grant to themselves, an invitation: whoever gains is
    not counted among those who sign for it. What a whole group gains by a grant to the group is nobody's own, unless the group
    is one person. Whose login, key or AWS identity passes to another name gains too: it stays in his hand, and what he does by it
    is no longer held against him.
    """
    before = {row["id"]: row for row in old["persons"]}
    by_login = {login: row["id"] for row in new["persons"] for login in row["logins"]}
    found = {row["id"] for row in new["persons"] if row["id"] in before and _gained(before[row["id"]], row)}
    found |= _passed_on(old, new) | _stand_for_others(old, new)
    # A bot, or somebody whom the same change makes up, is no company.
    voters = {row["id"] for row in old["persons"] if row["human"] and row["active"]}
    groups = {name: {by_login.get(login, "") for login in members} & voters for name, members in new["groups"].items()}
    for name, members in new["groups"].items():
        found |= {by_login[login] for login in set(members) - set(old["groups"].get(name, ())) if login in by_login}
    known = {canonical.dumps(grant) for grant in old["grants"]}
    for grant in new["grants"]:
        if canonical.dumps(grant) not in known:
            found |= {by_login[grant["login"]]} if grant.get("login") in by_login else _alone(groups, grant.get("group"))
    for name in _may_break_now(new) - _may_break_now(old):
        found |= _alone(groups, name[1])
    had = {canonical.dumps(row) for row in old["invitations"]}
    found |= {row["person"] for row in new["invitations"] if canonical.dumps(row) not in had}
    return frozenset(found & before.keys())


_WILD: Final = re.compile(r"[*?]+")
_FLAGS: Final = ("active", "human", "administrator", "auditor")


def _gained(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    more = any(new[flag] and not old[flag] for flag in _FLAGS)
    for name in ("logins", "sign_on", "principals", "passkeys"):
        had = {canonical.dumps(item) for item in old[name]}
        more = more or any(canonical.dumps(item) not in had for item in new[name])
    return more


def _passed_on(old: Document, new: Document) -> set[str]:
    """Whose login, single sign-on or passkey is somebody else's in the new state."""
    had, has = _owners(old), _owners(new)
    return {person for item, person in had.items() if has.get(item, person) != person}


def _owners(document: Document) -> dict[tuple[str, ...], str]:
    found: dict[tuple[str, ...], str] = {}
    for row in document["persons"]:
        found |= {("login", login): row["id"] for login in row["logins"]}
        found |= {("sign-on", one["provider"], one["subject"]): row["id"] for one in row["sign_on"]}
        found |= {("passkey", key["credential_id"]): row["id"] for key in row["passkeys"]}
    return found


def _stand_for_others(old: Document, new: Document) -> set[str]:
    """Whose calls in AWS may stand for somebody else, or for nobody, than before: he could then review what he asked for.

    Those who have or had a principal that is new, gone or weighed anew, and those with another one that meets it.
    """
    had, has = _principals(old), _principals(new)
    moved = had ^ has
    return {
        person
        for kind, value, _, person in had | has
        if any(kind == other and _may_meet(value, its) for other, its, _, _ in moved)
    }


def _principals(document: Document) -> set[tuple[str, str, int, str]]:
    return {(one["kind"], one["value"], one["precedence"], row["id"]) for row in document["persons"] for one in row["principals"]}


def _may_meet(one: str, other: str) -> bool:
    """Whether two principals can fit the same caller, by what they begin and end with: rather once too often than slowly.

    Anybody may propose patterns of thousands of stars, and everybody who looks at the proposal would wait for the exact answer.
    """
    ours, theirs = _WILD.split(one), _WILD.split(other)
    if len(ours) == len(theirs) == 1:
        return one == other
    begin, end = (ours[0], theirs[0]), (ours[-1], theirs[-1])
    return max(begin, key=len).startswith(min(begin, key=len)) and max(end, key=len).endswith(min(end, key=len))


def _alone(groups: Mapping[str, set[str]], name: str | None) -> set[str]:
    """The only person of a group: what is given to it is given to him."""
    members = groups.get(name or "", set())
    return members if len(members) == 1 else set()


def _may_break_now(document: Document) -> set[tuple[str, str]]:
    """(guardrail, group) of every group that may break the glass under a guardrail's newest version."""
    newest: dict[str, Mapping[str, Any]] = {}
    for row in document["guardrails"]:
        if row["name"] not in newest or newest[row["name"]]["number"] < row["number"]:
            newest[row["name"]] = row
    glass = {name: canonical.loads(row["text"]).get("break_glass") for name, row in newest.items()}
    return {(name, group) for name, one in glass.items() if one for group in one["groups"]}


def _all(old: Document, new: Document) -> Iterator[Difference]:
    yield from _fields("settings", old["settings"], new["settings"])
    yield from _rows(old["accounts"], new["accounts"], lambda row: f"account {row['id']}")
    yield from _persons(old, new)
    for name in sorted({*old["groups"], *new["groups"]}):
        before, after = old["groups"].get(name), new["groups"].get(name)
        if before != after:
            yield Difference(f"group {name}", "members", _members(before), _members(after))
    yield from _grants(old, new)
    yield from _guardrails(old, new)
    yield from _rows(
        [_invitation(row) for row in old["invitations"]],
        [_invitation(row) for row in new["invitations"]],
        lambda row: f"enrolment link of {_handle(old, _handle(new, row['person']))}",
        # A link that passes to somebody else under its old id is no work of our edits; it is shown all the same.
        hidden=() if _passes(old["invitations"], new["invitations"]) else ("person",),
    )


def _persons(old: Document, new: Document) -> Iterator[Difference]:
    before = {row["id"]: row for row in old["persons"]}
    after = {row["id"]: row for row in new["persons"]}
    for key in sorted({*before, *after}, key=lambda one: (after.get(one) or before[one])["handle"]):
        was, now = before.get(key, {}), after.get(key, {})
        subject = f"person {(now or was)['handle']}"
        plain = {name: value for name, value in was.items() if not isinstance(value, list)}
        yield from _fields(subject, plain, {name: value for name, value in now.items() if not isinstance(value, list)})
        for name in ("logins", "sign_on", "principals", "passkeys"):
            yield from _items(subject, name, was.get(name, []), now.get(name, []))


def _items(subject: str, name: str, old: list[Any], new: list[Any]) -> Iterator[Difference]:
    word = {"logins": "login", "sign_on": "sign-on", "principals": "principal", "passkeys": "passkey"}[name]
    had, has = {_item(word, item) for item in old}, {_item(word, item) for item in new}
    for field, item in sorted(had - has):
        yield Difference(subject, field, item, "")
    for field, item in sorted(has - had):
        yield Difference(subject, field, "", item)


def _item(word: str, item: Any) -> tuple[str, str]:
    """The field and the text of one of several: of a principal its value alone is text of a person's own."""
    if word != "principal":
        return word, _text(item)
    precedence = f", precedence {item['precedence']}" if item["precedence"] else ""
    return f"{word}, {item['kind'].replace('_', ' ')}{precedence}", item["value"]


def _grants(old: Document, new: Document) -> Iterator[Difference]:
    had = {_grant(old, grant): grant for grant in old["grants"]}
    has = {_grant(new, grant): grant for grant in new["grants"]}
    for said in sorted(had.keys() - has.keys()):
        yield Difference("right to review", had[said]["guardrail"], said, "")
    for said in sorted(has.keys() - had.keys()):
        yield Difference("right to review", has[said]["guardrail"], "", said)


def _grant(document: Document, grant: Mapping[str, Any]) -> str:
    who = f"login {grant['login']}" if grant.get("login") else f"group {grant['group']}"
    dates = "".join(f", {word} {grant[key]}" for word, key in (("from", "starts"), ("until", "ends")) if grant[key])
    lent = f", delegated by {_handle(document, grant['delegated_by'])}" if grant["delegated_by"] else ""
    return f"{who} under {grant['guardrail']}{dates}{lent}"


def _guardrails(old: Document, new: Document) -> Iterator[Difference]:
    had = {(row["name"], row["number"]): row for row in old["guardrails"]}
    newest: dict[str, Mapping[str, Any]] = {row["name"]: row for row in old["guardrails"]}
    for row in new["guardrails"]:
        known = had.get((row["name"], row["number"]))
        if known == row:
            continue
        before = newest.get(row["name"]) if known is None else known
        was = canonical.loads(before["text"]) if before else {}
        yield from _fields(f"guardrail {row['name']} version {row['number']}", was, canonical.loads(row["text"]))
    gone = had.keys() - {(row["name"], row["number"]) for row in new["guardrails"]}
    for name, number in sorted(gone):
        yield Difference(f"guardrail {name} version {number}", "", "kept", "forgotten")


def _rows(old: list[Any], new: list[Any], title: Callable[[Any], str], *, hidden: tuple[str, ...] = ()) -> Iterator[Difference]:
    """`hidden` are fields that the title says already."""
    before, after = {row["id"]: row for row in old}, {row["id"]: row for row in new}
    for key in sorted({*before, *after}):
        was, now = ({name: value for name, value in rows.get(key, {}).items() if name not in hidden} for rows in (before, after))
        yield from _fields(title(after.get(key) or before[key]), was, now)


def _invitation(row: Mapping[str, Any]) -> dict[str, Any]:
    """As people read it: codes that anybody put into it are shown; that it has none of its own is the usual."""
    return {name: value for name, value in row.items() if value != []}


def _passes(old: list[Any], new: list[Any]) -> bool:
    was = {row["id"]: row["person"] for row in old}
    return any(was.get(row["id"], row["person"]) != row["person"] for row in new)


def _members(names: list[str] | None) -> str:
    return "" if names is None else ", ".join(names) or "nobody"


def _fields(subject: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Difference]:
    for name in sorted({*old, *new}):
        # What is empty where there was nothing is no difference to read.
        was, now = old.get(name), new.get(name)
        if isinstance(was or now, dict) and isinstance(was or {}, dict) and isinstance(now or {}, dict):
            parts = [{f"{name} {part}": value for part, value in (side or {}).items()} for side in (was, now)]
            yield from _fields(subject, *parts)
        elif was != now and (_text(was) or _text(now)):
            yield Difference(subject, name.replace("_", " "), _text(was), _text(now))


def _handle(document: Document, person: str) -> str:
    return next((str(row["handle"]) for row in document["persons"] if row["id"] == person), person)


def _text(value: Any) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return canonical.dumps(value)
