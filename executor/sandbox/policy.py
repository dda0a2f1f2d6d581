"""The IAM evaluator: pure functions from policies and a request to a decision.

Source: IAM User Guide, "Policy evaluation logic" and "Determining whether a request is allowed or denied within an
account". In that order: an explicit deny anywhere wins; a resource-based policy that names the principal itself allows;
else identity-based policies, the permissions boundary and the session policies must each allow.
"""

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from executor.sandbox.conditions import UnknownOperatorError, conditions_hold
from executor.sandbox.patterns import Context, glob, matches


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
    """One action on one resource. Context keys are in lower case (see patterns.Context)."""

    principal: Principal
    action: str
    resource: str
    context: Context


@dataclass(frozen=True)
class Policies:
    """Everything that bears on a request. `boundary` and `session` are None where there is none: they then limit nothing."""

    identity: Sequence[Policy] = ()
    boundary: Sequence[Policy] | None = None
    session: Sequence[Policy] | None = None
    resource: Sequence[Policy] = ()
    resource_account: str | None = None

    def every(self) -> Iterable[Policy]:
        yield from self.identity
        yield from self.boundary or ()
        yield from self.session or ()
        yield from self.resource


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
    2. In one account, a resource-based policy that names the principal allows what identity policies do not mention.
    3. Identity-based policies, boundary and session policies must each allow the rest; across accounts both sides must.
    """

    def verdict(effect: Effect, kind: Kind | None = None, arn: str | None = None) -> Decision:
        return Decision(effect, request.action, request.resource, kind, arn)

    for policy in policies.every():
        if _says(policy, "Deny", request):
            return verdict(Effect.EXPLICIT_DENY, policy.kind, policy.arn)
    grant = max((_grant(policy, request) for policy in policies.resource), default=_Grant.NONE)
    same_account = policies.resource_account in (None, request.principal.account)
    if not same_account and grant is _Grant.NONE:
        return verdict(Effect.IMPLICIT_DENY, Kind.RESOURCE)
    if request.principal.service:
        allowed = grant is _Grant.DIRECT
        return verdict(Effect.ALLOW) if allowed else verdict(Effect.IMPLICIT_DENY, Kind.RESOURCE)
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
    policies = Policies(caller.identity, caller.boundary, caller.session, resource, role_account)
    if trust is None or (_grant(trust, request) is _Grant.NONE and not _says(trust, "Deny", request)):
        return Decision(Effect.IMPLICIT_DENY, request.action, request.resource, Kind.TRUST)
    return evaluate(request, policies)


def _says(policy: Policy, effect: str, request: Request) -> bool:
    """Whether some statement with this effect applies to the request."""
    return any(_applies(statement, request) for statement in _statements(policy) if statement.get("Effect") == effect)


def _statements(policy: Policy) -> list[Mapping[str, Any]]:
    statements = policy.document.get("Statement", [])
    return statements if isinstance(statements, list) else [statements]


def _applies(statement: Mapping[str, Any], request: Request) -> bool:
    return (
        _action_matches(statement, request)
        and _resource_matches(statement, request)
        and _principal_matches(statement, request)
        and _condition_matches(statement, request)
    )


def _action_matches(statement: Mapping[str, Any], request: Request) -> bool:
    """Actions are compared without case."""
    named = "Action" in statement
    patterns = _values(statement.get("Action" if named else "NotAction", []))
    return any(glob(pattern, request.action, ignore_case=True) for pattern in patterns) is named


def _resource_matches(statement: Mapping[str, Any], request: Request) -> bool:
    """Resources are compared with case. A trust policy has no Resource: it speaks of its own role."""
    if "Resource" in statement:
        return any(matches(pattern, request.resource, request.context) for pattern in _values(statement["Resource"]))
    if "NotResource" in statement:
        return not any(matches(pattern, request.resource, request.context) for pattern in _values(statement["NotResource"]))
    return True


def _principal_matches(statement: Mapping[str, Any], request: Request) -> bool:
    """Identity-based policies name no principal: they hold for whoever has them."""
    if "Principal" in statement:
        return _named(statement["Principal"], request.principal) is not _Grant.NONE
    if "NotPrincipal" in statement:
        return _named(statement["NotPrincipal"], request.principal) is _Grant.NONE
    return True


def _condition_matches(statement: Mapping[str, Any], request: Request) -> bool:
    """An operator that nobody knows never allows and always denies."""
    try:
        return conditions_hold(statement.get("Condition", {}), request.context)
    except UnknownOperatorError:
        return statement.get("Effect") == "Deny"


def _grant(policy: Policy, request: Request) -> _Grant:
    """The strongest way in which an Allow of a resource-based policy names the principal of the request."""
    granted = _Grant.NONE
    for statement in _statements(policy):
        if statement.get("Effect") == "Allow" and "Principal" in statement and _applies(statement, request):
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
    if name == principal.account or (name.startswith("arn:") and name.endswith(f":iam::{principal.account}:root")):
        return _Grant.ACCOUNT
    return _Grant.NONE


def _values(value: Any) -> list[str]:
    return list(value) if isinstance(value, list | tuple) else [value]
