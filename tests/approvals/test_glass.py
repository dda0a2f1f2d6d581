"""Break-glass: one eligible person acts at once; everybody is told; another approver reviews it; never what cannot be undone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from approvals import alerts, authority, clearance, decisions, notifications, signatures
from approvals.ceremonies import Ceremony
from approvals.clearance import Forged
from approvals.decisions import signing
from approvals.errors import Expired, NotAllowed, OwnRequest, Refused, WrongState
from approvals.models import Alert, ApprovalRequest, AuditEntry, Execution, OutboxMessage, SignatureChallenge
from approvals.states import Verdict
from tests.approvals.test_clearance import as_the_owner, clear
from tests.cast import seal, with_carol

GLASS = {"break_glass": {"groups": ["Owners"], "review_within": 3600}}
UNDONE = {"operation": "dynamodb:UpdateTable", "TableName": "prod-orders", "DeletionProtectionEnabled": True}


@pytest.fixture
def world(db, tmp_path, settings):
    """Seal a world under these rules: carol is of Owners, who may break the glass; bob and carol may review."""

    def sealed(**rules):
        wanted = {name: value for name, value in {**GLASS, **rules}.items() if value is not None}
        return seal(tmp_path, settings, change=with_carol, **wanted)

    return sealed


def breaking(cast, request, handle="carol", reason="orders cannot be written"):
    person = cast.person(handle)
    ceremony = decisions.begin(request.pk, person, Verdict.BREAK_GLASS)
    assertion = cast.assertion(handle, ceremony)
    return decisions.break_glass(
        request.pk, person, digest=ceremony.digest, nonce=ceremony.nonce, assertion=assertion, reason=reason
    )


def signed_past_the_checks(cast, request, handle="carol"):
    """A real signature that breaks the glass, as a web process would take it that asks nothing first."""
    person, revision, now = cast.person(handle), request.current_revision(), timezone.now()
    nonce = signatures.new_nonce(now)
    text = signatures.websafe(nonce)
    ends = now + signatures.LIFETIME
    SignatureChallenge.objects.create(
        nonce=text, revision=revision, person=person, verdict="breakglass", created_at=now, expires_at=ends
    )
    challenge = signatures.websafe(signatures.challenge(revision.digest, Verdict.BREAK_GLASS, nonce))
    party = decisions.relying_party()
    ceremony = Ceremony(text, challenge, revision.digest, Verdict.BREAK_GLASS, (), party)
    signing.sign(revision, person, Verdict.BREAK_GLASS, text, cast.assertion(handle, ceremony), now)


def filed(cast, by="carol", **changes):
    return cast.filed(by=by, **{**UNDONE, **changes})


def test_one_eligible_person_acts_at_once(world):
    """Draft to approved with one signature, due now, and the executor finds the same from what was signed."""
    cast = world()
    request = breaking(cast, filed(cast))
    execution = Execution.objects.get()
    assert (request.state, request.break_glass) == ("approved", True)
    assert execution.not_before <= timezone.now()
    assert OutboxMessage.objects.get(kind="execute").due_at <= timezone.now()
    assert clear(cast, execution) == request.current_revision().plan
    assert AuditEntry.objects.get(kind="request.glass-broken").actor == "person:carol"


def test_every_approver_and_administrator_is_told(world):
    """With who it was and the reason, apart from the alert."""
    cast = world()
    breaking(cast, filed(cast))
    (note,) = [notifications.compose(one) for one in OutboxMessage.objects.filter(topic=notifications.GLASS_BROKEN)]
    assert note.to == ("bob", "dana", "erin", "frank")
    assert "orders cannot be written" in note.body


@pytest.mark.parametrize(
    ("rules", "request_of", "handle", "refusal", "said"),
    [
        ({"break_glass": None}, {}, "carol", NotAllowed, "no break-glass"),
        ({}, {"by": "alice"}, "alice", NotAllowed, "none of the groups"),
        ({}, {"by": "alice"}, "carol", NotAllowed, "Only the requester"),
        ({}, {"operation": "dynamodb:DeleteTable", "DeletionProtectionEnabled": None}, "carol", Refused, "cannot be undone"),
    ],
    ids=["off", "not-eligible", "somebody-elses", "irreversible"],
)
def test_nobody_else_and_nothing_else(world, rules, request_of, handle, refusal, said):
    """Off unless the guardrail has it; for its groups alone; for one's own request; never for what cannot be undone."""
    cast = world(**rules)
    request = _without_none(cast, request_of)
    with pytest.raises(refusal, match=said):
        decisions.begin(request.pk, cast.person(handle), Verdict.BREAK_GLASS)
    assert ApprovalRequest.objects.get().state == "draft"


def _without_none(cast, changes):
    fields = {"by": "carol", **UNDONE, **changes}
    return cast.filed(**{name: value for name, value in fields.items() if value is not None})


def test_a_reason_is_demanded_whatever_the_guardrail_says(world):
    """Whoever reviews it has to know what the emergency was."""
    cast = world(reason=False)
    with pytest.raises(Refused, match="Give a reason"):
        breaking(cast, filed(cast), reason=" ")


def test_it_waits_for_no_window_and_no_freeze(world):
    """An emergency is at once; ordinary approvals are delayed by the same freeze."""
    now = timezone.now()
    day = timedelta(days=1)
    freeze = {"from": f"{now - day:%Y-%m-%dT%H:%M}", "until": f"{now + day:%Y-%m-%dT%H:%M}", "zone": "UTC", "why": "sale"}
    cast = world(freezes=[freeze])
    breaking(cast, filed(cast))
    assert clear(cast, Execution.objects.get())


class TestTheReview:
    def test_it_is_open_until_another_approver_closes_it_with_a_reason(self, world):
        """An alert with a clock; bob says what he found, which is told and in the trail."""
        cast = world()
        breaking(cast, filed(cast))
        alert = Alert.objects.get()
        assert (alert.kind, alert.closed_at) == ("glass", None)
        assert alert.due_at is not None
        assert alert.due_at - timezone.now() == pytest.approx(timedelta(hours=1), abs=timedelta(minutes=1))
        decisions.review_glass(alert.pk, cast.person("bob"), reason="It was needed: the queue was full.")
        alert.refresh_from_db()
        assert (alert.closed_by.handle, alert.closed_why) == ("bob", "It was needed: the queue was full.")
        assert AuditEntry.objects.get(kind="request.glass-reviewed").actor == "person:bob"
        (note,) = [notifications.compose(one) for one in OutboxMessage.objects.filter(topic=notifications.GLASS_REVIEWED)]
        assert note.to == ("carol", "dana", "erin", "frank")
        with pytest.raises(WrongState, match="reviewed by bob already"):
            decisions.review_glass(alert.pk, cast.person("bob"), reason="again")

    @pytest.mark.parametrize(("handle", "refusal"), [("carol", OwnRequest), ("alice", NotAllowed), ("dana", NotAllowed)])
    def test_neither_who_broke_it_nor_who_may_not_review(self, world, handle, refusal):
        """carol is an approver and broke it herself; dana is an administrator, and administrators close other alerts."""
        cast = world()
        breaking(cast, filed(cast))
        alert = Alert.objects.get()
        with pytest.raises(refusal):
            decisions.review_glass(alert.pk, cast.person(handle), reason="fine")
        with pytest.raises(NotAllowed, match=r"Another approver|Only an administrator"):
            alerts.close(alert.pk, cast.person(handle), "fine")

    def test_the_database_refuses_the_same(self, world):
        """Whoever broke it closes nothing by SQL either, and nobody moves its clock."""
        cast = world()
        breaking(cast, filed(cast))
        for change in (
            {"closed_by": cast.person("carol"), "closed_at": timezone.now(), "closed_why": "fine"},
            {"due_at": timezone.now() + timedelta(days=300)},
        ):
            with pytest.raises(IntegrityError, match="another person reviews"), transaction.atomic():
                Alert.objects.update(**change)

    def test_what_nobody_closes_is_escalated_again_and_again_within_a_bound(self, world):
        """When it is due, and after twice and four times as long; closed meanwhile, nothing is said."""
        cast = world()
        breaking(cast, filed(cast))
        late = OutboxMessage.objects.filter(topic=notifications.GLASS_OVERDUE).order_by("due_at")
        hours = [round((message.due_at - timezone.now()).total_seconds() / 3600) for message in late]
        assert hours == [1, 2, 4]
        note = notifications.compose(late[0])
        assert note.to == ("dana", "erin", "frank", "bob")
        decisions.review_glass(Alert.objects.get().pk, cast.person("bob"), reason="fine")
        assert [notifications.compose(message) for message in late] == [None] * 3


class TestAtTheClaim:
    def test_a_denial_still_stops_it(self, world):
        """Until the claim any reviewer ends it."""
        cast = world()
        request = breaking(cast, filed(cast))
        cast.sign_review(request, "bob", Verdict.DENY)
        with pytest.raises(WrongState):
            clear(cast, Execution.objects.get())

    def test_who_left_the_group_acts_no_more(self, world):
        """Eligibility is read again at the claim, from tables and authority both."""
        cast = world()
        breaking(cast, filed(cast))
        walked = authority.walk(cast.genesis)
        cast.person("carol").logins.get().user.groups.clear()
        with pytest.raises(Refused, match="does not let this person"):
            clearance.clear(Execution.objects.get(), walked, decisions.relying_party(), now=timezone.now())

    def test_who_was_switched_off_acts_no_more_and_is_no_forgery(self, world):
        """An ordinary refusal: the gravest alert is for rows that nobody signed."""
        cast = world()
        breaking(cast, filed(cast))
        walked = authority.walk(cast.genesis)
        user = cast.person("carol").logins.get().user
        user.is_active = False
        user.save()
        with pytest.raises(Refused, match="switched off") as refusal:
            clearance.clear(Execution.objects.get(), walked, decisions.relying_party(), now=timezone.now())
        assert not isinstance(refusal.value, Forged)

    def test_it_is_good_for_its_time(self, world):
        """Afterwards it takes its usual approvals again."""
        cast = world()
        breaking(cast, filed(cast))
        with pytest.raises(Expired):
            clear(cast, Execution.objects.get(), timezone.now() + timedelta(hours=1, minutes=1))

    def test_a_glass_that_nobody_broke_is_a_forgery(self, world):
        """A row marked so, without that one signature: neither the trigger nor the executor lets it be."""
        cast = world()
        request = filed(cast)
        marked = {"state": "approved", "break_glass": True, "version": 2}
        with pytest.raises(IntegrityError, match="breaking the glass"), transaction.atomic():
            ApprovalRequest.objects.filter(pk=request.pk).update(**marked)
        revision = request.current_revision()
        as_the_owner(
            "UPDATE approvals_approvalrequest SET state = 'approved', break_glass = true, "
            "approved_until = now() + interval '1 hour'",
            "INSERT INTO approvals_execution (id, revision_id, state, token, worker, not_before, valid_until, created_at, "
            f"outcome) VALUES (gen_random_uuid(), {revision.pk}, 'ready', 0, '', now(), now() + interval '1 hour', now(), '')",
        )
        with pytest.raises(Forged, match="fewer than two persons"):
            clear(cast, Execution.objects.get())

    def test_a_glass_that_was_broken_for_what_cannot_be_undone_is_a_forgery(self, world):
        """A real signature of an eligible person, which a web process took without asking: the executor reads the plan itself."""
        cast = world()
        request = cast.filed(by="carol", TableName="prod-orders")
        signed_past_the_checks(cast, request)
        until = timezone.now() + timedelta(hours=1)
        marked = {"state": "approved", "break_glass": True, "version": 2, "approved_until": until}
        ApprovalRequest.objects.filter(pk=request.pk).update(**marked)
        now = timezone.now()
        row = {"revision": request.current_revision(), "not_before": now, "valid_until": until, "created_at": now}
        with pytest.raises(Forged, match="cannot be undone"):
            clear(cast, Execution.objects.create(**row))

    def test_a_guardrail_without_one_is_not_broken_by_sql(self, world, tmp_path, settings):
        """The trigger reads the versions that the plan was frozen under."""
        cast = world(break_glass=None)
        request = filed(cast)
        signed_past_the_checks(cast, request)
        with pytest.raises(IntegrityError, match="where every guardrail has one"), transaction.atomic():
            ApprovalRequest.objects.filter(pk=request.pk).update(state="approved", break_glass=True, version=2)
