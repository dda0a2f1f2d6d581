"""The signed chain of who may do what. `decisions` reads the tables; the executor walks the chain and trusts nothing else.

The state is one canonical document: persons, their logins, principals and passkeys, groups, grants, guardrail versions, accounts.
Link 0 is the genesis; its hash stands in the executor's own configuration, so whoever can write the database cannot begin another
chain. Later links carry signatures of a quorum over (new state, previous hash).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import Group
from fido2.utils import websafe_decode

from approvals import canonical
from approvals.errors import BadAuthority, BadCanonicalForm
from approvals.models import (
    Account,
    AuthorityLink,
    GuardrailGroupPermission,
    GuardrailUserPermission,
    GuardrailVersion,
    Passkey,
    Person,
)
from approvals.permissions import REVIEW
from approvals.policies import Rules, rules_from_text

SCHEMA = "countersign/authority/1"


@dataclass(frozen=True, slots=True)
class KnownAccount:
    """An account as the chain knows it."""

    id: str
    partition: str
    regions: tuple[str, ...]
    executor_role_arn: str
    external_id: str


@dataclass(frozen=True, slots=True)
class Authority:
    """The newest state of a chain that was walked from its pinned genesis. Persons are their ids as text."""

    persons: Mapping[str, Mapping[str, Any]]
    passkeys: Mapping[str, tuple[str, bytes]]
    rights: Mapping[str, frozenset[str]]
    guardrails: Mapping[str, tuple[int, str, Rules]]
    versions: Mapping[tuple[str, int], tuple[str, Rules]]
    accounts: Mapping[str, KnownAccount]
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def groups_of(self, person: str) -> frozenset[str]:
        """The names of the groups that a login of this person is in."""
        return self.groups.get(person, frozenset())

    def is_voter(self, person: str) -> bool:
        """Whether this is an active human."""
        found = self.persons.get(person)
        return found is not None and found["active"] is True and found["human"] is True


def link_hash(number: int, previous: str, state: str) -> str:
    """The hash of one link: over its number, the hash of the one before and the state's canonical text."""
    return canonical.digest(f"{SCHEMA}\n{number}\n{previous}\n{state}")


def state_of_tables() -> str:
    """The canonical text of what the tables of authority say now."""
    return canonical.dumps(
        {
            "schema": SCHEMA,
            "accounts": [_account(account) for account in Account.objects.order_by("id")],
            "persons": [_person(person) for person in _persons()],
            "groups": _groups(),
            "grants": _grants(),
            "guardrails": [
                {"name": version.guardrail.name, "number": version.number, "hash": version.hash, "text": version.text}
                for version in GuardrailVersion.objects.select_related("guardrail").order_by("guardrail__name", "number")
            ],
        }
    )


def walk(pin: str) -> Authority:
    """Walk the chain from the genesis whose hash is `pin` and return its newest state.

    Raises BadAuthority when there is no pin, the genesis is another one, a link does not follow, or the tables say something else
    than the newest link: then somebody wrote authority without the signatures for it.
    """
    if not pin:
        raise BadAuthority(
            "COUNTERSIGN_GENESIS is not set: the executor trusts no authority that its own configuration does not pin."
        )
    links = list(AuthorityLink.objects.order_by("number"))
    if not links:
        raise BadAuthority("There is no authority yet. Run `manage.py bootstrap MANIFEST` first.")
    genesis, *later = links
    if genesis.number != 0 or genesis.previous or link_hash(0, "", genesis.state) != genesis.hash or genesis.hash != pin:
        raise BadAuthority("The genesis in the database is not the one that the executor's configuration pins.")
    if later:
        # Changes of authority need signatures that this version cannot make, so any later link is a forgery.
        raise BadAuthority(f"Authority link {later[0].number} carries no quorum's signatures.")
    if state_of_tables() != links[-1].state:
        raise BadAuthority(
            "The tables of authority differ from the signed chain: somebody changed a person, key, grant or guardrail."
        )
    return _read(links[-1].state)


def _read(text: str) -> Authority:
    try:
        state = canonical.loads(text)
    except BadCanonicalForm as error:
        raise BadAuthority(f"The state of authority cannot be read: {error}") from error
    persons = {person["id"]: person for person in state["persons"]}
    versions = {(row["name"], row["number"]): (row["hash"], rules_from_text(row["text"])) for row in state["guardrails"]}
    newest: dict[str, tuple[int, str, Rules]] = {}
    for (name, number), (text_hash, rules) in versions.items():
        if name not in newest or newest[name][0] < number:
            newest[name] = (number, text_hash, rules)
    return Authority(
        persons=persons,
        passkeys={
            key["credential_id"]: (person["id"], websafe_decode(key["public_key"]))
            for person in state["persons"]
            for key in person["passkeys"]
        },
        rights=_rights(state, persons),
        guardrails=newest,
        versions=versions,
        accounts={
            row["id"]: KnownAccount(
                row["id"], row["partition"], tuple(row["regions"]), row["executor_role_arn"], row["external_id"]
            )
            for row in state["accounts"]
        },
        groups=_groups_of(state, persons),
    )


def _groups_of(state: dict[str, Any], persons: Mapping[str, Mapping[str, Any]]) -> dict[str, frozenset[str]]:
    return {
        person: frozenset(name for name, logins in state["groups"].items() if set(logins) & set(found["logins"]))
        for person, found in persons.items()
    }


def _rights(state: dict[str, Any], persons: Mapping[str, Mapping[str, Any]]) -> dict[str, frozenset[str]]:
    by_login = {login: person["id"] for person in persons.values() for login in person["logins"]}
    rights: dict[str, set[str]] = {person: set() for person in persons}
    for grant in state["grants"]:
        logins = [grant["login"]] if grant.get("login") else state["groups"].get(grant["group"], [])
        for login in logins:
            if login in by_login:
                rights[by_login[login]].add(grant["guardrail"])
    return {person: frozenset(names) for person, names in rights.items()}


def _account(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "alias": account.alias,
        "partition": account.partition,
        "regions": sorted(account.regions),
        "executor_role_arn": account.executor_role_arn,
        "external_id": account.external_id,
        "environment": account.environment,
    }


def _persons() -> list[Person]:
    return list(Person.objects.order_by("id").prefetch_related("logins__user", "principals", "passkeys"))


def _person(person: Person) -> dict[str, Any]:
    return {
        "id": str(person.id),
        "handle": person.handle,
        "human": person.is_human,
        "active": person.is_active,
        "administrator": person.is_administrator,
        "auditor": person.is_auditor,
        "logins": sorted(login.user.get_username() for login in person.logins.all()),
        "principals": sorted(f"{principal.kind}:{principal.value}" for principal in person.principals.all()),
        "passkeys": sorted((_passkey(key) for key in person.passkeys.all()), key=lambda key: key["credential_id"]),
    }


def _passkey(key: Passkey) -> dict[str, str]:
    return {"credential_id": key.credential_id, "public_key": key.public_key, "label": key.label}


def _groups() -> dict[str, list[str]]:
    groups = Group.objects.order_by("name").prefetch_related("user_set")
    return {group.name: sorted(user.get_username() for user in group.user_set.all()) for group in groups}


def _grants() -> list[dict[str, str]]:
    users = GuardrailUserPermission.objects.filter(permission__codename=REVIEW).select_related("user", "content_object")
    groups = GuardrailGroupPermission.objects.filter(permission__codename=REVIEW).select_related("group", "content_object")
    found = [{"guardrail": grant.content_object.name, "login": grant.user.get_username()} for grant in users]
    found += [{"guardrail": grant.content_object.name, "group": grant.group.name} for grant in groups]
    return sorted(found, key=lambda grant: (grant["guardrail"], grant.get("login", ""), grant.get("group", "")))
