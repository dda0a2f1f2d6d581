"""A sealed world with more people than the cast: a second login of alice's, a bot, owners, a crowd, a guardrail a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import yaml

from approvals import genesis
from executor.demo import people
from executor.sandbox.world import DEMO
from tests.cast import ACCOUNT, Cast, table_arn

# Reviewers beside bob and carol, for crowds.
MORE: Final = tuple(f"reviewer-{number:02}" for number in range(1, 7))
_KEYS: Final = {handle: people._new_key() for handle in (*(person.handle for person in people.PEOPLE), "robo", *MORE)}
# Table -> what its guardrail asks for beside one approval.
TABLES: Final[Mapping[str, Mapping[str, Any]]] = {
    "prod-one": {},
    "prod-two": {"approvals": 2},
    "prod-open": {"unconfirmed": True},
    "prod-owned": {"approvals": 2, "groups": {"owners": 1}},
    "prod-glass": {"break_glass": {"groups": ["Requesters"], "review_within": 3600}},
}


def seal(tmp_path: Path, settings: Any, *, grants: Iterable[str], tables: Mapping[str, Mapping[str, Any]] = TABLES) -> Cast:
    """Seal it, with the genesis pinned in the settings; the second login is a change that two administrators signed.

    `grants` are the handles that hold the right under every guardrail.
    """
    path = people.write_manifest(SimpleNamespace(path=tmp_path), {name: _KEYS[name] for name in _cast()})  # type: ignore[arg-type]
    manifest = yaml.safe_load(path.read_text())
    manifest["persons"] += [_person(handle) for handle in MORE]
    manifest["persons"].append(
        _person("robo") | {"human": False, "principals": [f"iam_user:{DEMO.iam_arn('user/robo')}"], "passkeys": []}
    )
    manifest["groups"]["owners"] = ["carol"]
    manifest["guardrails"] = [_guardrail(table, asked) for table, asked in tables.items()]
    manifest["grants"] = [{"guardrail": f"on-{table}", "person": handle} for table in tables for handle in grants]
    sealed = genesis.seal(genesis.read(yaml.safe_dump(manifest)))
    settings.GENESIS = sealed.hash
    cast = Cast(sealed.hash, dict(_KEYS))
    cast.changed({"edit": "add_login", "person": "alice", "login": "al"})
    return cast


def _cast() -> list[str]:
    return [person.handle for person in people.PEOPLE]


def _person(handle: str) -> dict[str, Any]:
    key = _KEYS[handle]
    passkey = {
        "credential_id": key["credential_id"],
        "public_key": people.public_key(key["private_key"]),
        "label": "of the tests",
    }
    return {"handle": handle, "name": handle.capitalize(), "email": f"{handle}@example.com", "passkeys": [passkey]}


def _guardrail(table: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": f"on-{table}",
        "accounts": [ACCOUNT],
        "operations": ["dynamodb:DeleteTable", "dynamodb:UpdateTable"],
        "resources": [table_arn(table)],
        "approvals": 1,
        "irreversible": {"extra_approvals": 0, "typed_name": False, "hold": 0},
    } | dict(asked)
