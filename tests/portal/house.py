"""A house for the table of every address: one sealed world with something in each state, and a visitor for each role.

Everything lies in one transaction of the module that never ends well; whoever changes something does it in a savepoint.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.db import connection, transaction
from django.test.client import ClientHandler, RequestFactory
from django.utils import timezone

from approvals import alerts, changes, decisions, ingest
from approvals.models import (
    Account,
    Alert,
    ApprovalRequest,
    AuditEntry,
    AuthorityChange,
    Execution,
    FeedBatch,
    Guardrail,
    GuardrailUserPermission,
    Invitation,
    Person,
    QuarantinedMessage,
    Statement,
)
from approvals.signatures import Assertion
from approvals.states import Verdict
from executor.demo import people
from tests import cast as standing
from tests.authenticators import registration
from tests.portal.hands import session_for

# Who is stopped before any page of the portal, and who is let in. `mallory` is a login that belongs to no person, `ivan` a person
# who was switched off, `robot` a bot with the right to review, `rosa` somebody without it whose login SQL made a superuser.
OUTSIDE = ("anonymous", "mallory", "ivan", "bob-without-factor", "dana-without-factor")
INSIDE = ("alice", "bob", "carol", "dana", "olivia", "robot", "rosa")
ROLES = OUTSIDE + INSIDE
# Whose requests or guardrails these are: for everybody else a request's state makes no difference.
CONCERNED = ("alice", "bob")

# How many there were, by method.
visits: Counter[str] = Counter()
_handler = ClientHandler(enforce_csrf_checks=False)


class Visitor(RequestFactory):
    """A browser with one role's session. Leaner than Django's client: a table has thousands of visits."""

    role: str = ""

    def request(self, **request: Any) -> Any:
        return _handler(self._base_environ(**request))  # type: ignore[attr-defined]

    def ask(self, method: str, url: str, data: Mapping[str, Any] | None = None) -> Any:
        """One visit. Query and form are those that a browser would send."""
        visits[method] += 1
        if method == "POST":
            return self.post(url, dict(data or {}), secure=True)
        return self.generic(method, url, secure=True)


@dataclass
class House:
    """The world: `requests` by what state each is in, `things` by what an address takes, as (label, argument)."""

    cast: standing.Cast
    requests: dict[str, ApprovalRequest] = field(default_factory=dict)
    things: dict[str, list[tuple[str, Any]]] = field(default_factory=dict)
    # An assertion of bob's that was accepted once, with the fields that went along.
    replayed: dict[str, str] = field(default_factory=dict)
    visitors: dict[str, Visitor] = field(default_factory=dict)
    # The fields of forms, as they were opened by somebody once.
    opened: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Whatever happens inside has not happened afterwards."""
        cache.clear()
        with transaction.atomic():
            yield
            transaction.set_rollback(True)


def build(folder: Path, given_settings: Any) -> House:
    """Seal the world and let something happen in it."""
    house = House(standing.seal(folder, given_settings, change=_more_people))
    _happen(house)
    _misfits()
    house.things = _things(house)
    for role in ROLES:
        house.visitors[role] = _visitor(role)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    return house


def _more_people(manifest: dict[str, Any]) -> None:
    guardrail = manifest["guardrails"][0]["name"]
    for handle, human in (("robot", False), ("ivan", True), ("rosa", True)):
        key = _key_of(handle)
        manifest["persons"].append({"handle": handle, "name": handle.capitalize(), "human": human, "passkeys": [key]})
        if handle != "rosa":
            manifest["grants"].append({"guardrail": guardrail, "person": handle})


def _key_of(handle: str) -> dict[str, str]:
    """A passkey of somebody who is not one of the demo's people, as a manifest names it; the cast keeps its private half."""
    key = standing._KEYS.setdefault(handle, people._new_key())
    public = people.public_key(key["private_key"])
    return {"credential_id": key["credential_id"], "public_key": public, "label": "software authenticator"}


def _happen(house: House) -> None:
    cast, made = house.cast, house.requests
    alice = cast.person("alice")
    made["incomplete"] = cast.denied_event("UpdateTable", "prod-incomplete")
    made["denied call"] = cast.denied_event("DeleteTable", "prod-denied-call")
    made["nobody's"] = cast.denied_event("DeleteTable", "prod-nobodys", "stranger")
    made["draft"] = cast.filed(TableName="prod-draft")
    made["pending"] = cast.pending(TableName="prod-pending")
    made["approved"] = _approved(house, "prod-approved")
    made["claimed"] = cast.approved(TableName="prod-claimed").revision.request
    Execution.objects.filter(revision__request=made["claimed"]).update(state="claimed", token=1)
    made["denied"] = cast.sign_review(cast.pending(TableName="prod-denied"), "bob", Verdict.DENY)
    made["withdrawn"] = decisions.withdraw(cast.filed(TableName="prod-withdrawn").pk, alice)
    made["disowned"] = decisions.disown(cast.denied_event("DeleteTable", "prod-disowned").pk, alice)
    made["expired"] = cast.pending(TableName="prod-expired")
    ApprovalRequest.objects.filter(pk=made["expired"].pk).update(pending_until=timezone.now() - timedelta(seconds=1))
    decisions.expire()
    succeeded = standing.trail_record("DeleteTable", "prod-customers", "mallory", denied=False)
    messages = [ingest.Message("m1", standing.envelope(succeeded)), ingest.Message("m2", "no JSON at all")]
    ingest.ingest(messages)
    closed = Alert.objects.order_by("pk").first()
    alerts.close(closed.pk, cast.person("dana"), "seen")
    # Overtaken by the invitation that is applied after it.
    cast.proposed({"edit": "set_settings", "checkpoint_every": 60})
    cast.changed({"edit": "invite", "person": "carol"})
    cast.proposed({"edit": "invite", "person": "olivia"})
    cast.paused("dana")
    cast.resuming()


def _approved(house: House, table: str) -> ApprovalRequest:
    """A request that bob approved, his assertion kept to be sent again."""
    cast = house.cast
    request = cast.pending(TableName=table)
    opened = decisions.begin(request.pk, cast.person("bob"), Verdict.APPROVE)
    assertion = cast.assertion("bob", opened)
    decisions.review(
        request.pk,
        cast.person("bob"),
        digest=opened.digest,
        verdict=Verdict.APPROVE,
        nonce=opened.nonce,
        assertion=assertion,
        reason="looked at it",
    )
    house.replayed = {"nonce": opened.nonce, **parts_of(assertion)}
    request.refresh_from_db()
    return request


def _misfits() -> None:
    """What no verb of the portal makes, and the owner of the database can."""
    users = get_user_model()
    mallory = users.objects.create_user("mallory", None, None, is_staff=True)
    known = GuardrailUserPermission.objects.filter(user__username="bob").get()
    GuardrailUserPermission.objects.create(user=mallory, permission=known.permission, content_object=known.content_object)
    Person.objects.filter(handle="ivan").update(is_active=False)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE portal_user DROP CONSTRAINT user_is_never_superuser")
    users.objects.filter(username="rosa").update(is_superuser=True)
    # The portal opens for persons alone; here somebody opened it for the bot.
    users.objects.filter(username="robot").update(is_staff=True)
    for user in users.objects.filter(username__in=["alice", "bob", "dana"]):
        Authenticator.objects.create(user=user, type="webauthn", data={"name": "key", "credential": _sign_in_key()})


def _sign_in_key() -> dict[str, Any]:
    """A security key for signing in, as allauth keeps one."""
    party = decisions.relying_party()
    made = registration(changes.Enrolment("", "", "AAAA", "", "", (), party))
    response = {"clientDataJSON": made.client_data, "attestationObject": made.attestation}
    return {"id": made.credential_id, "rawId": made.credential_id, "type": "public-key", "response": response}


def _things(house: House) -> dict[str, list[tuple[str, Any]]]:
    def all_of(model: Any, most: int = 2) -> list[tuple[str, Any]]:
        return [(str(row.pk), row.pk) for row in model.objects.order_by("pk")[:most]]

    bob = get_user_model().objects.get(username="bob")
    opened = Alert.objects.filter(closed_at=None).order_by("pk").first()
    closed = Alert.objects.exclude(closed_at=None).order_by("pk").first()
    return {
        "request": [*((state, request.pk) for state, request in house.requests.items()), ("unknown", uuid4())],
        "alert": [("open", opened.pk), ("closed", closed.pk), ("unknown", 4711)],
        "execution": all_of(Execution),
        "person": [(handle, house.cast.person(handle).pk) for handle in ("bob", "robot")],
        "group": all_of(Group, 1),
        "guardrail": all_of(Guardrail, 1),
        "account": all_of(Account, 1),
        "auditentry": all_of(AuditEntry, 2),
        "feedbatch": all_of(FeedBatch, 1),
        "quarantinedmessage": all_of(QuarantinedMessage, 1),
        "authoritychange": [*((c.state, c.pk) for c in AuthorityChange.objects.order_by("number")), ("unknown", uuid4())],
        "statement": [*((s.kind, s.pk) for s in Statement.objects.order_by("kind")), ("unknown", uuid4())],
        "invitation": [("carol's", Invitation.objects.get().pk), ("unknown", uuid4())],
        "factor": [("bob's", Authenticator.objects.get(user=bob).pk), ("unknown", 4711)],
        "provider": [("ours", "oidc"), ("unknown", "nobody")],
        "nothing": [("", None)],
    }


def _visitor(role: str) -> Visitor:
    visitor = Visitor()
    visitor.role = role
    if role != "anonymous":
        handle, _, without = role.partition("-")
        user = get_user_model().objects.get(username=handle)
        visitor.cookies[settings.SESSION_COOKIE_NAME] = session_for(user, second_factor=not without)
    return visitor


def parts_of(assertion: Assertion) -> dict[str, str]:
    """An assertion as the form carries it."""
    return {name: getattr(assertion, name) for name in ("credential_id", "client_data", "authenticator_data", "signature")}
