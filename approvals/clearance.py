"""May this execution be carried out? Everything that was decided is judged again, from stored bytes and the walked authority.

The executor calls this with the request and the execution locked, right before it claims. Nothing that the web process could
have written is believed: not the state, the reviews' verdicts or the passkey table, only signatures that verify under keys of
the authority chain, over the digest of the very bytes that are about to be parsed and sent.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from fido2.utils import websafe_decode

from approvals import canonical, permissions, policies, signatures
from approvals.authority import Authority, KnownAccount
from approvals.errors import (
    BadAuthority,
    BadParameters,
    BadPlan,
    BadSignature,
    Expired,
    NotYet,
    Refused,
    StaleRevision,
    UnknownOperation,
    WrongState,
)
from approvals.models import ApprovalRequest, Execution, Revision, Signature
from approvals.operations import catalog, inputs, regions, resources, risk
from approvals.operations.catalog import Operation
from approvals.operations.resources import Where
from approvals.plan import Plan, Step, parse
from approvals.policies import Call, Mode, Outcome, Resolution, Rules, Vote
from approvals.signatures import Assertion, RelyingParty
from approvals.states import RequestState, Verdict

# Clocks of several web processes differ a little, and a nonce counts milliseconds.
_SKEW: Final = timedelta(seconds=30)
# Whatever a guardrail says: nobody acts alone.
_LEAST_SIGNERS: Final = 2


class Forged(BadAuthority):
    """Rows that claim a decision which signatures and authority do not bear out. The gravest alert."""


def clear(execution: Execution, authority: Authority, party: RelyingParty, *, now: datetime) -> Plan:
    """The plan to carry out, if everything holds.

    Raises WrongState or Expired when it was ended meanwhile, StaleRevision when it was edited, Refused when a right or a
    guardrail no longer holds, and Forged (a BadAuthority) when rows do not verify.
    """
    revision = execution.revision
    request = revision.request
    _still_wanted(execution, request, revision, now)
    plan = _plan(request, revision)
    guardrails = _guardrails(plan, authority)
    votes, confirmed_by, moments = _votes(revision, authority, party, now)
    resolution = policies.resolve(
        votes,
        guardrails=guardrails,
        confirmed_by=confirmed_by,
        barred=frozenset(str(person) for person in request.editors()),
        irreversible=risk.irreversible(plan.steps),
    )
    if resolution.outcome is Outcome.APPROVED:
        _in_time(plan, guardrails, resolution, confirmed_by, moments, now)
        return plan
    if resolution.outcome is Outcome.DENIED:
        raise WrongState("A reviewer denied it.")
    if len(moments) < _LEAST_SIGNERS:
        raise Forged("The request says that it is approved, and fewer than two persons have signed it.")
    lacking = [f"{one.guardrail} has {len(one.have)} of {one.need}" for one in resolution.progress if not one.met]
    raise Refused(f"The approvals no longer suffice: {'; '.join(lacking)}. A right was taken away, or a signature is missing.")


def _still_wanted(execution: Execution, request: ApprovalRequest, revision: Revision, now: datetime) -> None:
    if request.request_state is not RequestState.APPROVED:
        raise WrongState(f"The request is {request.state}. {request.ended_why}".strip())
    if revision.number != request.revision_number:
        raise StaleRevision("The plan was edited after it was approved.")
    if execution.not_before > now:
        raise NotYet("The hold has not ended yet.")
    if execution.valid_until <= now or (request.approved_until is not None and request.approved_until <= now):
        raise Expired("The approval was good for a time that has run out.")


def _plan(request: ApprovalRequest, revision: Revision) -> Plan:
    if canonical.digest(revision.text) != revision.digest:
        raise Forged("The revision's text does not have its digest: the row was changed.")
    try:
        plan = parse(revision.text)
    except BadPlan as error:
        raise Forged(f"The revision's text is no plan: {error}") from error
    if (plan.request_id, plan.revision, plan.account) != (str(request.pk), revision.number, request.account_id):
        raise Forged("The plan belongs to another request, revision or account.")
    return plan


def _guardrails(plan: Plan, authority: Authority) -> dict[str, Rules]:
    """Every rule set that must hold: the versions that were signed, and the newest ones that match now."""
    account = authority.accounts.get(plan.account)
    if account is None or account.executor_role_arn != plan.role or account.partition != plan.partition:
        raise Forged("The plan's account or role is not one that the authority knows.")
    demanded: dict[str, Rules] = {}
    for pin in plan.guardrails:
        known = authority.versions.get((pin.name, pin.number))
        if known is None or known[0] != pin.hash or canonical.digest(known[1].text()) != pin.hash:
            raise Forged(f"The plan pins guardrail {pin.name} version {pin.number}, which the authority does not know so.")
        demanded[pin.name] = known[1]
    calls = _calls(plan, account)
    for name, (_, _, rules) in authority.guardrails.items():
        if rules.mode is Mode.ENFORCE and any(policies.matches(rules, call) for call in calls):
            signed = demanded.get(name)
            if signed is None:
                raise Refused(f"Guardrail {name} protects this call now and was not part of what was signed. Review it again.")
            if rules.approvals > signed.approvals or rules.irreversible.extra_approvals > signed.irreversible.extra_approvals:
                demanded[name] = rules
    if not demanded:
        raise Refused("No guardrail protects this call any more; it needs no approval here.")
    for call in calls:
        if catalog.get(call.operation).facts.irreversible and not any(policies.matches(one, call) for one in demanded.values()):
            raise Refused(
                f"No guardrail protects {call.operation} in this plan, and it cannot be undone. Review it again without it."
            )
    return demanded


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


def _votes(
    revision: Revision, authority: Authority, party: RelyingParty, now: datetime
) -> tuple[list[Vote], str | None, dict[str, datetime]]:
    """Votes from verified signatures alone; who confirmed as the requester; when each signer signed, counted or not."""
    stored = list(revision.signatures.all())
    behind_it = revision.request.editors()
    apart_from = frozenset(str(person) for person in behind_it)
    live = permissions.rights_of([signature.person_id for signature in stored], at=now, apart_from=behind_it)
    active = permissions.active_among([signature.person_id for signature in stored])
    moments: dict[str, datetime] = {}
    votes: list[Vote] = []
    confirmed_by: str | None = None
    for signature in stored:
        person = _verified(signature, revision, authority, party)
        moments[person] = signature.created_at
        # A person counts when the signed authority and today's tables both say so: switching one off needs no quorum.
        if not authority.is_voter(person) or signature.person_id not in active:
            continue
        if signature.verdict == Verdict.CONFIRM:
            confirmed_by = person
            continue
        # A right counts when both the signed authority and today's tables have it: taking one away needs no quorum.
        rights = authority.rights_at(person, now, apart_from=apart_from) & live[signature.person_id]
        votes.append(Vote(person, Verdict(signature.verdict), rights))
    _reviews_are_signed(revision, stored)
    if confirmed_by is not None and revision.request.requester_id != UUID(confirmed_by):
        raise Forged("The plan was confirmed by somebody who is not its requester.")
    return votes, confirmed_by, moments


def _verified(signature: Signature, revision: Revision, authority: Authority, party: RelyingParty) -> str:
    known = authority.passkeys.get(signature.credential_id)
    if known is None or known[0] != str(signature.person_id):
        raise Forged(f"A signature by {signature.person} was made with a passkey that the authority does not know as theirs.")
    try:
        expected = signatures.challenge(revision.digest, Verdict(signature.verdict), bytes(websafe_decode(signature.nonce)))
        assertion = Assertion(signature.credential_id, signature.client_data, signature.authenticator_data, signature.signature)
        signatures.verify(assertion, expected=expected, public_key=known[1], party=party)
        opened = signatures.moment_of(bytes(websafe_decode(signature.nonce)))
    except (BadSignature, ValueError) as error:
        raise Forged(f"A signature by {signature.person} does not verify: {error}") from error
    # The ceremony's moment is inside what was signed; a row that says another time was changed to revive an old approval.
    if not opened - _SKEW <= signature.created_at <= opened + signatures.LIFETIME + _SKEW:
        raise Forged(f"A signature by {signature.person} says another time than the one that was signed.")
    return known[0]


def _reviews_are_signed(revision: Revision, stored: list[Signature]) -> None:
    signed = {(signature.pk, signature.person_id, signature.verdict) for signature in stored}
    for review in revision.reviews.all():
        if (review.signature_id, review.person_id, review.verdict) not in signed:
            raise Forged("A review does not rest on a signature of the same person, verdict and revision.")


def _in_time(
    plan: Plan,
    guardrails: dict[str, Rules],
    resolution: Resolution,
    confirmed_by: str | None,
    moments: dict[str, datetime],
    now: datetime,
) -> None:
    """The clocks from what was signed, not from columns that could be moved: the hold, and how long the approval is good.

    The approval was resolved by its newest counted vote; the confirmation and the other votes must be of the same pending time.
    """
    voters = {person for progress in resolution.progress for person in progress.have}
    resolved = max(moments[person] for person in voters)
    hold = max(rules.irreversible.hold for rules in guardrails.values()) if risk.irreversible(plan.steps) else 0
    pending = max(rules.clocks.pending for rules in guardrails.values())
    if now < resolved + timedelta(seconds=hold):
        raise NotYet("The hold that the guardrail asks for has not ended yet.")
    if now > resolved + timedelta(seconds=hold + plan.valid_for):
        raise Expired("The approval was good for a time that has run out.")
    for person in voters | ({confirmed_by} if confirmed_by else set()):
        if abs(resolved - moments[person]) > timedelta(seconds=pending) + signatures.LIFETIME:
            raise Expired("The signatures are not of one time: one of them is older than a pending request may be.")
