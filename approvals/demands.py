"""What was signed, read from its bytes, and what must hold for it: its calls, and every guardrail of then and of now."""

from __future__ import annotations

from approvals import canonical, policies
from approvals.authority import Authority, KnownAccount
from approvals.errors import BadAuthority, BadParameters, BadPlan, Refused, UnknownOperation
from approvals.models import ApprovalRequest, Revision
from approvals.operations import catalog, inputs, protection, regions, resources, words
from approvals.operations.catalog import Operation
from approvals.operations.resources import Where
from approvals.plan import Plan, Step, parse
from approvals.policies import Call, Mode, Rules


class Forged(BadAuthority):
    """Rows that claim a decision which signatures and authority do not bear out. The gravest alert."""


class KeyWasGoing(Forged):
    """A signature that verifies, made with a passkey since two persons signed that it is removed. It counts for nothing."""


def signed_plan(request: ApprovalRequest, revision: Revision) -> Plan:
    """The plan that a revision's text says. Raises Forged when it has another digest, or belongs to something else."""
    if canonical.digest(revision.text) != revision.digest:
        raise Forged("The revision's text does not have its digest: the row was changed.")
    try:
        plan = parse(revision.text)
    except BadPlan as error:
        raise Forged(f"The revision's text is no plan: {error}") from error
    if (plan.request_id, plan.revision, plan.account) != (str(request.pk), revision.number, request.account_id):
        raise Forged("The plan belongs to another request, revision or account.")
    named = ((step.name, words.target_of(step)) for step in plan.steps)
    if plan.region != request.region or (request.operation, request.target) not in named:
        # Lists and messages name a request by these columns: whoever signs by them signs what they say.
        raise Forged("The request is named after another call, target or region than those of the plan that was signed.")
    return plan


def guardrails_of(plan: Plan, authority: Authority) -> tuple[dict[str, Rules], dict[str, Rules]]:
    """Every rule set that must hold, by name: the versions that were signed, and the newest ones that match now."""
    account = authority.accounts.get(plan.account)
    if account is None or account.partition != plan.partition:
        raise Forged("The plan's account is not one that the authority knows.")
    demanded: dict[str, Rules] = {}
    for pin in plan.guardrails:
        known = authority.versions.get((pin.name, pin.number))
        if known is None or known[0] != pin.hash or canonical.digest(known[1].text()) != pin.hash:
            raise Forged(f"The plan pins guardrail {pin.name} version {pin.number}, which the authority does not know so.")
        demanded[pin.name] = known[1]
    calls = _calls(plan, account)
    current: dict[str, Rules] = {}
    enforcing = {rules: name for name, (_, _, rules) in authority.guardrails.items() if rules.mode is Mode.ENFORCE}
    index = policies.index_of(tuple(enforcing))
    for rules in dict.fromkeys(rules for call in calls for rules in index.matching(call)):
        name = enforcing[rules]
        if name not in demanded:
            raise Refused(f"Guardrail {name} protects this call now and was not part of what was signed. Review it again.")
        current[name] = rules
    if not demanded:
        raise Refused("No guardrail protects this call any more; it needs no approval here.")
    for call in calls:
        named = any(policies.matches(one, call) for one in (*demanded.values(), *current.values()))
        if protection.is_loss(call.operation, call.parameters) and not named:
            raise Refused(
                f"No guardrail protects {call.operation} in this plan, and it cannot be undone. Review it again without it."
            )
    for why in policies.unprotected([*demanded.values(), *current.values()], plan.steps, calls).values():
        raise Refused(why)
    return demanded, current


def must_be_its_role(plan: Plan, authority: Authority) -> None:
    """The role that was signed is the account's now. Raises Refused; to be asked once the signatures bear the plan out."""
    if authority.accounts[plan.account].executor_role_arn != plan.role:
        raise Refused(f"The executor's role in account {plan.account} was changed after this was signed. Review it again.")


def _calls(plan: Plan, account: KnownAccount) -> list[Call]:
    """What guardrails are held against, one a step; every step must be one that could have been filed."""
    where = Where(plan.account, plan.region, plan.partition)
    calls = []
    for step in plan.steps:
        try:
            operation = catalog.get(step.name)
        except UnknownOperation as error:
            raise Forged(f"The plan holds a call that nobody could have filed. {error}") from error
        _callable(operation, step, where)
        calls.append(
            policies.call_of(
                operation,
                account=plan.account,
                region=regions.recorded_in(operation, plan.partition, plan.region),
                resources=resources.arns(operation, step.parameters, where),
                tags=account.tags,
                parameters=step.parameters,
            )
        )
    if not regions.are_used(plan.region, account.regions, [catalog.get(step.name) for step in plan.steps], plan.partition):
        # A denied call may have been tried in a region that the account is not used in; nobody forged that.
        raise Refused(f"The account is not used in {plan.region}, so nothing is carried out there.")
    return calls


def _callable(operation: Operation, step: Step, where: Where) -> None:
    """The signed step is a call of this account and region, with its target named plainly."""
    try:
        inputs.check(operation, step.parameters)
        plain = resources.normalised(operation, step.parameters, where) == step.parameters
    except BadParameters as error:
        raise Forged(f"The plan's {step.name} cannot be called: {error}") from error
    # Where AWS knows no resource for the action there is none to be named.
    if not plain or (operation.facts.resources and not resources.arns(operation, step.parameters, where)):
        raise Forged(f"The plan's {step.name} does not name its target plainly.")
