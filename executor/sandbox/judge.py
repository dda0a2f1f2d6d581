"""May this caller make this call? Gathers the policies that bear on it and asks the evaluator."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from moto.organizations.models import organizations_backends

from executor.sandbox.context import ResourceContext, parameter_context
from executor.sandbox.identity import Caller, find_role, parsed, policies_of, request_context
from executor.sandbox.patterns import Context
from executor.sandbox.policy import Decision, Effect, Kind, Policies, Policy, Principal, Request, evaluate, evaluate_trust
from executor.sandbox.recognise import Call
from executor.sandbox.resource_state import owner, resource_policies
from executor.sandbox.resources import Asked, Tell, asked, nobody
from executor.sandbox.wire import HttpRequest

# AWS lets everybody who has valid keys ask who they are.
_ALWAYS_ALLOWED = {("sts", "GetCallerIdentity")}


def denial(call: Call, caller: Caller, request: HttpRequest, now: datetime, tell: Tell = nobody) -> str | None:
    """AWS's denial message for the first permission that is missing, or None when the caller may make the call.

    `tell` asks moto for the state of what a call acts on and does not name.
    """
    if (call.service, call.operation) in _ALWAYS_ALLOWED:
        return None
    general = request_context(caller, call.region, request.peer, request.headers.get("user-agent", ""), now)
    own = replace(policies_of(caller), service_control=_service_control(caller))
    for need in asked(call, caller, tell):
        context = ResourceContext(
            {**general, **parameter_context(call, caller, need.action), **need.context}, need.resource, caller
        )
        decision = _decide(need, caller, own, context)
        if decision.allowed or (need.granted and decision.effect is not Effect.EXPLICIT_DENY):
            continue
        return f"User: {caller.arn} is not authorized to perform: {need.action} on resource: {need.said}{decision.because}"
    return None


def may_send(target: str, service: str, source_arn: str, account: str) -> bool:
    """Whether an AWS service may send to a queue or publish on a topic on behalf of a resource, by the target's policy alone."""
    context: Context = {"aws:sourcearn": (source_arn,), "aws:sourceaccount": (account,)}
    action = "sns:Publish" if target.split(":")[2] == "sns" else "sqs:SendMessage"
    request = Request(Principal("", service, service=service), action, target, context)
    return evaluate(request, Policies(resource=resource_policies(target))).allowed


def _decide(need: Asked, caller: Caller, own: Policies, context: Context) -> Decision:
    request = Request(caller.principal, need.action, need.resource, context, need.known)
    account = owner(need.resource) or caller.account
    if need.action.startswith("sts:") and need.resource != "*":
        role = find_role(need.resource)
        trust = Policy(Kind.TRUST, parsed(role.assume_role_policy_document)) if role else None
        return evaluate_trust(request, trust, own, account)
    attached = resource_policies(need.resource)
    # Every key has a policy, and what it does not let in stays out; one that is not there is for moto to miss.
    decides = need.action.startswith("kms:") and bool(attached)
    return evaluate(request, replace(own, resource=attached, resource_account=account, resource_decides=decides))


def _service_control(caller: Caller) -> Sequence[Sequence[Policy]]:
    """The service control policies of the organization that the caller's account is a member of, from the account up.

    Source: AWS Organizations User Guide, "SCP evaluation". They do not bind the management account.
    """
    if caller.account not in organizations_backends.master_accounts:
        return ()
    management, partition = organizations_backends.master_accounts[caller.account]
    organization = organizations_backends[management][partition]
    units: dict[str, Any] = {unit.id: unit for unit in organization.ou}
    place: Any = next((account for account in organization.accounts if account.id == caller.account), None)
    levels = []
    while place is not None:
        attached = [policy for policy in place.attached_policies if policy.type == "SERVICE_CONTROL_POLICY"]
        levels.append([Policy(Kind.SERVICE_CONTROL, parsed(policy.content), policy.arn) for policy in attached])
        place = units.get(place.parent_id or "")
    return levels
