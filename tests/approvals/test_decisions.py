"""The verbs that move a request, and every refusal of theirs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from approvals import decisions
from approvals.errors import (
    AlreadyReviewed,
    BadParameters,
    BadSignature,
    Expired,
    NotAllowed,
    NothingMatches,
    OwnRequest,
    Refused,
    StaleRevision,
    WrongState,
)
from approvals.models import Alert, ApprovalRequest, Execution, OutboxMessage, Review, Revision, Signature, SignatureChallenge
from approvals.states import Completeness, RequestState, Verdict
from tests.cast import ACCOUNT, REGION, forged, noise, table_arn


def state_of(request: ApprovalRequest) -> str:
    return ApprovalRequest.objects.get(pk=request.pk).state


class TestAsking:
    def test_a_denied_delete_table_becomes_a_draft_that_needs_nothing_but_a_signature(self, cast):
        """DeleteTable is rebuilt whole from the denial message, for the person behind the IAM user."""
        request = cast.denied_event("DeleteTable", "prod-orders")
        revision = request.current_revision()
        assert (request.state, request.requester.handle, request.target) == ("draft", "alice", "prod-orders")
        assert revision.completeness == Completeness.REBUILT
        assert revision.plan.steps[0].parameters == {"TableName": "prod-orders"}

    def test_a_denied_update_table_has_no_plan_until_somebody_completes_it(self, cast):
        """Where the message tells only the table, there is nothing to sign yet."""
        request = cast.denied_event("UpdateTable")
        revision = request.current_revision()
        assert (revision.digest, revision.completeness) == ("", Completeness.INCOMPLETE)
        with pytest.raises(Refused, match="not complete"):
            decisions.begin(request.pk, cast.person("alice"), Verdict.CONFIRM)

    def test_completing_makes_the_next_revision_and_keeps_the_former(self, cast):
        """Revisions are immutable: what is entered is a new one, authored by the person who entered it."""
        request = cast.denied_event("UpdateTable")
        parameters = {"TableName": "prod-orders", "DeletionProtectionEnabled": False}
        revision = decisions.complete(request.pk, cast.person("alice"), parameters=parameters, number=1)
        assert revision.number == 2
        assert revision.plan.steps[0].parameters == parameters
        assert revision.author == cast.person("alice")
        assert Revision.objects.filter(request=request).count() == 2

    def test_a_denied_call_stays_about_what_was_called(self, cast):
        """A draft that an event made cannot be turned against another table; that takes a request of its own."""
        request = cast.denied_event("DeleteTable", "prod-orders")
        with pytest.raises(BadParameters, match="stays about it"):
            decisions.complete(request.pk, cast.person("alice"), parameters={"TableName": "prod-customers"}, number=1)

    def test_the_target_is_read_again_when_the_plan_is_confirmed(self, cast):
        """A draft may wait for days; reviewers see the target as it is when they are asked."""
        request = cast.filed()
        before = OutboxMessage.objects.filter(kind="inspect").count()
        cast.sign_confirm(request)
        assert OutboxMessage.objects.filter(kind="inspect").count() == before + 1

    def test_only_the_requester_completes(self, cast):
        """Somebody else's draft is not his to fill in."""
        request = cast.denied_event("UpdateTable")
        with pytest.raises(NotAllowed):
            decisions.complete(
                request.pk,
                cast.person("bob"),
                parameters={"TableName": "prod-orders", "BillingMode": "PAY_PER_REQUEST"},
                number=1,
            )

    def test_completing_an_outdated_revision_is_refused(self, cast):
        """A form that was opened before somebody edited the plan overwrites nothing."""
        request = cast.filed()
        decisions.complete(request.pk, cast.person("alice"), parameters={"TableName": "prod-customers"}, number=1)
        with pytest.raises(StaleRevision):
            decisions.complete(request.pk, cast.person("alice"), parameters={"TableName": "prod-orders"}, number=1)

    @pytest.mark.parametrize(
        ("operation", "parameters", "field"),
        [
            ("dynamodb:DropTable", {}, "operation"),
            ("dynamodb:DeleteTable", {}, "TableName"),
            ("dynamodb:DeleteTable", {"TableName": "prod-orders", "Force": True}, "Force"),
            ("dynamodb:UpdateTable", {"TableName": "prod-orders", "BillingMode": "FREE"}, "BillingMode"),
            ("dynamodb:UpdateTable", {"TableName": "prod-orders", "ProvisionedThroughput": {"ReadCapacityUnits": 1}},
             "ProvisionedThroughput.WriteCapacityUnits"),
            ("dynamodb:UpdateTable", {"TableName": "prod-orders"}, ""),
            ("dynamodb:UpdateTable", {"TableName": "prod-orders", "GlobalSecondaryIndexUpdates": [{}]},
             "GlobalSecondaryIndexUpdates.0"),
            ("dynamodb:DeleteTable", {"TableName": "prod customers"}, "TableName"),
            ("dynamodb:DeleteTable", {"TableName": "nonesuch table !"}, "TableName"),
            ("dynamodb:DeleteTable", {"TableName": "arn:aws:dynamodb:eu-west-1:999999999999:table/prod-orders"}, "TableName"),
            ("dynamodb:DeleteTable", {"TableName": "arn:aws:dynamodb:us-east-1:111122223333:table/prod-orders"}, "TableName"),
            ("dynamodb:DeleteTable", {"TableName": "arn:aws:dynamodb:eu-west-1:111122223333:backup/prod-orders"}, "TableName"),
        ],
    )  # fmt: skip
    def test_what_cannot_be_called_is_refused_beside_its_field(self, cast, operation, parameters, field):
        """Unknown operations, parameters, and identifiers that reach into another account or region name their field."""
        with pytest.raises(BadParameters) as refusal:
            decisions.file(cast.person("alice"), account_id=ACCOUNT, region=REGION, operation=operation, parameters=parameters)
        assert list(refusal.value.fields) == [field]
        assert not ApprovalRequest.objects.exists()

    def test_an_unknown_account_or_region_names_its_field(self, cast):
        """The account and the region are those of the authority, nothing else."""
        alice, parameters = cast.person("alice"), {"TableName": "prod-orders"}
        for account, region, field in (("999999999999", REGION, "account"), (ACCOUNT, "us-east-1", "region")):
            with pytest.raises(BadParameters) as refusal:
                decisions.file(alice, account_id=account, region=region, operation="dynamodb:DeleteTable", parameters=parameters)
            assert list(refusal.value.fields) == [field]

    def test_a_call_that_nothing_protects_is_refused(self, cast):
        """A request without a guardrail would have nobody who may decide it."""
        with pytest.raises(NothingMatches):
            cast.filed(TableName="staging-orders")

    def test_a_table_named_by_its_arn_is_the_same_plan_as_by_its_name(self, cast):
        """Identifiers are normalised before matching and before the digest."""
        plan = cast.filed(TableName=table_arn("prod-orders")).current_revision().plan
        assert plan.steps[0].parameters == {"TableName": "prod-orders"}

    def test_editing_what_is_pending_sends_it_back_to_draft_and_voids_its_reviews(self, cast):
        """A vote binds a digest: after an edit nothing that was signed counts."""
        request = cast.pending()
        decisions.complete(request.pk, cast.person("alice"), parameters={"TableName": "prod-customers"}, number=1)
        assert state_of(request) == RequestState.DRAFT
        fresh = ApprovalRequest.objects.get(pk=request.pk)
        assert not fresh.current_revision().signatures.exists()
        with pytest.raises(WrongState):
            cast.sign_review(request)


class TestReviewing:
    def test_two_persons_make_an_execution(self, cast):
        """alice confirms, bob approves: one execution is ready, promised in the outbox."""
        execution = cast.approved()
        assert execution.state == "ready"
        assert OutboxMessage.objects.filter(kind="execute", subject=str(execution.pk)).count() == 1

    def test_the_requester_cannot_review(self, cast):
        """Self-approval is refused before a ceremony begins."""
        request = cast.pending()
        with pytest.raises(OwnRequest):
            decisions.begin(request.pk, cast.person("alice"), Verdict.APPROVE)

    def test_the_requester_cannot_review_with_a_permission_either(self, cast):
        """The object permission is necessary to review; it never beats the two-person rule."""
        request = cast.pending()
        _grant(cast, "alice")
        with pytest.raises(OwnRequest):
            decisions.begin(request.pk, cast.person("alice"), Verdict.APPROVE)

    def test_the_requester_cannot_review_through_the_orm(self, cast):
        """The database refuses a review or a signature of the requester, whatever Python does."""
        request = cast.pending()
        revision, alice = request.current_revision(), cast.person("alice")
        confirmation = revision.signatures.get()
        for row in (
            Review(
                revision=revision, person=alice, verdict="approve", reason="me", signature=confirmation, created_at=timezone.now()
            ),
            _signature(revision, alice, "approve"),
        ):
            with pytest.raises(IntegrityError, match="never a reviewer"), transaction.atomic():
                row.save(force_insert=True)

    def test_an_editor_of_the_plan_cannot_review_through_the_orm(self, cast):
        """Whoever edited any revision of the plan is no reviewer of it in the database either."""
        request = cast.pending()
        bob = cast.person("bob")
        revision = request.current_revision()
        Revision.objects.create(
            request=request, number=7, draft="[]", completeness="exact", why="", author=bob, created_at=timezone.now()
        )
        with pytest.raises(IntegrityError, match="never a reviewer"), transaction.atomic():
            _signature(revision, bob, "approve").save(force_insert=True)

    def test_somebody_without_the_right_cannot_review(self, cast):
        """carol is an approver, but not of this guardrail."""
        request = cast.pending()
        with pytest.raises(NotAllowed, match="no right"):
            decisions.begin(request.pk, cast.person("carol"), Verdict.APPROVE)

    def test_an_administrator_is_no_reviewer(self, cast):
        """Administering is another right than reviewing."""
        request = cast.pending()
        with pytest.raises(NotAllowed):
            decisions.begin(request.pk, cast.person("dana"), Verdict.APPROVE)

    @pytest.mark.security_row(13)
    def test_a_right_taken_away_counts_at_once(self, cast):
        """Between the ceremony and the signature the right is read again."""
        request = cast.pending()
        bob = cast.person("bob")
        ceremony = decisions.begin(request.pk, bob, Verdict.APPROVE)
        bob.logins.get().user.guardrailuserpermission_set.all().delete()
        with pytest.raises(NotAllowed):
            _review(cast, request, "bob", ceremony)
        assert state_of(request) == RequestState.PENDING

    @pytest.mark.parametrize("switch", ["person", "user"])
    def test_an_inactive_reviewer_does_not_count(self, cast, switch):
        """A person or a login that was switched off reviews nothing."""
        request = cast.pending()
        bob = cast.person("bob")
        thing = bob if switch == "person" else bob.logins.get().user
        thing.is_active = False
        thing.save()
        with pytest.raises(NotAllowed):
            decisions.begin(request.pk, cast.person("bob"), Verdict.APPROVE)

    def test_what_a_switched_off_requester_asked_for_is_only_denied(self, cast):
        """Nobody stands behind it any more: an approval is refused, a denial still ends it."""
        request = cast.pending()
        user = cast.person("alice").logins.get().user
        user.is_active = False
        user.save()
        with pytest.raises(Refused, match="switched off"):
            cast.sign_review(request)
        _grant(cast, "carol")
        cast.sign_review(request, "carol", Verdict.DENY)
        assert state_of(request) == RequestState.DENIED

    def test_a_signature_is_made_now(self, cast):
        """The database refuses a signature of another day, and one whose ceremony was opened for another day."""
        from approvals import signatures

        request = cast.pending()
        revision = request.current_revision()
        for nonce, created in (
            (signatures.new_nonce(timezone.now() + timedelta(days=30)), timezone.now()),
            (signatures.new_nonce(timezone.now() - timedelta(days=1)), timezone.now()),
            (signatures.new_nonce(timezone.now()), timezone.now() + timedelta(hours=1)),
        ):
            row = _signature(revision, cast.person("bob"), "approve")
            row.nonce, row.created_at = signatures.websafe(nonce), created
            with pytest.raises(IntegrityError, match="made now"), transaction.atomic():
                row.save(force_insert=True)

    @pytest.mark.parametrize("nonce", ["", "nonsense", "=" * 43, "A" * 43, "-" * 43, "ü"])
    def test_a_nonce_of_somebody_elses_making_is_refused_by_the_database(self, cast, nonce):
        """Whatever stands in the column, the answer is the constraint's and not an error of a decoder."""
        request = cast.pending()
        row = _signature(request.current_revision(), cast.person("bob"), "approve")
        row.nonce = nonce
        with pytest.raises(IntegrityError, match=r"nonce of ours|made now"), transaction.atomic():
            row.save(force_insert=True)

    def test_a_bot_never_reviews(self, cast):
        """Bots ask; they never decide."""
        request = cast.pending()
        bob = cast.person("bob")
        bob.is_human = False
        bob.save()
        with pytest.raises(NotAllowed):
            decisions.begin(request.pk, bob, Verdict.APPROVE)

    def test_nobody_reviews_twice(self, cast):
        """One person, one vote on a revision, in Python and in the database."""
        request = cast.pending()
        cast.sign_review(request)
        with pytest.raises(AlreadyReviewed):
            decisions.begin(request.pk, cast.person("bob"), Verdict.DENY)
        review = Review.objects.get()
        review.pk = None
        with pytest.raises(IntegrityError), transaction.atomic():
            review.save(force_insert=True)

    def test_a_denial_is_final(self, cast):
        """After a denial nothing can be signed, and the database lets the request move nowhere."""
        request = cast.pending()
        _grant(cast, "carol")
        cast.sign_review(request, "bob", Verdict.DENY)
        assert state_of(request) == RequestState.DENIED
        with pytest.raises(WrongState):
            decisions.begin(request.pk, cast.person("carol"), Verdict.APPROVE)
        with pytest.raises(IntegrityError), transaction.atomic():
            ApprovalRequest.objects.filter(pk=request.pk).update(state="approved", version=99)
        assert not Execution.objects.exists()

    def test_a_denial_also_ends_what_is_approved_until_it_is_claimed(self, cast):
        """Deny beats approve in every order of arrival."""
        execution = cast.approved()
        _grant(cast, "carol")
        request = execution.revision.request
        cast.sign_review(request, "carol", Verdict.DENY)
        assert state_of(request) == RequestState.DENIED

    def test_a_claimed_request_can_no_longer_be_denied(self, cast):
        """Once the call is being made, a late denial would be a lie."""
        execution = cast.approved()
        _grant(cast, "carol")
        Execution.objects.filter(pk=execution.pk).update(state="claimed", token=1)
        with pytest.raises(WrongState, match="being made"):
            cast.sign_review(execution.revision.request, "carol", Verdict.DENY)

    @pytest.mark.parametrize("end", ["withdraw", "expire", "deny"])
    def test_what_has_ended_is_not_reviewed(self, cast, end):
        """Withdrawn, expired and denied requests refuse an approval whose ceremony had begun before."""
        request = cast.pending()
        _grant(cast, "carol")
        ceremony = decisions.begin(request.pk, cast.person("bob"), Verdict.APPROVE)
        if end == "withdraw":
            decisions.withdraw(request.pk, cast.person("alice"))
        elif end == "expire":
            assert decisions.expire(now=timezone.now() + timedelta(days=2)) == 1
        else:
            cast.sign_review(request, "carol", Verdict.DENY)
        with pytest.raises(WrongState):
            _review(cast, request, "bob", ceremony)

    def test_a_request_past_its_clock_is_not_reviewed_even_before_the_sweep(self, cast):
        """The clock counts at every read, whatever beat does."""
        request = cast.pending()
        with pytest.raises(Expired):
            decisions.begin(request.pk, cast.person("bob"), Verdict.APPROVE, now=timezone.now() + timedelta(days=2))

    def test_a_draft_past_its_clock_is_not_confirmed(self, cast):
        """A draft has a clock of its own."""
        request = cast.filed()
        with pytest.raises(Expired):
            decisions.begin(request.pk, cast.person("alice"), Verdict.CONFIRM, now=timezone.now() + timedelta(days=8))

    def test_an_edited_revision_is_not_approved(self, cast):
        """A signature over the former plan is refused with the reason."""
        request = cast.pending()
        ceremony = decisions.begin(request.pk, cast.person("bob"), Verdict.APPROVE)
        decisions.complete(request.pk, cast.person("alice"), parameters={"TableName": "prod-customers"}, number=1)
        cast.sign_confirm(ApprovalRequest.objects.get(pk=request.pk))
        with pytest.raises(StaleRevision):
            _review(cast, request, "bob", ceremony)
        assert state_of(request) == RequestState.PENDING

    def test_a_reason_is_demanded(self, cast):
        """Neither a confirmation nor a review goes without a reason."""
        request = cast.filed()
        with pytest.raises(Refused, match="reason"):
            cast.sign_confirm(request, reason="  ")


class TestSigning:
    def test_a_signature_cannot_be_replayed(self, cast):
        """The nonce is consumed in a table: the same assertion works once."""
        request = cast.pending()
        _grant(cast, "carol")
        ceremony = decisions.begin(request.pk, cast.person("bob"), Verdict.APPROVE)
        assertion = cast.assertion("bob", ceremony)
        _review(cast, request, "bob", ceremony, assertion)
        for handle, said in (("bob", "used already"), ("carol", "never asked of you")):
            with pytest.raises(BadSignature, match=said):
                _review(cast, request, handle, ceremony, assertion)

    def test_a_refused_signature_uses_the_nonce_up(self, cast):
        """Nobody gets a second guess at one challenge."""
        request = cast.pending()
        ceremony = decisions.begin(request.pk, cast.person("bob"), Verdict.APPROVE)
        with pytest.raises(BadSignature):
            _review(cast, request, "bob", ceremony, forged(cast.assertion("bob", ceremony), signature=noise()))
        with pytest.raises(BadSignature, match="used already"):
            _review(cast, request, "bob", ceremony)

    def test_a_forged_signature_is_refused(self, cast):
        """Random bytes, another person's key, another challenge: none counts, and nothing is written."""
        request = cast.pending()
        bob = cast.person("bob")
        for forge in (
            lambda c: forged(cast.assertion("bob", c), signature=noise()),
            lambda c: cast.assertion("carol", c),
            lambda c: forged(cast.assertion("carol", c), credential_id=cast.keys["bob"]["credential_id"]),
            lambda c: forged(cast.assertion("bob", c), client_data=noise()),
        ):
            ceremony = decisions.begin(request.pk, bob, Verdict.APPROVE)
            with pytest.raises(BadSignature):
                _review(cast, request, "bob", ceremony, forge(ceremony))
        assert not Review.objects.exists()
        assert Signature.objects.count() == 1

    def test_a_signed_denial_cannot_be_used_as_an_approval(self, cast):
        """The verdict is part of the challenge."""
        request = cast.pending()
        ceremony = decisions.begin(request.pk, cast.person("bob"), Verdict.DENY)
        with pytest.raises(BadSignature):
            _review(cast, request, "bob", ceremony, verdict=Verdict.APPROVE)

    def test_a_signature_on_one_request_does_not_count_on_another(self, cast):
        """The nonce and the challenge belong to one revision."""
        first, second = cast.pending(), cast.pending(TableName="prod-customers")
        ceremony = decisions.begin(first.pk, cast.person("bob"), Verdict.APPROVE)
        other = second.current_revision().digest
        with pytest.raises(BadSignature):
            decisions.review(
                second.pk, cast.person("bob"), digest=other, verdict=Verdict.APPROVE, nonce=ceremony.nonce,
                assertion=cast.assertion("bob", ceremony), reason="x",
            )  # fmt: skip

    def test_a_ceremony_lapses(self, cast):
        """Five minutes after it was opened a challenge is worth nothing."""
        request = cast.pending()
        ceremony = decisions.begin(request.pk, cast.person("bob"), Verdict.APPROVE, now=timezone.now() - timedelta(minutes=6))
        with pytest.raises(BadSignature, match="five minutes"):
            _review(cast, request, "bob", ceremony)

    def test_somebody_elses_ceremony_cannot_be_answered(self, cast):
        """A nonce belongs to one person."""
        request = cast.pending()
        _grant(cast, "carol")
        ceremony = decisions.begin(request.pk, cast.person("bob"), Verdict.APPROVE)
        with pytest.raises(BadSignature):
            _review(cast, request, "carol", ceremony)

    def test_a_consumed_challenge_stays_consumed_in_the_database(self, cast):
        """Not even SQL gives a nonce back."""
        cast.pending()
        challenge = SignatureChallenge.objects.get()
        with pytest.raises(IntegrityError, match="used once"), transaction.atomic():
            SignatureChallenge.objects.filter(pk=challenge.pk).update(consumed_at=None)


class TestEnding:
    def test_disowning_closes_and_alerts(self, cast):
        """ "This was not me" ends the draft and raises an alert."""
        request = cast.denied_event()
        decisions.disown(request.pk, cast.person("alice"))
        assert state_of(request) == RequestState.DISOWNED
        assert Alert.objects.get().kind == "disowned"

    def test_only_the_requester_withdraws_or_disowns(self, cast):
        """Somebody else's request is not his to end."""
        request = cast.denied_event()
        for verb in (decisions.withdraw, decisions.disown):
            with pytest.raises(NotAllowed):
                verb(request.pk, cast.person("bob"))

    def test_a_filed_request_is_not_disowned(self, cast):
        """Who filed it himself cannot say that it was somebody else."""
        with pytest.raises(WrongState):
            decisions.disown(cast.filed().pk, cast.person("alice"))

    def test_withdrawing_what_is_approved_stops_it(self, cast):
        """Until the claim the requester may change his mind."""
        execution = cast.approved()
        decisions.withdraw(execution.revision.request_id, cast.person("alice"))
        assert state_of(execution.revision.request) == RequestState.WITHDRAWN

    def test_expiry_leaves_alone_what_is_in_time_or_claimed(self, cast):
        """The sweep ends nothing early and nothing that is being carried out."""
        execution = cast.approved()
        assert decisions.expire() == 0
        Execution.objects.filter(pk=execution.pk).update(state="claimed", token=1)
        assert decisions.expire(now=timezone.now() + timedelta(days=9)) == 0


def test_every_verb_leaves_its_entry_in_the_trail(cast):
    """Draft, confirmation, review, approval: one entry each, in order, by whom."""
    cast.approved()
    with connection.cursor() as cursor:
        cursor.execute("SELECT kind, actor FROM approvals_auditentry ORDER BY sequence")
        assert cursor.fetchall() == [
            ("genesis", "process:bootstrap"),
            ("request.drafted", "person:alice"),
            ("request.confirmed", "person:alice"),
            ("request.reviewed", "person:bob"),
            ("request.approved", "process:decisions"),
        ]


def _grant(cast, handle):
    from approvals.models import GuardrailUserPermission

    known = GuardrailUserPermission.objects.get()
    GuardrailUserPermission.objects.create(
        user=cast.person(handle).logins.get().user, permission=known.permission, content_object=known.content_object
    )


def _review(cast, request, handle, ceremony, assertion=None, verdict=None):
    return decisions.review(
        request.pk,
        cast.person(handle),
        digest=ceremony.digest,
        verdict=verdict or ceremony.verdict,
        nonce=ceremony.nonce,
        assertion=assertion or cast.assertion(handle, ceremony),
        reason="looked at it",
    )


def _signature(revision, person, verdict):
    from approvals import signatures

    nonce = signatures.websafe(signatures.new_nonce(timezone.now()))
    return Signature(
        revision=revision, person=person, verdict=verdict, nonce=nonce, credential_id="x", client_data="x",
        authenticator_data="x", signature="x", counter=0, created_at=timezone.now(),
    )  # fmt: skip
