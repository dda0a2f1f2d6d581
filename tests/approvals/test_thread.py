"""Sending back with a message, and the thread of comments."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from approvals import decisions, notifications
from approvals.decisions import talking
from approvals.errors import NotAllowed, OwnRequest, Refused, WrongState
from approvals.models import ApprovalRequest, AuditEntry, Comment, Execution, OutboxMessage
from approvals.states import Verdict
from tests.cast import seal, with_carol


@pytest.fixture
def cast(db, tmp_path, settings):
    """A world in which carol may review beside bob."""
    return seal(tmp_path, settings, change=with_carol)


def told(topic):
    """The notifications of a topic, as they would go out now."""
    return [notifications.compose(message) for message in OutboxMessage.objects.filter(topic=topic).order_by("id")]


class TestSendingBack:
    def test_a_reviewer_returns_it_to_draft_with_the_same_calls(self, cast):
        """The next revision has the same steps and another digest; its requester is told, in the reviewer's words."""
        request = cast.pending()
        before = request.current_revision()
        revision = decisions.send_back(request.pk, cast.person("bob"), message="Which ticket is this for?")
        request.refresh_from_db()
        assert (request.state, request.revision_number, request.pending_until) == ("draft", 2, None)
        assert [step.parameters for step in revision.plan.steps] == [step.parameters for step in before.plan.steps]
        assert revision.digest != before.digest
        (note,) = told(notifications.SENT_BACK)
        assert (note.to, "bob says" in note.body, "> Which ticket is this for?" in note.body) == (("alice",), True, True)
        entry = AuditEntry.objects.get(kind="request.sent-back")
        assert (entry.actor, "Which ticket" in entry.body) == ("person:bob", True)

    def test_its_reviews_are_void_and_the_reviewer_may_review_again(self, cast, tmp_path, settings):
        """What was signed was of the former digest: alice signs anew, and bob is no editor."""
        request = cast.pending()
        decisions.send_back(request.pk, cast.person("bob"), message="say why")
        with pytest.raises(WrongState):
            cast.sign_review(request)
        request = cast.sign_confirm(ApprovalRequest.objects.get(), reason="OPS-1")
        cast.sign_review(request, "bob")
        request.refresh_from_db()
        assert request.state == "approved"

    def test_what_is_approved_and_not_claimed_can_be_sent_back(self, cast):
        """Somebody who looks again takes it back, whether or not it was he who approved; the former execution does nothing."""
        former = cast.approved()
        request = former.revision.request
        decisions.send_back(request.pk, cast.person("carol"), message="not during the sale")
        request.refresh_from_db()
        assert (request.state, request.approved_until) == ("draft", None)
        cast.sign_confirm(request)
        cast.sign_review(request)
        assert Execution.objects.filter(state="ready").count() == 2
        assert Execution.objects.get(revision=request.current_revision()).pk != former.pk

    def test_what_is_being_carried_out_is_not_sent_back(self, cast):
        """From the claim on it is too late."""
        execution = cast.approved()
        Execution.objects.filter(pk=execution.pk).update(state="claimed", token=1)
        with pytest.raises(WrongState, match="being made"):
            decisions.send_back(execution.revision.request_id, cast.person("carol"), message="stop")

    @pytest.mark.parametrize(("handle", "refusal"), [("alice", OwnRequest), ("dana", NotAllowed), ("olivia", NotAllowed)])
    def test_only_a_reviewer_sends_back(self, cast, handle, refusal):
        """Neither the requester nor an overseer without the right."""
        with pytest.raises(refusal):
            decisions.send_back(cast.pending().pk, cast.person(handle), message="no")

    def test_a_message_is_demanded(self, cast):
        """The requester has to know what to change."""
        with pytest.raises(Refused, match="reason"):
            decisions.send_back(cast.pending().pk, cast.person("bob"), message=" \n ")
        assert ApprovalRequest.objects.get().state == "pending"


class TestComments:
    def test_a_comment_is_told_to_whom_it_concerns(self, cast):
        """The requester, whoever reviewed and whoever spoke before; not who wrote it."""
        request = cast.pending()
        decisions.comment(request.pk, cast.person("olivia"), text="For the audit: is there a backup?")
        cast.sign_review(request, "carol", Verdict.DENY)
        decisions.comment(request.pk, cast.person("bob"), text="There is.")
        first, second = told(notifications.COMMENTED)
        assert first.to == ("alice", "carol")
        assert second.to == ("alice", "carol", "olivia")
        assert "> There is." in second.body
        assert AuditEntry.objects.filter(kind="request.commented").count() == 2

    def test_a_comment_decides_nothing(self, cast):
        """Whatever is said, state, digest and reviews stay as they are."""
        request = cast.pending()
        before = (request.state, request.version, request.current_revision().digest)
        decisions.comment(request.pk, cast.person("bob"), text="approved!")
        request.refresh_from_db()
        assert (request.state, request.version, request.current_revision().digest) == before
        assert not request.current_revision().reviews.exists()

    def test_who_may_not_read_may_not_comment(self, db, tmp_path, settings):
        """carol reviews under none of these guardrails, so the request is not hers to talk about."""
        cast = seal(tmp_path, settings)
        request = cast.pending()
        with pytest.raises(NotAllowed, match="may read"):
            decisions.comment(request.pk, cast.person("carol"), text="hello")

    def test_who_was_switched_off_says_nothing(self, cast):
        """A login that was switched off is nobody."""
        request = cast.pending()
        user = cast.person("bob").logins.get().user
        user.is_active = False
        user.save()
        with pytest.raises(NotAllowed, match="active"):
            decisions.comment(request.pk, cast.person("bob"), text="hello")

    @pytest.mark.parametrize("text", ["", "  ", "x" * 2001, "a\0b"])
    def test_what_says_nothing_or_too_much_is_refused(self, cast, text):
        """A comment has words, at most 2,000 characters, and nothing that cannot be stored."""
        request = cast.pending()
        with pytest.raises(Refused):
            decisions.comment(request.pk, cast.person("bob"), text=text)
        assert not Comment.objects.exists()

    def test_a_thread_has_an_end(self, cast):
        """A flood is refused, so that everybody in the thread is not flooded with it."""
        request = cast.pending()
        one = {"request": request, "revision": request.current_revision(), "person": cast.person("bob"), "text": "again"}
        Comment.objects.bulk_create(Comment(**one, created_at=timezone.now()) for _ in range(talking.MOST_COMMENTS))
        with pytest.raises(Refused, match="as many as are kept"):
            decisions.comment(request.pk, cast.person("bob"), text="again")

    @pytest.mark.parametrize("change", ["update", "delete"])
    def test_what_was_said_stays(self, cast, change):
        """No comment is edited or taken away, whatever Python does."""
        decisions.comment(cast.pending().pk, cast.person("bob"), text="said")
        with pytest.raises(IntegrityError, match="never"), transaction.atomic():
            if change == "update":
                Comment.objects.update(text="never said")
            else:
                Comment.objects.all()._raw_delete("default")

    def test_a_bot_or_a_stranger_has_no_word_by_sql_either(self, cast):
        """The database knows who may speak: active humans, on a revision of the request."""
        request, other = cast.pending(), cast.pending(TableName="prod-customers")
        bob = cast.person("bob")
        words = {"request": request, "text": "x", "created_at": timezone.now()}
        with pytest.raises(IntegrityError, match="an active person comments"), transaction.atomic():
            Comment.objects.create(**words, revision=other.current_revision(), person=bob)
        bob.is_human = False
        bob.save()
        with pytest.raises(IntegrityError, match="an active person comments"), transaction.atomic():
            Comment.objects.create(**words, revision=request.current_revision(), person=bob)
