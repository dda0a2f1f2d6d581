"""Whoever owns the database switches the triggers off and writes what he likes: nothing is executed, and it is an alarm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fido2.utils import websafe_encode

from approvals import canonical, decisions, signatures
from approvals.ceremonies import Ceremony
from approvals.models import ApprovalRequest, Execution, Observation, Passkey, Person, Revision
from approvals.states import Verdict
from executor.demo import people
from executor.sandbox.world import DEMO
from portal import software_authenticator
from tests.cast import table_arn
from tests.executor.stage import Stage, fresh

Forgery = Callable[[Stage, Execution], None]

MOVE_SIGNATURE = """
UPDATE approvals_signature SET (client_data, authenticator_data, signature) =
    (SELECT client_data, authenticator_data, signature FROM approvals_signature WHERE verdict = 'approve' AND revision_id = %s)
WHERE verdict = 'approve' AND revision_id = %s
"""
INSERT_SIGNATURE = """
INSERT INTO approvals_signature (revision_id, person_id, verdict, nonce, credential_id, client_data, authenticator_data,
    signature, counter, created_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 0, now())
"""
INSERT_REVIEW = """
INSERT INTO approvals_review (revision_id, person_id, verdict, reason, signature_id, created_at)
SELECT revision_id, person_id, verdict, 'fine', id, now() FROM approvals_signature WHERE nonce = %s
"""
INSERT_EXECUTION = """
INSERT INTO approvals_execution (id, revision_id, state, token, worker, not_before, valid_until, created_at, outcome)
VALUES (gen_random_uuid(), %s, 'ready', 0, '', now(), now() + interval '1 hour', now(), '')
"""
PROMISE_EXECUTION = """
INSERT INTO approvals_outboxmessage (kind, subject, topic, created_at, due_at, attempts, error)
SELECT 'execute', id::text, '', now(), now(), 0, '' FROM approvals_execution
"""


def approval_with_a_made_up_signature(stage: Stage, execution: Execution) -> None:
    """Carol's approval, with bytes that her passkey never made."""
    _insert_review(stage, execution, stage.cast.person("dana"), "AAAA", stage.cast.keys["dana"]["credential_id"])


def approval_with_bobs_signature_over_another_plan(stage: Stage, execution: Execution) -> None:
    """Bob's real signature, moved to a plan that he never saw."""
    other = stage.cast.approved(TableName="prod-customers")
    stage.forge(
        ("UPDATE approvals_execution SET state = 'aborted' WHERE id = %s", (execution.pk,)),
        (
            MOVE_SIGNATURE,
            (execution.revision_id, other.revision_id),
        ),
    )


def passkey_for_bob(stage: Stage, execution: Execution) -> None:
    """A key of the attacker's own, registered as bob's, and an approval that verifies under it."""
    key = people._new_key()
    bob = stage.cast.person("bob")
    stage.forge(
        ("DELETE FROM approvals_review WHERE revision_id = %s", (execution.revision_id,)),
        ("DELETE FROM approvals_signature WHERE verdict = 'approve' AND revision_id = %s", (execution.revision_id,)),
    )
    public = people.public_key(key["private_key"])
    Passkey.objects.create(person=bob, credential_id=key["credential_id"], public_key=public, label="a new phone")
    nonce = websafe_encode(b"n" * 32)
    challenge = websafe_encode(signatures.challenge(execution.revision.digest, Verdict.APPROVE, b"n" * 32))
    ceremony = Ceremony(nonce, challenge, execution.revision.digest, Verdict.APPROVE, (), decisions.relying_party())
    made = software_authenticator.assertion(key["credential_id"], key["private_key"], ceremony)
    _insert_review(
        stage, execution, bob, made.signature, made.credential_id, made.client_data, made.authenticator_data, nonce=nonce
    )


def grant_for_carol(stage: Stage, execution: Execution) -> None:
    """A right on the guardrail that no quorum signed, and carol's own real signature under it."""
    from django.contrib.auth.models import Permission

    from approvals.models import Guardrail, GuardrailUserPermission
    from portal.models import User

    stage.forge(
        ("DELETE FROM approvals_review WHERE revision_id = %s", (execution.revision_id,)),
        ("DELETE FROM approvals_signature WHERE verdict = 'approve' AND revision_id = %s", (execution.revision_id,)),
        ("DELETE FROM approvals_execution", ()),
        ("UPDATE approvals_approvalrequest SET state = 'pending', version = version + 1", ()),
    )
    GuardrailUserPermission.objects.create(
        user=User.objects.get(username="carol"),
        permission=Permission.objects.get(codename="review_guardrail"),
        content_object=Guardrail.objects.get(),
    )
    stage.cast.sign_review(ApprovalRequest.objects.get(), "carol")


def guardrail_without_approvals(stage: Stage, execution: Execution) -> None:
    """A new version of the guardrail that protects nothing, which nobody signed."""
    stage.sql(
        "INSERT INTO approvals_guardrailversion (guardrail_id, number, text, hash, created_at) "
        "SELECT guardrail_id, 2, replace(text, 'prod-*', 'none-*'), repeat('0', 64), now() FROM approvals_guardrailversion"
    )


def plan_edited_in_place(stage: Stage, execution: Execution) -> None:
    """Another table's name in the text that was signed."""
    stage.forge(
        (
            "UPDATE approvals_revision SET text = replace(text, 'prod-orders', 'prod-customers') WHERE id = %s",
            (execution.revision_id,),
        )
    )


def plan_edited_with_its_digest(stage: Stage, execution: Execution) -> None:
    """Another table's name in the text, and the digest computed anew."""
    text = Revision.objects.get(pk=execution.revision_id).text.replace("prod-orders", "prod-customers")
    stage.forge(
        (
            "UPDATE approvals_revision SET text = %s, digest = %s WHERE id = %s",
            (text, canonical.digest(text), execution.revision_id),
        )
    )


def plan_of_another_request(stage: Stage, execution: Execution) -> None:
    """The signed text of one request under the name of another."""
    other = stage.cast.filed(TableName="prod-customers").current_revision()
    stage.forge(
        ("UPDATE approvals_revision SET text = '', digest = '' WHERE id = %s", (other.pk,)),
        (
            "UPDATE approvals_revision SET text = %s, digest = %s WHERE id = %s",
            (other.text, other.digest, execution.revision_id),
        ),
    )


def requester_changed(stage: Stage, execution: Execution) -> None:
    """Somebody else is made the requester, so that alice could have been a reviewer."""
    stage.forge(("UPDATE approvals_approvalrequest SET requester_id = %s", (stage.cast.person("olivia").pk,)))


def account_with_another_role(stage: Stage, execution: Execution) -> None:
    """The account points to a role of the attacker's choice."""
    stage.sql("UPDATE approvals_account SET executor_role_arn = executor_role_arn || 'Two'")


def another_genesis(stage: Stage, execution: Execution) -> None:
    """The whole chain begun anew, consistent in itself: it is not the one that the executor pins."""
    from approvals import authority

    stage.sql("UPDATE approvals_person SET is_administrator = true WHERE handle = 'carol'")
    state = authority.state_of_tables()
    stage.forge(("UPDATE approvals_authoritylink SET state = %s, hash = %s", (state, authority.link_hash(0, "", state))))


@pytest.mark.parametrize(
    "forgery",
    [
        approval_with_a_made_up_signature,
        approval_with_bobs_signature_over_another_plan,
        passkey_for_bob,
        grant_for_carol,
        guardrail_without_approvals,
        plan_edited_in_place,
        plan_edited_with_its_digest,
        plan_of_another_request,
        requester_changed,
        account_with_another_role,
        another_genesis,
    ],
)
@pytest.mark.security_row(21)
def test_a_forgery_executes_nothing_and_raises_the_alarm(stage: Stage, forgery: Forgery) -> None:
    """No row that the executor's chain of authority does not bear out leads to a call, nnor to a look at its target."""
    forgery(stage, stage.cast.approved())
    stage.execute()
    stage.lapse()
    stage.execute()
    assert stage.calls() == []
    assert not [record for record in stage.aws.records() if _acts(record)]
    assert not Observation.objects.filter(moment="claim").exists()
    assert not Execution.objects.exclude(state="aborted").exists()
    assert stage.alerts() == ["forgery"]


def test_a_state_without_signatures_executes_nothing(stage: Stage) -> None:
    """The request is set to approved by SQL and given an execution, with alice's signature alone: nothing is called."""
    request = stage.cast.pending()
    stage.forge(
        ("UPDATE approvals_approvalrequest SET state = 'approved', version = version + 1", ()),
        (
            INSERT_EXECUTION,
            (request.current_revision().pk,),
        ),
        (
            PROMISE_EXECUTION,
            (),
        ),
    )
    stage.execute()
    assert (Execution.objects.get().state, stage.calls()) == ("aborted", [])
    assert fresh(Execution.objects.get()).outcome != ""


def test_a_wrong_account_in_a_name_field_is_refused_before_anybody_signs(stage: Stage) -> None:
    """An ARN of another account where a name belongs never becomes a plan."""
    from approvals.errors import BadParameters

    foreign = table_arn("prod-orders").replace(DEMO.account, "999999999999")
    with pytest.raises(BadParameters, match="account 999999999999"):
        stage.cast.filed(TableName=foreign)


def _acts(record: dict[str, Any]) -> bool:
    parameters = record.get("requestParameters") or {}
    return record["eventName"] == "AssumeRole" and not str(parameters.get("sourceIdentity", "")).startswith("read-")


def _insert_review(
    stage: Stage,
    execution: Execution,
    person: Person,
    signature: str,
    credential_id: str,
    client_data: str = "e30",
    authenticator_data: str = "AAAA",
    *,
    nonce: str = "a-nonce-of-nobody",
) -> None:
    stage.forge(
        (
            INSERT_SIGNATURE,
            (
                execution.revision_id,
                person.pk,
                str(Verdict.APPROVE),
                nonce,
                credential_id,
                client_data,
                authenticator_data,
                signature,
            ),
        ),
        (
            INSERT_REVIEW,
            (nonce,),
        ),
    )
