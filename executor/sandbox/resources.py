"""What a call asks permission for: IAM actions and the ARNs of what they touch.

Source: Service Authorization Reference. Data for the services that the demo uses; for any other service the resource is
`*`, which an allow or deny on particular ARNs does not match.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from executor.sandbox.identity import Caller
from executor.sandbox.recognise import Call


@dataclass(frozen=True)
class Asked:
    """One permission that a call needs: the action, the resource, and the resource in the words of AWS's denial."""

    action: str
    resource: str
    said: str


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


def asked(call: Call, caller: Caller) -> list[Asked]:
    """Every permission that the call needs; each of them must be allowed. Never empty."""
    needs = list(_BY_SERVICE.get(call.service, _whatever)(call, caller))
    return list(dict.fromkeys(needs)) or [_need(call, call.operation, "*")]


def _need(call: Call, operation: str, resource: str, said: str = "") -> Asked:
    prefix = _SAID_PREFIXES.get(call.service, call.iam_prefix)
    return Asked(f"{prefix}:{operation}", resource, said or resource)


def _whatever(call: Call, caller: Caller) -> Iterator[Asked]:
    return iter(())


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
    for member, kind in _IAM_MEMBERS.items():
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


_BY_SERVICE: Mapping[str, Callable[[Call, Caller], Iterator[Asked]]] = {
    "dynamodb": _dynamodb,
    "dynamodbstreams": _dynamodb,
    "sqs": _sqs,
    "sns": _sns,
    "iam": _iam,
    "sts": _sts,
}
