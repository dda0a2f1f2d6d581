"""The state of authority as one document: read strictly, written canonically, judged sound. Knows no Django.

{schema, settings {signers, checkpoint_bucket, checkpoint_every}, accounts [...], persons [{id, handle, name, email, human,
active, administrator, auditor, logins [user name], sign_on [{login, provider, subject}], principals [{kind, value, precedence}],
passkeys [{credential_id, public_key, label}]}], groups {name: [user name]}, grants [{guardrail, login or group, starts, ends,
delegated_by}], guardrails [{name, number, hash, text}], invitations [{id, person, until, codes}]}. Times are ISO 8601 in UTC or
null; every list is sorted, so that equal authority has equal text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from fido2.utils import websafe_decode

from approvals import canonical
from approvals.errors import BadAuthority, BadCanonicalForm
from approvals.policies import Rules, rules_from_text

SCHEMA: Final = "countersign/authority/2"
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class KnownAccount:
    """An account as the chain knows it."""

    id: str
    partition: str
    regions: tuple[str, ...]
    executor_role_arn: str
    external_id: str
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Grant:
    """A right on one guardrail of the persons behind some logins. None: without a date."""

    guardrail: str
    persons: frozenset[str]
    starts: datetime | None
    ends: datetime | None
    delegated_by: str | None

    def holds(self, moment: datetime) -> bool:
        """Whether its dates include the moment; the end does not count."""
        return (self.starts is None or self.starts <= moment) and (self.ends is None or moment < self.ends)


@dataclass(frozen=True, slots=True)
class Retired:
    """A passkey that a quorum removed: whose it was, its public key, and when its removal was signed."""

    person: str
    public_key: bytes
    moment: datetime


@dataclass(frozen=True, slots=True)
class Authority:
    """One state of the chain, to be asked. Persons are their ids as text."""

    persons: Mapping[str, Mapping[str, Any]]
    passkeys: Mapping[str, tuple[str, bytes]]
    groups: Mapping[str, frozenset[str]]
    grants: tuple[Grant, ...]
    guardrails: Mapping[str, tuple[int, str, Rules]]
    versions: Mapping[tuple[str, int], tuple[str, Rules]]
    accounts: Mapping[str, KnownAccount]
    signers: int
    retired: Mapping[str, Retired] = field(default_factory=dict)

    def is_voter(self, person: str) -> bool:
        """Whether this is an active human."""
        found = self.persons.get(person)
        return found is not None and found["active"] is True and found["human"] is True

    def is_administrator(self, person: str) -> bool:
        """Whether this is an active human who looks after the whole."""
        return self.is_voter(person) and self.persons[person]["administrator"] is True

    def groups_of(self, person: str) -> frozenset[str]:
        """The names of the groups that one of the person's logins is in."""
        return frozenset(name for name, members in self.groups.items() if person in members)

    def rights_at(self, person: str, moment: datetime, *, apart_from: frozenset[str] = frozenset()) -> frozenset[str]:
        """The names of the guardrails under which the person may review then.

        A delegation holds while whoever delegated is active and holds a right of his own, and never by somebody of `apart_from`:
        whoever asks for something does not choose by delegation who decides it.
        """
        own = {grant.guardrail for grant in self._of(person, moment) if grant.delegated_by is None}
        lent = {
            grant.guardrail
            for grant in self._of(person, moment)
            if grant.delegated_by is not None
            and grant.delegated_by not in apart_from | {person}
            and self.is_voter(grant.delegated_by)
            and any(one.guardrail == grant.guardrail and one.delegated_by is None for one in self._of(grant.delegated_by, moment))
        }
        return frozenset(own | lent)

    def _of(self, person: str, moment: datetime) -> list[Grant]:
        return [grant for grant in self.grants if person in grant.persons and grant.holds(moment)]


def read(text: str) -> Document:
    """The document that a text says. Raises BadAuthority when it is not canonical or of another schema."""
    try:
        found = canonical.loads(text)
    except BadCanonicalForm as error:
        raise BadAuthority(f"The state of authority cannot be read: {error}") from error
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        said = found.get("schema") if isinstance(found, dict) else type(found).__name__
        raise BadAuthority(f"The state of authority says schema {said!r}; this program reads {SCHEMA!r}.")
    return found


_SORTED: Final[Mapping[str, Callable[[Any], Any]]] = {
    "accounts": lambda row: row["id"],
    "persons": lambda row: row["id"],
    "grants": lambda row: (row["guardrail"], row.get("login", ""), row.get("group", ""), row["delegated_by"] or ""),
    "guardrails": lambda row: (row["name"], row["number"]),
    "invitations": lambda row: row["id"],
}


def text_of(document: Document) -> str:
    """The canonical text of a document: sorted, without white space."""
    whole: Document = {**document, "schema": SCHEMA}
    for name, key in _SORTED.items():
        whole[name] = sorted(whole[name], key=key)
    whole["accounts"] = [{**row, "regions": sorted(row["regions"])} for row in whole["accounts"]]
    whole["persons"] = [
        {
            **row,
            "logins": sorted(row["logins"]),
            "sign_on": sorted(row["sign_on"], key=lambda one: (one["provider"], one["subject"])),
            "principals": sorted(row["principals"], key=lambda one: (one["kind"], one["value"])),
            "passkeys": sorted(row["passkeys"], key=lambda one: one["credential_id"]),
        }
        for row in whole["persons"]
    ]
    whole["groups"] = {name: sorted(members) for name, members in whole["groups"].items()}
    whole["invitations"] = [{**row, "codes": sorted(row["codes"])} for row in whole["invitations"]]
    return canonical.dumps(whole)


def view(document: Document) -> Authority:
    """A document that can be asked."""
    persons = {row["id"]: row for row in document["persons"]}
    by_login = {login: row["id"] for row in document["persons"] for login in row["logins"]}
    groups = {
        name: frozenset(by_login[login] for login in members if login in by_login) for name, members in document["groups"].items()
    }
    versions = {(row["name"], row["number"]): (row["hash"], rules_from_text(row["text"])) for row in document["guardrails"]}
    newest: dict[str, tuple[int, str, Rules]] = {}
    for (name, number), (text_hash, rules) in versions.items():
        if name not in newest or newest[name][0] < number:
            newest[name] = (number, text_hash, rules)
    return Authority(
        persons=persons,
        passkeys={
            key["credential_id"]: (row["id"], bytes(websafe_decode(key["public_key"])))
            for row in document["persons"]
            for key in row["passkeys"]
        },
        groups=groups,
        grants=tuple(_grant(row, groups, by_login) for row in document["grants"]),
        guardrails=newest,
        versions=versions,
        accounts={
            row["id"]: KnownAccount(
                row["id"], row["partition"], tuple(row["regions"]), row["executor_role_arn"], row["external_id"], row["tags"]
            )
            for row in document["accounts"]
        },
        signers=document["settings"]["signers"],
    )


def _grant(row: Mapping[str, Any], groups: Mapping[str, frozenset[str]], by_login: Mapping[str, str]) -> Grant:
    if row.get("login"):
        persons = frozenset({by_login[row["login"]]} if row["login"] in by_login else ())
    else:
        persons = groups.get(row["group"], frozenset())
    return Grant(row["guardrail"], persons, moment_of(row["starts"]), moment_of(row["ends"]), row["delegated_by"])


def moment_of(text: str | None) -> datetime | None:
    """The moment that a document's text says."""
    return None if text is None else datetime.fromisoformat(text)


def text_of_moment(moment: datetime | None) -> str | None:
    """A moment as the document says it: ISO 8601 in UTC, whole seconds."""
    return None if moment is None else moment.astimezone(UTC).replace(microsecond=0).isoformat()
