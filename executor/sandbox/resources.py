"""What a call asks permission for: IAM actions and the ARNs of what they touch.

Source: Service Authorization Reference. Written out for DynamoDB, SQS, SNS, IAM, STS, S3, KMS and Secrets Manager, where names
are nested, stand for something else in moto's state, or have an action of their own; for every other service the facts of
`approvals.operations` say it.

What a call touches is not always told by its parameters. Such a call asks for *every* resource of the kinds that its action
works on: an Allow must cover them all, and a Deny on any one of them denies. That is stricter than AWS, which knows what the
call will touch; it must never be laxer, or a guardrail that holds there would not hold here.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from approvals.operations import catalog, counterparts, iam, inside, reach
from approvals.operations.catalog import Operation
from approvals.operations.resources import Where, touched
from executor.sandbox.identity import Caller
from executor.sandbox.patterns import overlaps
from executor.sandbox.recognise import Call
from executor.sandbox.resource_state import find_key, find_secret


@dataclass(frozen=True)
class Asked:
    """One permission that a call needs: the action, the resource, and the resource in the words of AWS's denial.

    Where `known` is false the resource is a pattern of what the call may touch. `granted`: others of the call's needs grant
    it, and this one is there for the denies alone. `context` are condition keys of a use that a service makes in the caller's
    name, or that belongs to another call of his.
    """

    action: str
    resource: str
    said: str
    known: bool = True
    granted: bool = False
    context: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)


# What moto answers to a reading call of the caller's, as boto3 would return it; None where it refuses it.
Tell = Callable[[Operation, dict[str, Any]], Mapping[str, Any] | None]


def nobody(_: Operation, __: dict[str, Any]) -> None:
    """Where there is no moto to tell of its state."""


# A part of an ARN in the formats of the Service Authorization Reference.
_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")
# A part of an ARN template of ours.
# Members of DynamoDB's inputs that name a resource: by name (with the ARN's last part) or as an ARN.
_DYNAMODB_MEMBERS: Mapping[str, str] = {
    "TableName": "table/{}",
    "SourceTableName": "table/{}",
    "TargetTableName": "table/{}",
    "GlobalTableName": "global-table/{}",
    "TableArn": "{}",
    "SourceTableArn": "{}",
    "ResourceArn": "{}",
    "BackupArn": "{}",
    "ExportArn": "{}",
    "ImportArn": "{}",
    "StreamArn": "{}",
}
_TRANSACT_ACTIONS = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}
_PARTIQL_ACTIONS = {
    "SELECT": "PartiQLSelect",
    "INSERT": "PartiQLInsert",
    "UPDATE": "PartiQLUpdate",
    "DELETE": "PartiQLDelete",
    "EXISTS": "PartiQLSelect",
}
_PARTIQL = re.compile(
    r"^\s*(?P<verb>SELECT|INSERT|UPDATE|DELETE|EXISTS)\b(?:.*?\b(?:FROM|INTO)\b)?\s*"
    r"(?:\"(?P<quoted>[^\"]+)\"|(?P<table>[A-Za-z0-9_-]+))",
    re.IGNORECASE | re.DOTALL,
)
# Batches are permitted by the action of a single entry.
_SINGLE_ACTIONS = {
    ("sqs", "SendMessageBatch"): "SendMessage",
    ("sqs", "DeleteMessageBatch"): "DeleteMessage",
    ("sqs", "ChangeMessageVisibilityBatch"): "ChangeMessageVisibility",
    ("sns", "PublishBatch"): "Publish",
}
# IAM speaks of "user NAME" in its denials, where other services write the ARN.
_IAM_MEMBERS = {
    "UserName": "user",
    "RoleName": "role",
    "GroupName": "group",
    "PolicyName": "policy",
    "InstanceProfileName": "instance-profile",
}
# SNS writes its own name in capitals in denials.
_SAID_PREFIXES = {"sns": "SNS"}


# S3's actions on one version of an object are actions of their own.
_ON_A_VERSION = frozenset(
    [
        "DeleteObject",
        "DeleteObjectTagging",
        "GetObject",
        "GetObjectAcl",
        "GetObjectAttributes",
        "GetObjectTagging",
        "HeadObject",
        "PutObjectAcl",
        "PutObjectTagging",
    ]
)


# What S3 asks for beside the action when a lock comes with the call.
_S3_ALSO: Mapping[str, tuple[str, ...]] = {
    "s3:BypassGovernanceRetention": ("BypassGovernanceRetention",),
    "s3:PutObjectLegalHold": ("ObjectLockLegalHoldStatus",),
    "s3:PutObjectRetention": ("ObjectLockMode", "ObjectLockRetainUntilDate"),
}


def asked(call: Call, caller: Caller, tell: Tell = nobody) -> list[Asked]:
    """Every permission that the call needs; each of them must be allowed. Never empty."""
    state = _state(call, tell)
    if call.service in _BY_SERVICE:
        needs = list(dict.fromkeys(_BY_SERVICE[call.service](call, caller)))
    else:
        needs = list(dict.fromkeys(_any_service(call, caller, state)))
    if not needs or call.service not in _BY_SERVICE:
        needs += list(_untold(call, caller, needs))
    return [*needs, *_also(call, caller, state)]


def _state(call: Call, tell: Tell) -> Any:
    """The target's state, of a call that acts on what only its state tells; moto's models say it of the services written out."""
    operation = _operation(call)
    describe = operation.facts.describe
    if call.service in _BY_SERVICE or describe is None or not reach.expressions(operation, call.parameters):
        return None
    found = {member: counterparts.searched(one, call.parameters) for member, one in describe.parameters.items()}
    answer = tell(
        catalog.of_row(describe.operation, call.service), {member: value for member, value in found.items() if value is not None}
    )
    return None if answer is None else counterparts.searched(describe.result, answer)


def _need(call: Call, operation: str, resource: str, said: str = "") -> Asked:
    prefix = _SAID_PREFIXES.get(call.service, call.iam_prefix)
    return Asked(f"{prefix}:{operation}", resource, said or resource)


def _where(call: Call, caller: Caller) -> Where:
    return Where(caller.account, call.region, caller.partition)


def _operation(call: Call) -> Operation:
    return catalog.get(f"{call.service}:{call.operation}")


def _any_service(call: Call, caller: Caller, state: Any) -> Iterator[Asked]:
    """By the facts of the operation, and where its target's state tells more than its parameters by that."""
    operation, where = _operation(call), _where(call, caller)
    found = reach.acts_on(operation, call.parameters, where, state) if state is not None else ()
    for arn in found or inside.named(operation, call.parameters, where, touched(operation, call.parameters, where).patterns):
        # A pattern is what the parameters do not tell to the end: a suffix that AWS adds, a member that may be left out.
        yield Asked(operation.facts.iam_action, arn, arn, known=not set(arn) & {"*", "?"})


def _also(call: Call, caller: Caller, state: Any) -> Iterator[Asked]:
    """The other actions that the call needs, by the operation's facts, on what its parameters or its target's state name."""
    operation, where = _operation(call), _where(call, caller)
    for one in reach.also_needed(operation, call.parameters):
        targets = reach.acts_on(operation, call.parameters, where, state) if one.only else ()
        said = reach.condition(one, targets, where, call.parameters)
        context = {key.lower(): tuple(values[:1]) for keys in said.values() for key, values in keys.items()}
        for arn in reach.needed(operation, one, call.parameters, where, state):
            if not set(arn) & {"*", "?"}:
                yield Asked(one.action, arn, arn, context=context)
    for right in reach.tagging(operation, call.parameters, where):
        context = {key.lower(): tuple(values) for keys in right.condition.values() for key, values in keys.items()}
        yield from (Asked(right.action, arn, arn, known=not set(arn) & {"*", "?"}, context=context) for arn in right.arns)


def _untold(call: Call, caller: Caller, needs: list[Asked]) -> Iterator[Asked]:
    """What the call may touch besides `needs`: all resources of the kinds that its action asks for and that none of them is."""
    action = needs[0].action if needs else _operation(call).facts.iam_action
    missing = list(_missing_kinds(action, _where(call, caller), needs))
    if needs:
        yield from (Asked(action, pattern, pattern, known=False, granted=True) for pattern in missing)
    elif iam.known(action) and not iam.kinds(action):
        yield Asked(action, "*", "*")
    else:
        yield from (Asked(action, pattern, pattern, known=False) for pattern in missing or ["*"])


def _missing_kinds(action: str, where: Where, needs: list[Asked]) -> Iterator[str]:
    """The kinds of resources without which there is no such call and of which `needs` has none, as patterns of ARNs."""
    place = {"Partition": where.partition, "Region": where.region, "Account": where.account}
    for kind in iam.kinds(action):
        anywhere = [_PLACEHOLDER.sub("*", one) for one in kind.formats]
        if kind.required and not any(overlaps(one, need.resource, {}) for one in anywhere for need in needs):
            yield from (_PLACEHOLDER.sub(lambda found: place.get(found[1], "*"), one) for one in kind.formats)


def _dynamodb(call: Call, caller: Caller) -> Iterator[Asked]:
    def arn(template: str, given: Any) -> str:
        name = str(given)
        if name.startswith("arn:"):
            return name
        return f"arn:{caller.partition}:dynamodb:{call.region}:{caller.account}:{template.format(name)}"

    parameters = call.parameters
    for action, table in _dynamodb_many(call):
        yield _need(call, action, arn("table/{}", table))
    for member, template in _DYNAMODB_MEMBERS.items():
        if parameters.get(member):
            resource = arn(template, parameters[member])
            index = parameters.get("IndexName")
            yield _need(call, call.operation, f"{resource}/index/{index}" if index else resource)
    created = parameters.get("TableCreationParameters")
    if isinstance(created, dict) and created.get("TableName"):
        yield _need(call, call.operation, arn("table/{}", created["TableName"]))


def _dynamodb_many(call: Call) -> Iterator[tuple[str, str]]:
    """(action, table) of each table that a batch, transaction or PartiQL statement touches."""
    parameters = call.parameters
    if call.operation in ("BatchGetItem", "BatchWriteItem"):
        yield from ((call.operation, table) for table in parameters.get("RequestItems", {}))
    for item in parameters.get("TransactItems", ()):
        for kind, details in item.items():
            action = "GetItem" if kind == "Get" else _TRANSACT_ACTIONS.get(kind, kind)
            yield action, details.get("TableName", "*")
    statements = [parameters, *parameters.get("Statements", ()), *parameters.get("TransactStatements", ())]
    for statement in statements:
        text = statement.get("Statement") if isinstance(statement, dict) else None
        match = _PARTIQL.match(text) if isinstance(text, str) else None
        if match:
            yield _PARTIQL_ACTIONS[match["verb"].upper()], match["quoted"] or match["table"]


def _sqs(call: Call, caller: Caller) -> Iterator[Asked]:
    name = call.parameters.get("QueueName") or str(call.parameters.get("QueueUrl", "")).rstrip("/").rpartition("/")[2]
    operation = _SINGLE_ACTIONS.get((call.service, call.operation), call.operation)
    if name:
        # moto acts on the caller's own queue whatever account the URL names, so that is the one to judge.
        yield _need(call, operation, f"arn:{caller.partition}:sqs:{call.region}:{caller.account}:{name}")


def _sns(call: Call, caller: Caller) -> Iterator[Asked]:
    parameters = call.parameters
    operation = _SINGLE_ACTIONS.get((call.service, call.operation), call.operation)
    arn = parameters.get("TopicArn") or parameters.get("TargetArn") or parameters.get("ResourceArn")
    if parameters.get("Name") and call.operation == "CreateTopic":
        arn = f"arn:{caller.partition}:sns:{call.region}:{caller.account}:{parameters['Name']}"
    if parameters.get("SubscriptionArn"):
        arn = parameters["SubscriptionArn"].rpartition(":")[0]
    if arn:
        yield _need(call, operation, arn)


def _iam(call: Call, caller: Caller) -> Iterator[Asked]:
    parameters = call.parameters
    if parameters.get("PolicyArn") and not parameters.keys() & {"UserName", "RoleName", "GroupName"}:
        yield _need(call, call.operation, parameters["PolicyArn"], f"policy {parameters['PolicyArn']}")
        return
    # A role in a profile is the profile's, a user in a group the group's: IAM asks for the right on that alone.
    holder = next((name for name in ("InstanceProfileName", "GroupName") if parameters.get(name)), "")
    members = {holder: _IAM_MEMBERS[holder]} if holder else _IAM_MEMBERS
    for member, kind in members.items():
        name = parameters.get(member)
        if name and not (member == "PolicyName" and call.operation != "CreatePolicy"):
            path = str(parameters.get("Path", "/")) if call.operation.startswith("Create") else "/"
            arn = f"arn:{caller.partition}:iam::{caller.account}:{kind}{path}{name}"
            yield _need(call, call.operation, arn, f"{kind.replace('-', ' ')} {name}")


def _sts(call: Call, caller: Caller) -> Iterator[Asked]:
    role = call.parameters.get("RoleArn")
    if not role:
        return
    yield _need(call, call.operation, role)
    if call.parameters.get("SourceIdentity") or (caller.session and caller.session.source_identity):
        yield _need(call, "SetSourceIdentity", role)
    if call.parameters.get("Tags") or (caller.session and caller.session.transitive_tags):
        yield _need(call, "TagSession", role)


def _s3(call: Call, caller: Caller) -> Iterator[Asked]:
    """A bucket, an object in it, every object of a DeleteObjects, and the source of a copy."""
    action = _operation(call).facts.iam_action
    parameters = call.parameters
    bucket = parameters.get("Bucket")
    if not isinstance(bucket, str) or bucket.startswith("arn:"):
        return
    arn = f"arn:{caller.partition}:s3:::{bucket}"
    if call.operation == "DeleteObjects":
        for entry in (parameters.get("Delete") or {}).get("Objects") or ():
            one = "s3:DeleteObjectVersion" if entry.get("VersionId") else "s3:DeleteObject"
            yield Asked(one, f"{arn}/{entry.get('Key', '')}", f"{arn}/{entry.get('Key', '')}")
        return
    if parameters.get("VersionId") and call.operation in _ON_A_VERSION:
        action = action.replace("Object", "ObjectVersion", 1)
    resource = f"{arn}/{parameters['Key']}" if parameters.get("Key") else arn
    yield Asked(action, resource, resource)
    for one, members in _S3_ALSO.items():
        if action != one and any(parameters.get(member) for member in members):
            yield Asked(one, resource, resource)
    source = parameters.get("CopySource")
    if source:
        path = source if isinstance(source, str) else f"{source.get('Bucket')}/{source.get('Key')}"
        read = f"arn:{caller.partition}:s3:::{unquote(path.partition('?')[0]).lstrip('/')}"
        yield Asked("s3:GetObject", read, read)


def _kms(call: Call, caller: Caller) -> Iterator[Asked]:
    """Keys by what their id, alias or ARN means in moto's state, which is what moto will act on."""
    action = _operation(call).facts.iam_action
    place = f"arn:{caller.partition}:kms:{call.region}:{caller.account}:"
    alias = call.parameters.get("AliasName")
    if alias:
        yield Asked(action, f"{place}{alias}", f"{place}{alias}")
    for member in ("KeyId", "TargetKeyId", "SourceKeyId", "DestinationKeyId", *(("AliasName",) if alias else ())):
        given = call.parameters.get(member)
        if given:
            key = find_key(str(given), caller.account, call.region)
            arn = str(key.arn) if key else given if str(given).startswith("arn:") else f"{place}key/{given}"
            if key or member != "AliasName":
                yield Asked(action, arn, arn)


def _secretsmanager(call: Call, caller: Caller) -> Iterator[Asked]:
    """A secret by its whole ARN, with the suffix that its name does not tell; one that is not there by every suffix."""
    action = _operation(call).facts.iam_action
    given = call.parameters.get("SecretId") or (call.parameters.get("Name") if call.operation == "CreateSecret" else None)
    if not given:
        return
    secret = find_secret(str(given), caller.account, call.region)
    if secret:
        yield Asked(action, str(secret.arn), str(secret.arn))
    else:
        place = f"arn:{caller.partition}:secretsmanager:{call.region}:{caller.account}:secret:"
        arn = given if str(given).startswith("arn:") else f"{place}{given}-??????"
        yield Asked(action, arn, arn, known=False)


_BY_SERVICE: Mapping[str, Callable[[Call, Caller], Iterator[Asked]]] = {
    "dynamodb": _dynamodb,
    "dynamodbstreams": _dynamodb,
    "sqs": _sqs,
    "sns": _sns,
    "iam": _iam,
    "sts": _sts,
    "s3": _s3,
    "kms": _kms,
    "secretsmanager": _secretsmanager,
}
