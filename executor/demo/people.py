"""The people of the demo, their software authenticators' keys, and the genesis manifest that makes them known.

The private keys lie in the state folder, readable by its owner alone, as JSON:
{"alice": {"credential_id": base64url, "private_key": PEM (PKCS #8, P-256)}, ...}.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from fido2 import cbor
from fido2.cose import ES256
from fido2.utils import websafe_encode

from executor.demo.state import StateFolder
from executor.sandbox.world import DEMO, DemoGuardrail, DemoWorldFacts

KEYS_FILE = "authenticators.json"
MANIFEST_FILE = "genesis.yaml"


@dataclass(frozen=True)
class DemoPerson:
    """Somebody who can sign in at the demo. `part` says in words what they are there for."""

    handle: str
    name: str
    part: str
    group: str = ""
    administrator: bool = False
    auditor: bool = False
    reviews: bool = False
    iam_user: bool = False


PEOPLE = (
    DemoPerson("alice", "Alice Ames", "asks for things", "Requesters", iam_user=True),
    DemoPerson("bob", "Bob Brandt", "reviews what touches production", "Approvers", reviews=True, iam_user=True),
    DemoPerson("carol", "Carol Costa", "reviews, but under none of these guardrails", "Approvers", iam_user=True),
    DemoPerson("dana", "Dana Diaz", "administrator", administrator=True),
    DemoPerson("erin", "Erin Engel", "administrator", administrator=True),
    DemoPerson("frank", "Frank Fox", "administrator", administrator=True),
    DemoPerson("olivia", "Olivia Ort", "auditor", auditor=True),
)


def ensure_keys(state: StateFolder) -> dict[str, dict[str, str]]:
    """The people's private keys, made at the first start and kept."""
    path = state.path / KEYS_FILE
    if path.exists():
        return dict(json.loads(path.read_text()))
    keys = {person.handle: _new_key() for person in PEOPLE}
    state.write_secret(KEYS_FILE, json.dumps(keys, indent=1))
    return keys


def write_manifest(state: StateFolder, keys: dict[str, dict[str, str]]) -> Path:
    """Write the genesis manifest of the demo, with the public halves of the keys."""
    manifest = {
        "schema": "countersign/genesis/1",
        "accounts": [_account(DEMO)],
        "persons": [_person(person, keys[person.handle], DEMO) for person in PEOPLE],
        "groups": _groups(),
        "guardrails": [_guardrail(DEMO, guardrail) for guardrail in DEMO.guardrails],
        "grants": [
            {"guardrail": guardrail.name, "person": person.handle}
            for guardrail in DEMO.guardrails
            for person in PEOPLE
            if person.reviews
        ],
    }
    path = state.path / MANIFEST_FILE
    path.write_text(
        "# Written by `manage.py demo`; sealed by `manage.py bootstrap`.\n" + yaml.safe_dump(manifest, sort_keys=False)
    )
    return path


def public_key(private_key: str) -> str:
    """The COSE public key (CBOR bytes, base64url without padding) of a private key in PEM."""
    private = load_pem_private_key(private_key.encode(), password=None)
    cose = ES256.from_cryptography_key(private.public_key())  # type: ignore[no-untyped-call]
    return websafe_encode(cbor.encode(cose))


def _new_key() -> dict[str, str]:
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return {"credential_id": websafe_encode(secrets.token_bytes(32)), "private_key": pem}


def _account(facts: DemoWorldFacts) -> dict[str, Any]:
    return {
        "id": facts.account,
        "alias": facts.alias,
        "partition": facts.partition,
        "regions": [facts.region],
        "executor_role_arn": facts.executor_role_arn,
        "external_id": facts.external_id,
        "environment": "production",
    }


def _person(person: DemoPerson, key: dict[str, str], facts: DemoWorldFacts) -> dict[str, Any]:
    found: dict[str, Any] = {
        "handle": person.handle,
        "name": person.name,
        "email": f"{person.handle}@example.com",
        "passkeys": [
            {
                "credential_id": key["credential_id"],
                "public_key": public_key(key["private_key"]),
                "label": "software authenticator of the demo",
            }
        ],
    }
    if person.iam_user:
        found["principals"] = [f"iam_user:{facts.iam_arn(f'user/{person.handle}')}"]
    if person.administrator:
        found["administrator"] = True
    if person.auditor:
        found["auditor"] = True
    return found


def _groups() -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for person in PEOPLE:
        if person.group:
            groups.setdefault(person.group, []).append(person.handle)
    return groups


def _guardrail(facts: DemoWorldFacts, guardrail: DemoGuardrail) -> dict[str, Any]:
    return {
        "name": guardrail.name,
        "description": guardrail.description,
        "mode": "enforce",
        "accounts": [facts.account],
        "operations": list(guardrail.operations),
        "resources": list(facts.protected_resources(guardrail)),
        "approvals": 1,
        # Low, so that one approver and no waiting show the whole story. The usual is one approver more and a hold.
        "irreversible": {"extra_approvals": 0, "typed_name": False, "hold": 0},
    }
