"""The standing cast on a sealed world: alice asks, bob and carol review (carol without the right), mallory attacks.

The fixture `cast` (tests/conftest.py) seals the demo's world in the test's database: `db`, or `cloned_database` if taken.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import yaml
from fido2.utils import websafe_encode

from approvals import changes, decisions, ingest, statements
from approvals.ceremonies import Ceremony
from approvals.models import ApprovalRequest, AuthorityChange, Execution, Person, Statement
from approvals.signatures import Assertion
from approvals.states import Verdict
from executor.demo import people
from executor.sandbox.world import DEMO
from portal import software_authenticator
from tests import worlds

ACCOUNT = DEMO.account
REGION = DEMO.region
# Made once: P-256 keys are quick, but hundreds of tests are more.
_KEYS = {person.handle: people._new_key() for person in people.PEOPLE}


def table_arn(table: str) -> str:
    return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{table}"


def trail_record(
    operation: str = "DeleteTable", table: str = "prod-orders", user: str = "alice", *, denied: bool = True, **changes: Any
) -> dict[str, Any]:
    """A CloudTrail record as AWS writes it for a DynamoDB call by an IAM user; denied without parameters, succeeded with."""
    arn = f"arn:aws:iam::{ACCOUNT}:user/{user}"
    record: dict[str, Any] = {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": f"AIDA{user.upper()}",
            "arn": arn,
            "accountId": ACCOUNT,
            "accessKeyId": f"AKIA{user.upper()}",
            "userName": user,
        },
        "eventTime": "2026-11-23T10:00:00Z",
        "eventSource": "dynamodb.amazonaws.com",
        "eventName": operation,
        "awsRegion": REGION,
        "sourceIPAddress": "192.0.2.7",
        "userAgent": "aws-cli/2.31 md/command#dynamodb.delete-table",
        "requestParameters": None if denied else {"tableName": table},
        "responseElements": None,
        "requestID": uuid4().hex.upper(),
        "eventID": str(uuid4()),
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
    }
    if denied:
        record["errorCode"] = "AccessDenied"
        record["errorMessage"] = (
            f"User: {arn} is not authorized to perform: dynamodb:{operation} on resource: {table_arn(table)} "
            "with an explicit deny in an identity-based policy"
        )
    return record | changes


def envelope(record: Any, **changes: Any) -> str:
    """The EventBridge envelope around a record, as the queue carries it."""
    return json.dumps(
        {
            "version": "0",
            "id": str(uuid4()),
            "detail-type": "AWS API Call via CloudTrail",
            "source": "aws.dynamodb",
            "account": ACCOUNT,
            "time": "2026-11-23T10:00:00Z",
            "region": REGION,
            "resources": [],
            "detail": record,
        }
        | changes
    )


@dataclass
class Cast:
    """A sealed world. Keys are the software authenticators' of the demo's people."""

    genesis: str
    keys: dict[str, dict[str, str]] = field(default_factory=dict)
    # What happens before anybody signs: where there is an executor, it reads the target and freezes the plan.
    before_signing: Callable[[ApprovalRequest], None] = field(default=lambda request: None)

    def person(self, handle: str) -> Person:
        return Person.objects.get(handle=handle)

    def denied_event(self, operation: str = "DeleteTable", table: str = "prod-orders", user: str = "alice") -> ApprovalRequest:
        """A denied call came through the queue: the draft that it became."""
        record = trail_record(operation, table, user)
        ingest.ingest([ingest.Message(str(uuid4()), envelope(record))])
        return ApprovalRequest.objects.get(records__event_id=record["eventID"])

    def filed(self, operation: str = "dynamodb:DeleteTable", by: str = "alice", **parameters: Any) -> ApprovalRequest:
        """A draft filed in the portal."""
        return decisions.file(
            self.person(by),
            account_id=ACCOUNT,
            region=REGION,
            operation=operation,
            parameters=parameters or {"TableName": "prod-orders"},
        )

    def assertion(self, handle: str, ceremony: Ceremony) -> Assertion:
        """What this person's passkey answers."""
        key = self.keys[handle]
        return software_authenticator.assertion(key["credential_id"], key["private_key"], ceremony)

    def sign_confirm(
        self, request: ApprovalRequest, handle: str = "alice", reason: str = "the table is empty"
    ) -> ApprovalRequest:
        self.before_signing(request)
        ceremony = decisions.begin(request.pk, self.person(handle), Verdict.CONFIRM)
        return decisions.confirm(
            request.pk,
            self.person(handle),
            digest=ceremony.digest,
            nonce=ceremony.nonce,
            assertion=self.assertion(handle, ceremony),
            reason=reason,
        )

    def sign_review(
        self, request: ApprovalRequest, handle: str = "bob", verdict: Verdict = Verdict.APPROVE, reason: str = "looked at it"
    ) -> ApprovalRequest:
        self.before_signing(request)
        ceremony = decisions.begin(request.pk, self.person(handle), verdict)
        return self.review(request, handle, ceremony, self.assertion(handle, ceremony), verdict, reason)

    def review(
        self,
        request: ApprovalRequest,
        handle: str,
        ceremony: Ceremony,
        assertion: Assertion,
        verdict: Verdict = Verdict.APPROVE,
        reason: str = "looked at it",
    ) -> ApprovalRequest:
        """What a ceremony that was begun ends with, by the answer of a passkey."""
        return decisions.review(
            request.pk,
            self.person(handle),
            digest=ceremony.digest,
            verdict=verdict,
            nonce=ceremony.nonce,
            assertion=assertion,
            reason=reason,
        )

    def pending(self, **filed: Any) -> ApprovalRequest:
        """A request that alice filed and confirmed."""
        return self.sign_confirm(self.filed(**filed))

    def approved(self, **filed: Any) -> Execution:
        """The execution of a request that bob approved."""
        request = self.sign_review(self.pending(**filed))
        return Execution.objects.get(revision__request=request)

    def sign_change(self, change: AuthorityChange, handle: str, verdict: Verdict = Verdict.APPROVE, reason: str = "") -> str:
        """An administrator's signature under a change of authority; returns his code, where the change invites somebody."""
        opened = changes.begin(change.pk, self.person(handle), verdict)
        changes.sign(
            change.pk,
            self.person(handle),
            digest=opened.digest,
            verdict=verdict,
            nonce=opened.nonce,
            assertion=self.assertion(handle, opened),
            reason=reason or ("looked at it" if verdict is Verdict.DENY else ""),
        )
        return opened.code

    def proposed(self, *edits: dict[str, Any], by: str = "dana") -> AuthorityChange:
        """A change of authority that nobody has signed."""
        return changes.propose(self.person(by), list(edits), reason="it is time")

    def changed(self, *edits: dict[str, Any], by: str = "dana", signers: tuple[str, ...] = ("dana", "erin")) -> AuthorityChange:
        """A change of authority that was proposed, signed and applied."""
        change = self.proposed(*edits, by=by)
        for handle in signers:
            self.sign_change(change, handle)
        assert changes.apply(change.pk)
        return AuthorityChange.objects.get(pk=change.pk)

    def sign_statement(
        self, statement: Statement, handle: str, verdict: Verdict = Verdict.APPROVE, reason: str = ""
    ) -> Statement:
        """This person's signature under a statement."""
        opened = statements.begin(statement.pk, self.person(handle), verdict)
        return statements.sign(
            statement.pk,
            self.person(handle),
            digest=opened.digest,
            verdict=verdict,
            nonce=opened.nonce,
            assertion=self.assertion(handle, opened),
            reason=reason or ("it is wrong" if verdict is Verdict.DENY else ""),
        )

    def paused(self, by: str = "dana", reason: str = "something is wrong") -> Statement:
        """An administrator pauses all executions."""
        return self.sign_statement(statements.pause(self.person(by), reason=reason), by)

    def resuming(self, *signers: str, reason: str = "it was nothing") -> Statement:
        """A resuming of what is paused, signed by these; the execution process has not acted on it yet."""
        statement = statements.propose_resuming(self.person("dana"), reason=reason)
        for handle in signers:
            self.sign_statement(statement, handle)
        return statement


def forged(assertion: Assertion, **changes: str) -> Assertion:
    """The same assertion with parts replaced."""
    parts = {
        "credential_id": assertion.credential_id,
        "client_data": assertion.client_data,
        "authenticator_data": assertion.authenticator_data,
        "signature": assertion.signature,
    }
    return Assertion(**(parts | changes))


def noise() -> str:
    return websafe_encode(b"\x30\x06\x02\x01\x01\x02\x01\x01")


def seal(
    _: Any, settings: Any, *, whole: bool = False, change: Callable[[dict[str, Any]], None] | None = None, **guardrail: Any
) -> Cast:
    """Seal the demo's world, the tables' guardrail alone or the `whole`; `guardrail` replaces fields of the first.

    `change` may do anything to the manifest before it is sealed (`with_carol`, `with_a_bot`).
    """
    manifest = json.loads(_demo())
    manifest["guardrails"][0].update(guardrail)
    if not whole:
        del manifest["guardrails"][1:]
        name = DEMO.guardrails[0].name
        manifest["grants"] = [grant for grant in manifest["grants"] if grant["guardrail"] == name]
    if change is not None:
        change(manifest)
    found = worlds.sealed(json.dumps(manifest))
    settings.GENESIS = found
    return Cast(found, _KEYS)


# A thousand tests seal the same few worlds, and YAML is slow to write and to read.
@cache
def _demo() -> str:
    """The demo's manifest, as JSON."""
    with TemporaryDirectory() as folder:
        path = people.write_manifest(SimpleNamespace(path=Path(folder)), _KEYS)  # type: ignore[arg-type]
        return json.dumps(yaml.safe_load(path.read_text()))


def with_carol(manifest: dict[str, Any]) -> None:
    """Carol may review too, and is of a group of her own, `Owners`."""
    manifest["grants"] += [{"guardrail": one["name"], "person": "carol"} for one in manifest["guardrails"]]
    manifest["groups"]["Owners"] = ["carol"]


def with_a_bot(manifest: dict[str, Any]) -> None:
    """A pipeline's IAM user, `deployer`, is known and no person; carol may review too."""
    with_carol(manifest)
    bot = {"handle": "deployer", "name": "Deployer", "human": False, "principals": [f"iam_user:{DEMO.iam_arn('user/deployer')}"]}
    manifest["persons"].append(bot)


def now() -> datetime:
    return datetime.now(UTC)
