"""The last judgement before a claim: from stored bytes, signatures and the walked authority alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from approvals import authority, canonical, clearance, decisions
from approvals.clearance import Forged
from approvals.errors import BadAuthority, Expired, NotYet, Refused, StaleRevision, WrongState
from approvals.models import ApprovalRequest, Execution, Revision, Signature
from tests.cast import noise


def clear(cast, execution, now=None):
    execution = Execution.objects.get(pk=execution.pk)
    return clearance.clear(execution, authority.walk(cast.genesis), decisions.relying_party(), now=now or timezone.now())


def verify(cast, execution):
    execution = Execution.objects.get(pk=execution.pk)
    return clearance.verify(execution, authority.walk(cast.genesis), decisions.relying_party(), now=timezone.now())


def as_the_owner(*statements):
    """SQL with every trigger off, as whoever owns the database could run it."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SELECT tablename FROM pg_tables WHERE tablename LIKE 'approvals_%%'")
        tables = [row[0] for row in cursor.fetchall()]
        for switch, run in (("DISABLE", ()), ("", statements), ("ENABLE", ())):
            for statement in run:
                cursor.execute(statement)
            for table in tables if switch else ():
                cursor.execute(f"ALTER TABLE {table} {switch} TRIGGER USER")


def approved_by_sql(request, revision):
    """Statements that write what an approval leaves behind, without anybody's signature."""
    return (
        (
            "UPDATE approvals_approvalrequest SET state = 'approved', approved_until = now() + interval '1 hour' "
            f"WHERE id = '{request.pk}'"
        ),
        (
            "INSERT INTO approvals_execution (id, revision_id, state, token, worker, not_before, valid_until, created_at, "
            f"outcome) VALUES (gen_random_uuid(), {revision.pk}, 'ready', 0, '', now(), now() + interval '1 hour', now(), '')"
        ),
    )


def test_what_two_persons_signed_is_cleared(cast):
    """The plan that comes back is the one in the signed bytes."""
    execution = cast.approved()
    assert clear(cast, execution) == execution.revision.plan


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE approvals_revision SET text = replace(text, 'prod-orders', 'prod-customers')",
        "UPDATE approvals_revision SET digest = repeat('a', 64)",
        "UPDATE approvals_signature SET signature = '" + noise() + "' WHERE verdict = 'approve'",
        "UPDATE approvals_signature SET nonce = 'AAAA' WHERE verdict = 'approve'",
        "UPDATE approvals_signature SET verdict = 'approve' WHERE verdict = 'confirm'",
        (
            "UPDATE approvals_signature SET person_id = (SELECT id FROM approvals_person WHERE handle = 'carol') "
            "WHERE verdict = 'approve'"
        ),
        "UPDATE approvals_signature SET credential_id = 'x' WHERE verdict = 'approve'",
        "UPDATE approvals_review SET person_id = (SELECT id FROM approvals_person WHERE handle = 'carol')",
        "UPDATE approvals_review SET verdict = 'deny'",
        "UPDATE approvals_approvalrequest SET requester_id = (SELECT id FROM approvals_person WHERE handle = 'carol')",
    ],
)
def test_a_forged_row_is_refused(cast, statement):
    """Whoever owns the database can change rows, but not make a passkey sign them."""
    execution = cast.approved()
    as_the_owner(statement)
    with pytest.raises(Forged):
        clear(cast, execution)


def test_an_edited_plan_with_its_digest_made_anew_is_refused(cast):
    """The signatures are over the former digest."""
    execution = cast.approved()
    text = execution.revision.text.replace("prod-orders", "prod-customers")
    as_the_owner(
        f"UPDATE approvals_revision SET text = '{text}', digest = '{canonical.digest(text)}'",
        "UPDATE approvals_approvalrequest SET target = 'prod-customers'",
    )
    with pytest.raises(Forged, match="does not verify"):
        clear(cast, execution)


def test_an_approval_without_a_reviewers_signature_does_not_suffice(cast):
    """A state `approved` that somebody wrote, with an execution, is not a quorum."""
    request = cast.pending()
    revision = request.current_revision()
    as_the_owner(
        *approved_by_sql(request, revision),
    )
    with pytest.raises(Forged, match="fewer than two persons"):
        clear(cast, Execution.objects.get())


def test_a_signature_copied_from_another_request_is_refused(cast):
    """bob's real approval of one plan is none of another."""
    cast.approved(TableName="prod-customers")
    request = cast.pending()
    revision = request.current_revision()
    given = Signature.objects.get(verdict="approve")
    as_the_owner(
        "INSERT INTO approvals_signature (revision_id, person_id, verdict, nonce, credential_id, client_data, "
        f"authenticator_data, signature, counter, created_at) SELECT {revision.pk}, person_id, verdict, 'copy', credential_id, "
        "client_data, "
        f"authenticator_data, signature, counter, created_at FROM approvals_signature WHERE id = {given.pk}",
        *approved_by_sql(request, revision),
    )
    with pytest.raises(Forged):
        clear(cast, Execution.objects.get(revision=revision))


def test_a_self_approval_written_by_sql_is_refused(cast):
    """alice's own, real signature as an approver does not count beside her confirmation."""
    request = cast.pending()
    revision = request.current_revision()
    as_the_owner(
        *approved_by_sql(request, revision),
        "INSERT INTO approvals_review (revision_id, person_id, verdict, reason, signature_id, created_at) "
        "SELECT revision_id, person_id, 'approve', 'me', id, now() FROM approvals_signature",
    )
    with pytest.raises(Forged, match="does not rest on a signature"):
        clear(cast, Execution.objects.get())


@pytest.mark.parametrize("handle", ["bob", "alice"])
@pytest.mark.security_row(13)
def test_a_person_switched_off_after_the_approval_counts_no_more(cast, handle):
    """Neither a reviewer nor the requester who was switched off stands behind anything, at the claim as at the decision."""
    execution = cast.approved()
    walked = authority.walk(cast.genesis)
    user = cast.person(handle).logins.get().user
    user.is_active = False
    user.save()
    with pytest.raises(Refused, match="no longer suffice"):
        clearance.clear(Execution.objects.get(pk=execution.pk), walked, decisions.relying_party(), now=timezone.now())


def test_what_a_passkey_signed_counts_no_more_after_its_removal_and_is_no_forgery(cast):
    """Two administrators remove a key that may be lost; what it signed before falls, without the gravest alarm."""
    execution = cast.approved()
    for handle, lacking in (("bob", "0 of 1 approvals"), ("alice", "0 of 1 approvals")):
        cast.changed({"edit": "remove_passkey", "person": handle, "credential_id": cast.keys[handle]["credential_id"]})
        with pytest.raises(Refused, match=lacking):
            clear(cast, execution)


def test_what_a_passkey_signed_after_its_removal_is_a_forgery(cast):
    """Whoever finds a removed key and can write to the database is told of, as with any key of a stranger."""
    execution = cast.approved()
    cast.changed({"edit": "remove_passkey", "person": "bob", "credential_id": cast.keys["bob"]["credential_id"]})
    walked = authority.walk(cast.genesis)
    earlier = {name: replace(one, moment=one.moment - timedelta(hours=1)) for name, one in walked.retired.items()}
    with pytest.raises(Forged, match="after its removal was signed"):
        clearance.clear(execution, replace(walked, retired=earlier), decisions.relying_party(), now=timezone.now())


def test_a_role_that_was_changed_after_the_approval_is_no_forgery(cast):
    """The account is another way in since; what was signed over the former role is reviewed again, without the gravest alarm."""
    execution = cast.approved()
    role = "arn:aws:iam::111122223333:role/CountersignExecutorTwo"
    cast.changed({"edit": "put_account", "id": "111122223333", "executor_role_arn": role})
    with pytest.raises(Refused, match="role in account 111122223333 was changed"):
        clear(cast, execution)


@pytest.mark.parametrize(
    ("moment", "refusal"),
    [(timedelta(hours=1, seconds=1), Expired), (timedelta(days=2), Expired), (timedelta(seconds=-5), NotYet)],
)
def test_the_clocks_count(cast, moment, refusal):
    """An approval is good for a time; the hold must have ended."""
    execution = cast.approved()
    with pytest.raises(refusal):
        clear(cast, execution, timezone.now() + moment)


LATER = (
    "UPDATE approvals_execution SET valid_until = now() + interval '1 year'",
    "UPDATE approvals_approvalrequest SET approved_until = now() + interval '1 year'",
)


def test_a_clock_moved_in_the_database_is_not_believed(cast):
    """How long an approval is good stands in the signed plan."""
    execution = cast.approved()
    as_the_owner(*LATER)
    with pytest.raises(Expired):
        clear(cast, execution, timezone.now() + timedelta(hours=2))


def test_a_fresh_confirmation_does_not_revive_an_old_approval(cast):
    """The clock of an approval runs from the votes that count, not from whatever was signed last."""
    execution = cast.approved()
    as_the_owner(*LATER)
    verified = verify(cast, execution)
    assert verified.resolved == execution.revision.signatures.get(verdict="approve").created_at
    alice = str(cast.person("alice").pk)
    fresh = replace(verified, moments={**verified.moments, alice: timezone.now() + timedelta(hours=2)})
    with pytest.raises(Expired):
        clearance.must_be_in_time(fresh, now=timezone.now() + timedelta(hours=2))


def test_a_confirmation_much_older_than_the_votes_is_of_another_time(cast):
    """A confirmation that no pending request could have lived through does not count for today's votes."""
    verified = verify(cast, cast.approved())
    alice = str(cast.person("alice").pk)
    old = replace(verified, moments={**verified.moments, alice: verified.moments[alice] - timedelta(days=2)})
    with pytest.raises(Expired, match="not of one time"):
        clearance.must_be_in_time(old, now=timezone.now())


def test_a_plan_that_names_its_target_by_an_arn_is_refused(cast):
    """What slipped past normalising is never sent."""
    execution = cast.approved()
    text = execution.revision.text.replace('"prod-orders"', '"arn:aws:dynamodb:eu-west-1:999999999999:table/prod-orders"')
    as_the_owner(f"UPDATE approvals_revision SET text = '{text}', digest = '{canonical.digest(text)}'")
    with pytest.raises(Forged):
        clear(cast, execution)


def test_an_old_approval_cannot_be_made_young_again(cast):
    """When it was signed is inside the signature: a row that says another time is a forgery."""
    execution = cast.approved()
    as_the_owner(*LATER, "UPDATE approvals_signature SET created_at = now() + interval '2 hours'")
    with pytest.raises(Forged, match="another time"):
        clear(cast, execution, timezone.now() + timedelta(hours=2))


@pytest.mark.parametrize("verb", ["withdraw", "deny"])
def test_what_was_ended_after_the_approval_is_not_cleared(cast, verb):
    """Until the claim a denial or withdrawal ends what is approved."""
    execution = cast.approved()
    request = execution.revision.request
    if verb == "withdraw":
        decisions.withdraw(request.pk, cast.person("alice"))
    else:
        as_the_owner("UPDATE approvals_approvalrequest SET state = 'denied'")
    with pytest.raises(WrongState):
        clear(cast, execution)


def test_a_plan_edited_after_its_approval_is_not_cleared(cast):
    """The execution belongs to the revision that was signed."""
    execution = cast.approved()
    request = execution.revision.request
    Revision.objects.create(request=request, number=2, draft="[]", completeness="exact", why="", created_at=timezone.now())
    as_the_owner("UPDATE approvals_approvalrequest SET revision_number = 2")
    with pytest.raises(StaleRevision):
        clear(cast, execution)


def test_two_signatures_can_never_be_one_person(cast):
    """The database alone refuses `approved` before two persons signed."""
    from django.db import IntegrityError, transaction

    request = cast.pending()
    with pytest.raises(IntegrityError, match="two distinct persons"), transaction.atomic():
        ApprovalRequest.objects.filter(pk=request.pk).update(state="approved", version=request.version + 1)


def test_without_a_pin_nothing_is_cleared(cast):
    """The executor trusts no authority that its own configuration does not pin."""
    cast.approved()
    with pytest.raises(BadAuthority):
        authority.walk("")
