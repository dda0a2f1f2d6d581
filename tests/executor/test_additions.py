"""What is added to a signed call: a token by which AWS knows it again, and EC2's DryRun; never in place of what was signed."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID, uuid4

import pytest
from botocore.validate import ParamValidator

from approvals.operations import catalog
from approvals.operations.catalog import Operation
from approvals.plan import Step
from executor import additions

EXECUTION = UUID("6f1c1f3a-58f1-4e4c-9a3e-0d6f7c9a1b2c")


def step_of(operation: Operation, **parameters: Any) -> Step:
    return Step(operation.service, operation.name, parameters)


def every_operation() -> list[Operation]:
    found = []
    for service in catalog.services():
        for name in catalog.service_model(service).operation_names:
            try:
                found.append(catalog.get(f"{service}:{name}"))
            except Exception:  # noqa: BLE001, S112 - streams and the like, which the catalog does not offer
                continue
    return found


@pytest.fixture(scope="module")
def operations() -> list[Operation]:
    return every_operation()


def test_a_token_fits_wherever_one_is_taken(operations: list[Operation]) -> None:
    """For every operation with a token its derived value is one that botocore's validator and the model's pattern take."""
    taking = [one for one in operations if additions.token_member(one)]
    assert len(taking) > 1000
    for one in taking:
        member = additions.token_member(one)
        token = additions.token_for(one, step_of(one), EXECUTION, 0, rehearsal=False)
        assert token, one.full_name
        shape = one.members[member]
        assert one.model.input_shape is not None
        report = ParamValidator().validate({member: token}, one.model.input_shape)._errors
        assert not [path for _, path, _ in report if path.endswith(member)], one.full_name
        assert shape.metadata.get("min", 0) <= len(token) <= min(shape.metadata.get("max", 64), 64), one.full_name
        assert re.fullmatch(r"[0-9a-f-]+", token)


def test_every_member_that_a_model_marks_as_a_token_is_taken(operations: list[Operation]) -> None:
    """botocore would fill a marked member with chance; none is left to it."""
    for one in operations:
        marked = {name for name, shape in one.members.items() if shape.metadata.get("idempotencyToken")}
        assert not marked or additions.token_member(one) in marked, one.full_name


def test_what_is_not_marked_is_called_a_token_by_its_documentation(operations: list[Operation]) -> None:
    """The names that count without a mark stand for one thing alone: making a repeat harmless."""
    wrong = []
    for one in operations:
        member = additions.token_member(one)
        if member in additions.UNMARKED and not one.members[member].metadata.get("idempotencyToken"):
            said = one.members[member].documentation.lower()
            if not re.search(
                r"idempoten|unique|retr|only once|only one|more than once|duplicate|not used|of the same name", said
            ):
                wrong.append((one.full_name, said[:200]))
    assert wrong == []


def test_what_the_documentation_calls_safe_to_repeat_has_its_token(operations: list[Operation]) -> None:
    """A text that may be left out, and by which AWS knows a repeat of the call, is sent; what does more than that is not."""
    means_more = {
        "gamelift:CreateGameSession": "GameSessionId",  # its IdempotencyToken is sent
        "kms:CreateGrant": "Name",  # the grant's name
        "sns:Publish": "MessageDeduplicationId",  # refused by standard topics
        "sqs:SendMessage": "MessageDeduplicationId",  # refused by standard queues
        "sqs:ReceiveMessage": "ReceiveRequestAttemptId",  # the same
        "lambda:Invoke": "DurableExecutionName",  # the execution's name
    }
    wrong = []
    for one in operations:
        required = one.required | {additions.token_member(one)}
        for name, shape in one.members.items():
            if name in required or shape.type_name != "string" or means_more.get(one.full_name) == name:
                continue
            said = re.sub("<[^>]+>", "", shape.documentation)
            if re.search(
                r"idempotency token|retry the call|identifies a request|used for dedup|duplicate grants", said, re.IGNORECASE
            ):
                wrong.append((one.full_name, name, said[:160]))
    assert wrong == []


def test_a_token_is_the_same_for_the_same_step_and_of_no_other() -> None:
    """Derived from the execution and the step: a second attempt sends the same, another step, execution or rehearsal another."""
    operation = catalog.get("ec2:RunInstances")
    step = step_of(operation, MinCount=1, MaxCount=1)

    def token(execution: UUID = EXECUTION, index: int = 0, *, rehearsal: bool = False) -> str:
        return additions.token_for(operation, step, execution, index, rehearsal=rehearsal)

    assert token() == token()
    assert len({token(), token(index=1), token(uuid4()), token(rehearsal=True)}) == 4


def test_what_was_signed_is_sent_as_it_was_signed() -> None:
    """A token or a rehearsal (DryRun) of the signed plan is left alone; a DryRun that says no is the call itself."""
    operation = catalog.get("ec2:RunInstances")
    signed = step_of(operation, MinCount=1, MaxCount=1, ClientToken="mine")
    assert additions.token_for(operation, signed, EXECUTION, 0, rehearsal=False) == ""
    assert additions.may_rehearse(operation, signed)
    assert not additions.may_rehearse(operation, step_of(operation, DryRun=True))
    assert additions.may_rehearse(operation, step_of(operation, DryRun=False))


@pytest.mark.parametrize("name", ["dynamodb:DeleteTable", "kms:RevokeGrant", "redshift:CreateSnapshotSchedule"])
def test_only_ec2_is_rehearsed(name: str) -> None:
    """Other services mean other things by a member of that name, or have none."""
    operation = catalog.get(name)
    assert not additions.may_rehearse(operation, step_of(operation))


def test_what_is_added_is_nothing_else() -> None:
    """The token in its member, DryRun for a rehearsal, and nothing where neither is wanted."""
    operation = catalog.get("ec2:RunInstances")
    assert additions.added(operation, "t", rehearsal=True) == {"ClientToken": "t", "DryRun": True}
    assert additions.added(operation, "t", rehearsal=False) == {"ClientToken": "t"}
    assert additions.added(catalog.get("dynamodb:DeleteTable"), "", rehearsal=False) == {}
