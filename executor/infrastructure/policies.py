"""IAM policy documents: the guardrail's deny, the executor's role, and the least that our own processes need."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from botocore import xform_name

from approvals.operations import catalog, iam
from approvals.operations.catalog import Operation
from approvals.operations.reach import PASSING, READS_BESIDES, asked_first, gives_tags
from executor.infrastructure import claims
from executor.infrastructure.guardrail import ProtectedOperations
from executor.infrastructure.limits import MANAGED_POLICY, POLICIES_OF_A_ROLE, TRUST_POLICY, DocumentTooLargeError, fits, within

Document = dict[str, Any]

_SLOT = re.compile(r"\{[^{}]*\}")
_EVERYTHING = ("*",)


def guardrail_deny(guardrail: ProtectedOperations) -> Document:
    """The managed policy that takes the protected calls from everybody but the executor's roles.

    A deny, not a missing allow: it holds whatever else a group or user is given. `aws:PrincipalArn` of a role session is
    the ARN of the role, so one value covers every session. An action that can be denied on no particular resource, or of which
    that is not known, is denied on all: a deny on ARNs would never apply to it.
    """
    statements = []
    actions = {action for operation in guardrail.known for action in iam.asked_by(operation)}
    anywhere = {action for action in actions if not iam.kinds(action)}
    for sid, some, resources in (
        ("CountersignGuardrail", actions - anywhere, sorted(guardrail.resources)),
        ("CountersignGuardrailAnywhere", anywhere, ["*"]),
    ):
        if some:
            statements.append(
                {
                    "Sid": sid,
                    "Effect": "Deny",
                    "Action": sorted(some),
                    "Resource": resources,
                    "Condition": {"ArnNotEquals": {"aws:PrincipalArn": _one_or_many(guardrail.executor_roles)}},
                }
            )
    return within(MANAGED_POLICY, _document(*statements), f"the deny policy of guardrail {guardrail.name}")


def executor_trust(execution_user: str, external_id: str) -> Document:
    """The trust policy of the executor's role: only the execution process, only with the external id, only with
    a source identity.

    SourceIdentity and session tags need permissions of their own in a trust policy. The external id is a condition key of
    sts:AssumeRole, so it stands in that statement; the second one is of no use without the first.
    """
    principal = {"AWS": execution_user}
    assume = {
        "Sid": "ExecutionProcess",
        "Effect": "Allow",
        "Principal": principal,
        "Action": "sts:AssumeRole",
        # A session without the execution's id as its source identity could never be matched to an attempt.
        "Condition": {"StringEquals": {"sts:ExternalId": external_id}, "StringLike": {"sts:SourceIdentity": "?*"}},
    }
    name_session = {
        "Sid": "NameTheSession",
        "Effect": "Allow",
        "Principal": principal,
        "Action": ["sts:SetSourceIdentity", "sts:TagSession"],
    }
    return within(TRUST_POLICY, _document(assume, name_session), "the executor's trust policy")


def executor_permissions(guardrails: Sequence[ProtectedOperations]) -> list[Document]:
    """What the executor's role may do, as managed policies of which each is within AWS's limit.

    The protected calls and those that are offered ready made before them, on the protected resources; the other actions that
    they need; and the reading operations that tell the state of their targets, as the table of operations names them. Nothing
    that reads the data itself: a session policy narrows all of it to one step. Raises DocumentTooLargeError when the role would
    need more policies than AWS attaches to one.
    """
    granted: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for guardrail in guardrails:
        for operation in guardrail.known:
            for action, resources in _needs(operation, guardrail):
                granted[resources].add(action)
    statements = [
        {"Effect": "Allow", "Action": sorted(actions - granted.get(_EVERYTHING, set())), "Resource": list(resources)}
        for resources, actions in sorted(granted.items())
        if resources != _EVERYTHING
    ]
    if _EVERYTHING in granted:
        statements.append({"Effect": "Allow", "Action": sorted(granted[_EVERYTHING]), "Resource": "*"})
    documents = list(_packed([statement for statement in statements if statement["Action"]]))
    if len(documents) > POLICIES_OF_A_ROLE:
        size = len(documents) * MANAGED_POLICY
        raise DocumentTooLargeError("the executor's permission policies", size, POLICIES_OF_A_ROLE * MANAGED_POLICY)
    return documents


def _needs(operation: Operation, guardrail: ProtectedOperations) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(IAM action, ARN patterns) of all that the executor does for the sake of one operation."""
    for call in (operation, *(catalog.get(ready.operation) for ready in operation.facts.before)):
        facts = call.facts
        protected = tuple(sorted(guardrail.resources)) if iam.kinds(facts.iam_action) else _EVERYTHING
        itself = protected if call is operation else _reach(facts.resources, guardrail) or protected
        for action in (*iam.asked_by(call), *gives_tags(call)):
            yield action, itself
        for also in facts.also_needs:
            # Which roles may be passed, the owner of the account says and no table.
            if also.action != PASSING and (reach := _reach(also.resources, guardrail)):
                yield also.action, reach
        for reading in _readings(call):
            for action in (reading.facts.iam_action, *READS_BESIDES.get(reading.full_name, ())):
                yield action, _reach(reading.facts.resources, guardrail) or _EVERYTHING
        for asking in (call, *_readings(call)):
            yield from ((action, _EVERYTHING) for action in asked_first(asking))


def _readings(operation: Operation) -> Iterator[Operation]:
    """The operations by which the target's state is read and its settling is seen, and the backup that the call makes."""
    describe, settled, protects = operation.facts.describe, operation.facts.settled, operation.facts.protects
    names = [describe.operation] if describe else []
    if protects is not None:
        names.append(protects.backup.operation)
    if settled.waiter:
        waiters = catalog.loader().load_service_model(operation.service, "waiters-2")["waiters"]
        known = {xform_name(name): waiter["operation"] for name, waiter in waiters.items()}
        names.append(known[xform_name(settled.waiter)])
    for name in dict.fromkeys(names):
        yield catalog.of_row(name, operation.service)


def _reach(templates: Iterable[str], guardrail: ProtectedOperations) -> tuple[str, ...]:
    """ARN templates as patterns of what they may stand for: of a protected kind what is protected, of another kind all there is
    in the guardrail's accounts. A member that holds a whole ARN could be anything and stands for nothing here."""
    found: set[str] = set()
    for template in templates:
        if template == "*":
            return _EVERYTHING
        parts = template.split(":", 5)
        if len(parts) < 6:
            continue
        alike = [resource.split(":", 5) for resource in guardrail.resources]
        alike = [one for one in alike if one[2] == parts[2] and _same_kind(one[5], parts[5])]
        for one in alike:
            # `{region}` is the request's, which the guardrail's pattern knows; another slot is another region.
            region = one[3] if parts[3] == "{region}" else _SLOT.sub("*", parts[3])
            found.add(":".join((*one[:3], region, *one[4:])))
        if not alike:
            placed = template.replace("{partition}", guardrail.partition)
            found.update(_SLOT.sub("*", placed.replace("{account}", account)) for account in guardrail.accounts)
    return tuple(sorted(found))


def _same_kind(protected: str, template: str) -> bool:
    """Whether the last part of an ARN pattern and of a template begin alike, as far as both are written out."""
    ours, theirs = re.split(r"[*?]", protected)[0], re.split(r"[*?{]", template)[0]
    return ours.startswith(theirs) or theirs.startswith(ours)


def _packed(statements: Sequence[Document]) -> Iterator[Document]:
    """Documents of as many statements each as fit."""
    together: list[Document] = []
    for statement in statements:
        within(MANAGED_POLICY, _document(statement), "a statement of the executor's permission policy")
        if together and not fits(MANAGED_POLICY, _document(*together, statement)):
            yield _document(*together)
            together = []
        together.append(statement)
    yield _document(*together)


def feed_policy(queue: str, trail_bucket: str = "", trail_prefix: str = "") -> Document:
    """What the feed process may do: read and delete messages of the event queue (an ARN); and read, below their prefix in their
    bucket (an ARN), the trail's log files."""
    statements = [_allow(("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"), queue)]
    if trail_bucket:
        listing = _allow(("s3:ListBucket",), trail_bucket)
        statements.append(listing | {"Condition": {"StringLike": {"s3:prefix": f"{trail_prefix}*"}}})
        statements.append(_allow(("s3:GetObject",), f"{trail_bucket}/{trail_prefix}*"))
    return _document(*statements)


def delivery_policy(topic: str, mirror_table: str) -> Document:
    """What the delivery process may do: publish on the topic and write the mirror table (both ARNs)."""
    return _document(_allow(("sns:Publish",), topic), _allow(("dynamodb:PutItem", "dynamodb:UpdateItem"), mirror_table))


def execution_policy(executor_roles: Sequence[str], claims_bucket: str = "") -> Document:
    """What the execution process may do: become the executor's role, with SourceIdentity and session tags; and write and read the
    claims outside the database in their bucket (an ARN), never delete one."""
    actions = ("sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession")
    statements = [_allow(actions, *executor_roles), *(claims.needed(claims_bucket) if claims_bucket else ())]
    return within(MANAGED_POLICY, _document(*statements), "the execution process's policy")


def _allow(actions: Sequence[str], *resources: str) -> Document:
    return {"Effect": "Allow", "Action": _one_or_many(actions), "Resource": _one_or_many(resources)}


def _document(*statements: Document) -> Document:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _one_or_many(values: Sequence[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else sorted(values)
