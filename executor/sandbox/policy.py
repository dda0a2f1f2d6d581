"""The IAM evaluator: pure functions from policies and a request to a decision.

Source: IAM User Guide, "Policy evaluation logic", with "How AWS enforcement code logic evaluates requests to allow or deny
access" and "Cross-account policy evaluation logic". In that order: an explicit deny anywhere wins; service control policies
must allow; a resource-based policy that names the principal itself allows; else identity-based policies, the permissions
boundary and the session policies must each allow. Resource control policies and VPC endpoint policies are not evaluated.
"""

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from executor.sandbox.conditions import UnknownOperatorError, conditions_hold
from executor.sandbox.patterns import Context, glob, matches, overlaps

# Since this version of the policy language `${...}` is a variable; in documents of the former one, and in those that name
# none, it is a text.
_WITH_VARIABLES = "2012-10-17"


class Effect(enum.Enum):
    ALLOW = "allow"
    IMPLICIT_DENY = "implicit deny"
    EXPLICIT_DENY = "explicit deny"


class Kind(enum.Enum):
    """Kinds of policies, in the words of AWS's denial messages."""

    IDENTITY = "identity-based policy"
    RESOURCE = "resource-based policy"
    BOUNDARY = "permissions boundary"
    SESSION = "session policy"
    SERVICE_CONTROL = "service control policy"
    TRUST = "role trust policy"


@dataclass(frozen=True)
class Policy:
    """A policy document and where it comes from; `arn` is None for inline policies."""

    kind: Kind
    document: Mapping[str, Any]
    arn: str | None = None


@dataclass(frozen=True)
class Principal:
    """Who asks, as resource-based policies may name them.

    `arn` is the user or the role session; `role_arn` the role of a session; `service` an AWS service such as
    events.amazonaws.com, which then stands for itself and has no account of its own.
    """

    account: str
    arn: str
    role_arn: str | None = None
    service: str | None = None


@dataclass(frozen=True)
class Request:
    """One action on one resource. Context keys are in lower case (see patterns.Context).

    Where `known` is false, `resource` is a pattern: it is not known which of the resources that it matches the call touches.
    An Allow must then cover all of them, and a Deny on any of them denies.
    """

    principal: Principal
    action: str
    resource: str
    context: Context
    known: bool = True


@dataclass(frozen=True)
class Policies:
    """Everything that bears on a request. `boundary` and `session` are None where there is none: they then limit nothing.

    `service_control` has one sequence for each level above the account (root, organizational units, the account itself).
    `resource_decides`: identity-based policies count only where the resource's own policy lets them, as for KMS keys.
    """

    identity: Sequence[Policy] = ()
    boundary: Sequence[Policy] | None = None
    session: Sequence[Policy] | None = None
    resource: Sequence[Policy] = ()
    resource_account: str | None = None
    resource_decides: bool = False
    service_control: Sequence[Sequence[Policy]] = ()

    def every(self) -> Iterable[Policy]:
        yield from self.identity
        yield from self.boundary or ()
        yield from self.session or ()
        yield from self.resource
        for level in self.service_control:
            yield from level


@dataclass(frozen=True)
class Decision:
    """The verdict on a request and the policy kind that decided it, with its ARN where it has one."""

    effect: Effect
    action: str
    resource: str
    kind: Kind | None = None
    policy_arn: str | None = None

    @property
    def allowed(self) -> bool:
        return self.effect is Effect.ALLOW

    @property
    def because(self) -> str:
        """The end of AWS's denial message, from " with" or " because" on; empty for an allow."""
        if self.effect is Effect.EXPLICIT_DENY and self.kind:
            article = "an" if self.kind is Kind.IDENTITY else "a"
            return f" with an explicit deny in {article} {self.kind.value}" + (f": {self.policy_arn}" if self.policy_arn else "")
        if self.effect is Effect.IMPLICIT_DENY and self.kind and self.kind is not Kind.TRUST:
            return f" because no {self.kind.value} allows the {self.action} action"
        return ""


class _Grant(enum.IntEnum):
    """How a resource-based policy names the principal."""

    NONE = 0
    ACCOUNT = 1  # the account, which leaves the decision to the principal's own policies
    ROLE = 2  # the role of a session: boundary and session policies still limit it
    DIRECT = 3  # the user, the session, the service or everybody


def evaluate(request: Request, policies: Policies) -> Decision:
    """AWS's decision on `request` under `policies`.

    1. An explicit deny in any policy ends it.
    2. Every level of service control policies must allow what a principal of the account asks.
    3. In one account, a resource-based policy that names the principal allows what identity policies do not mention.
    4. Identity-based policies, boundary and session policies must each allow the rest; across accounts both sides must.
    """

    def verdict(effect: Effect, kind: Kind | None = None, arn: str | None = None) -> Decision:
        return Decision(effect, request.action, request.resource, kind, arn)

    bounded = policies.boundary is not None
    for policy in policies.every():
        if _says(policy, "Deny", request, bounded=bounded):
            return verdict(Effect.EXPLICIT_DENY, policy.kind, policy.arn)
    grant = max((_grant(policy, request) for policy in policies.resource), default=_Grant.NONE)
    if request.principal.service:
        allowed = grant is _Grant.DIRECT
        return verdict(Effect.ALLOW) if allowed else verdict(Effect.IMPLICIT_DENY, Kind.RESOURCE)
    for level in policies.service_control:
        if not any(_says(policy, "Allow", request) for policy in level):
            return verdict(Effect.IMPLICIT_DENY, Kind.SERVICE_CONTROL)
    same_account = policies.resource_account in (None, request.principal.account)
    if grant is _Grant.NONE and (policies.resource_decides or not same_account):
        return verdict(Effect.IMPLICIT_DENY, Kind.RESOURCE)
    if same_account and grant is _Grant.DIRECT:
        return verdict(Effect.ALLOW)
    limits: list[tuple[Kind, Sequence[Policy] | None]] = [(Kind.BOUNDARY, policies.boundary), (Kind.SESSION, policies.session)]
    if not (same_account and grant is _Grant.ROLE):
        limits.insert(0, (Kind.IDENTITY, policies.identity))
    for kind, limit in limits:
        if limit is not None and not any(_says(policy, "Allow", request) for policy in limit):
            return verdict(Effect.IMPLICIT_DENY, kind)
    return verdict(Effect.ALLOW)


def evaluate_trust(request: Request, trust: Policy | None, caller: Policies, role_account: str) -> Decision:
    """Whether a principal may act on a role: its trust policy must name the principal, in every case.

    A trust policy that names the user or role itself is enough within the account; one that names the account leaves it
    to the caller's own policies. Across accounts both must allow. `trust` is None when the role does not exist, which AWS
    answers like a refusal.
    """
    resource = (trust,) if trust else ()
    policies = replace(caller, resource=resource, resource_account=role_account)
    bounded = policies.boundary is not None
    if trust is None or (_grant(trust, request) is _Grant.NONE and not _says(trust, "Deny", request, bounded=bounded)):
        return Decision(Effect.IMPLICIT_DENY, request.action, request.resource, Kind.TRUST)
    return evaluate(request, policies)


def _says(policy: Policy, effect: str, request: Request, *, bounded: bool = False) -> bool:
    """Whether some statement with this effect applies to the request."""
    return any(_applies(statement, request, bounded) for statement in _statements(policy) if statement.get("Effect") == effect)


def _statements(policy: Policy) -> list[Mapping[str, Any]]:
    statements = policy.document.get("Statement", [])
    statements = statements if isinstance(statements, list) else [statements]
    return statements if policy.document.get("Version") == _WITH_VARIABLES else _without_variables(statements)


def _without_variables(value: Any) -> Any:
    """The same with every `${` written so that it means itself."""
    if isinstance(value, str):
        return value.replace("${", "${$}{")
    if isinstance(value, Mapping):
        return {key: _without_variables(inner) for key, inner in value.items()}
    return [_without_variables(inner) for inner in value] if isinstance(value, list) else value


def _applies(statement: Mapping[str, Any], request: Request, bounded: bool) -> bool:
    return (
        _action_matches(statement, request)
        and _resource_matches(statement, request)
        and _principal_matches(statement, request, bounded)
        and _condition_matches(statement, request)
    )


def _action_matches(statement: Mapping[str, Any], request: Request) -> bool:
    """Actions are compared without case."""
    named = "Action" in statement
    patterns = _values(statement.get("Action" if named else "NotAction", []))
    return any(glob(pattern, request.action, ignore_case=True) for pattern in patterns) is named


def _resource_matches(statement: Mapping[str, Any], request: Request) -> bool:
    """Resources are compared with case. A trust policy has no Resource: it speaks of its own role.

    Of a resource that is not known, an Allow must cover every possibility and a Deny any of them.
    """
    denies = statement.get("Effect") == "Deny"
    if "Resource" in statement:
        match = _touches if denies else _covers
        return any(match(pattern, request) for pattern in _values(statement["Resource"]))
    if "NotResource" in statement:
        match = _covers if denies else _touches
        return not any(match(pattern, request) for pattern in _values(statement["NotResource"]))
    return True


def _covers(pattern: str, request: Request) -> bool:
    """Whether the pattern matches the resource, whichever of its possibilities it is."""
    # What no name contains stands for what is not known, and several of it, so that only a star takes it in.
    resource = request.resource if request.known else request.resource.replace("*", "\0" * 8)
    return matches(pattern, resource, request.context)


def _touches(pattern: str, request: Request) -> bool:
    """Whether the pattern matches the resource in at least one of its possibilities."""
    match = matches if request.known else overlaps
    return match(pattern, request.resource, request.context)


def _principal_matches(statement: Mapping[str, Any], request: Request, bounded: bool) -> bool:
    """Identity-based policies name no principal: they hold for whoever has them."""
    if "Principal" in statement:
        return _named(statement["Principal"], request.principal) is not _Grant.NONE
    if "NotPrincipal" in statement:
        return not _spared(statement["NotPrincipal"], request.principal, bounded)
    return True


def _spared(principals: Any, principal: Principal, bounded: bool) -> bool:
    """Whether a NotPrincipal leaves somebody out.

    Source: "AWS JSON policy elements: NotPrincipal". It must name the account too, and the role beside its session; whoever
    has a permissions boundary is never spared, whatever it says.
    """
    if principals == "*":
        return True
    if principal.service:
        return principal.service in _values(principals.get("Service", []))
    names = _values(principals.get("AWS", []))
    account = any(_is_account(name, principal) for name in names)
    own = [principal.arn] if principal.role_arn is None else [principal.arn, principal.role_arn]
    return not bounded and ("*" in names or (account and all(arn in names for arn in own)))


def _condition_matches(statement: Mapping[str, Any], request: Request) -> bool:
    """An operator that nobody knows never allows and always denies."""
    try:
        return conditions_hold(statement.get("Condition", {}), request.context)
    except UnknownOperatorError:
        return statement.get("Effect") == "Deny"


def _grant(policy: Policy, request: Request) -> _Grant:
    """The strongest way in which an Allow of a resource-based policy names the principal of the request.

    An Allow with NotPrincipal is not supported by AWS and grants nothing.
    """
    granted = _Grant.NONE
    for statement in _statements(policy):
        if statement.get("Effect") == "Allow" and "Principal" in statement and _applies(statement, request, bounded=False):
            granted = max(granted, _named(statement["Principal"], request.principal))
    return granted


def _named(principals: Any, principal: Principal) -> _Grant:
    if principals == "*":
        return _Grant.DIRECT
    if principal.service:
        return _Grant.DIRECT if principal.service in _values(principals.get("Service", [])) else _Grant.NONE
    return max((_named_by(name, principal) for name in _values(principals.get("AWS", []))), default=_Grant.NONE)


def _named_by(name: str, principal: Principal) -> _Grant:
    if name in ("*", principal.arn):
        return _Grant.DIRECT
    if name == principal.role_arn:
        return _Grant.ROLE
    return _Grant.ACCOUNT if _is_account(name, principal) else _Grant.NONE


def _is_account(name: str, principal: Principal) -> bool:
    """Whether a principal's name is that of its account: the twelve digits, or the ARN of the root user."""
    return name == principal.account or (name.startswith("arn:") and name.endswith(f":iam::{principal.account}:root"))


def _values(value: Any) -> list[str]:
    return list(value) if isinstance(value, list | tuple) else [value]
