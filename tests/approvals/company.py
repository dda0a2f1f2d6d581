"""A sealed world with more people than the cast: a second login of alice's, a bot, owners, a crowd, a guardrail a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final
from uuid import UUID

import yaml
from django.contrib.auth import get_user_model
from django.db import transaction

from approvals import genesis
from approvals.models import Login
from executor.demo import people
from executor.sandbox.world import DEMO
from tests.cast import ACCOUNT, Cast, table_arn

_ALICE: Final = UUID("a11ce000-0000-4000-8000-000000000001")
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
    """Seal it, with the genesis pinned in the settings. `grants` are the handles that hold the right under every guardrail."""
    path = people.write_manifest(SimpleNamespace(path=tmp_path), {name: _KEYS[name] for name in _cast()})  # type: ignore[arg-type]
    manifest = yaml.safe_load(path.read_text())
    manifest["persons"][0]["id"] = str(_ALICE)
    manifest["persons"] += [_person(handle) for handle in MORE]
    manifest["persons"].append(
        _person("robo") | {"human": False, "principals": [f"iam_user:{DEMO.iam_arn('user/robo')}"], "passkeys": []}
    )
    manifest["groups"]["owners"] = ["carol"]
    manifest["guardrails"] = [_guardrail(table, asked) for table, asked in tables.items()]
    manifest["grants"] = [{"guardrail": f"on-{table}", "person": handle} for table in tables for handle in grants]
    with transaction.atomic():
        # The second login is part of what is sealed; its person comes a moment later, and the foreign key waits that long.
        Login.objects.create(user=get_user_model().objects.create_user("al"), person_id=_ALICE)
        sealed = genesis.seal(genesis.read(yaml.safe_dump(manifest)))
    settings.GENESIS = sealed.hash
    return Cast(sealed.hash, dict(_KEYS))


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
