"""May this caller make this call? Gathers the policies that bear on it and asks the evaluator."""

from datetime import datetime

from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from executor.sandbox.identity import Caller, find_role, parsed, policies_of, request_context
from executor.sandbox.patterns import Context
from executor.sandbox.policy import Decision, Kind, Policies, Policy, Principal, Request, evaluate, evaluate_trust
from executor.sandbox.recognise import Call
from executor.sandbox.resources import Asked, asked
from executor.sandbox.wire import HttpRequest

# AWS lets everybody who has valid keys ask who they are.
_ALWAYS_ALLOWED = {("sts", "GetCallerIdentity")}


def denial(call: Call, caller: Caller, request: HttpRequest, now: datetime) -> str | None:
    """AWS's denial message for the first permission that is missing, or None when the caller may make the call."""
    if (call.service, call.operation) in _ALWAYS_ALLOWED:
        return None
    context = request_context(caller, call.region, request.peer, request.headers.get("user-agent", ""), now)
    context = {**context, **_parameter_context(call, caller)}
    own = policies_of(caller)
    for need in asked(call, caller):
        decision = _decide(need, caller, own, context)
        if not decision.allowed:
            return f"User: {caller.arn} is not authorized to perform: {need.action} on resource: {need.said}{decision.because}"
    return None


def may_send(queue_arn: str, service: str, source_arn: str, account: str) -> bool:
    """Whether an AWS service may send to a queue on behalf of a resource, by the queue's policy alone."""
    context: Context = {"aws:sourcearn": (source_arn,), "aws:sourceaccount": (account,)}
    request = Request(Principal("", service, service=service), "sqs:SendMessage", queue_arn, context)
    return evaluate(request, Policies(resource=resource_policies(queue_arn))).allowed


def resource_policies(arn: str) -> tuple[Policy, ...]:
    """The policy of a queue or topic. Other resources have none in the sandbox."""
    _, partition, service, region, account, name = (arn.split(":", 5) + [""] * 6)[:6]
    document = None
    if service == "sqs" and account in sqs_backends and region:
        queue = sqs_backends[account][region].queues.get(name)
        document = queue.policy if queue else None
    elif service == "sns" and account in sns_backends and region:
        topic = sns_backends[account][region].topics.get(arn)
        document = topic.policy if topic else None
    return (Policy(Kind.RESOURCE, parsed(document)),) if document and partition else ()


def _decide(need: Asked, caller: Caller, own: Policies, context: Context) -> Decision:
    request = Request(caller.principal, need.action, need.resource, context)
    account = need.resource.split(":")[4] if need.resource.count(":") >= 5 else caller.account
    if need.action.startswith("sts:") and need.resource != "*":
        role = find_role(need.resource)
        trust = Policy(Kind.TRUST, parsed(role.assume_role_policy_document)) if role else None
        return evaluate_trust(request, trust, own, account)
    policies = Policies(own.identity, own.boundary, own.session, resource_policies(need.resource), account)
    return evaluate(request, policies)


def _parameter_context(call: Call, caller: Caller) -> dict[str, tuple[str, ...]]:
    """The condition keys that follow from an AssumeRole's parameters and from the session that it continues."""
    if call.service != "sts":
        return {}
    parameters = call.parameters
    inherited = caller.session.source_identity if caller.session else None
    keys: dict[str, tuple[str, ...]] = {}
    for key, value in (
        ("sts:externalid", parameters.get("ExternalId")),
        ("sts:rolesessionname", parameters.get("RoleSessionName")),
        ("sts:sourceidentity", parameters.get("SourceIdentity") or inherited),
    ):
        if value:
            keys[key] = (str(value),)
    tags = parameters.get("Tags") or []
    if tags:
        keys["aws:tagkeys"] = tuple(tag["Key"] for tag in tags)
        keys |= {f"aws:requesttag/{tag['Key'].lower()}": (tag["Value"],) for tag in tags}
    if parameters.get("TransitiveTagKeys"):
        keys["sts:transitivetagkeys"] = tuple(parameters["TransitiveTagKeys"])
    return keys
