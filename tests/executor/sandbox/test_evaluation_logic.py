"""AWS's documented evaluation logic, row by row.

Source: IAM User Guide, "How AWS enforcement code logic evaluates requests to allow or deny access" (the steps, and the table
"Policy evaluation for different principal types" of a resource-based policy in the same account), "Cross-account policy
evaluation logic", "Permissions boundaries for IAM entities", "Session policies", and "Effects of SCPs" of AWS Organizations.
"""

from typing import Any

import pytest

from executor.sandbox.policy import Decision, Effect, Kind, Policies, Policy, Principal, Request, evaluate

ACCOUNT, OTHER = "111122223333", "444455556666"
USER = Principal(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/alice")
ROLE = f"arn:aws:iam::{ACCOUNT}:role/Clerk"
SESSION = Principal(ACCOUNT, f"arn:aws:sts::{ACCOUNT}:assumed-role/Clerk/alice", ROLE)
BUCKET = "arn:aws:s3:::prod-invoices"


def said(effect: str, kind: Kind, principal: Any = None, action: str = "s3:DeleteBucket") -> Policy:
    statement: dict[str, Any] = {"Effect": effect, "Action": action, "Resource": "*"}
    if principal:
        statement["Principal"] = {"AWS": principal}
    return Policy(kind, {"Version": "2012-10-17", "Statement": [statement]})


def layer(kind: Kind, verdict: str | None) -> list[Policy] | None:
    """A layer of policies: None where there is none, else one that allows, denies, or (`implicit`) speaks of something else."""
    if verdict is None:
        return None
    return [said("Deny" if verdict == "deny" else "Allow", kind, action="s3:GetObject" if verdict == "implicit" else "s3:*")]


def decide(
    principal: Principal,
    identity: str = "implicit",
    boundary: str | None = None,
    session: str | None = None,
    resource: Any = None,
    **more: Any,
) -> Decision:
    policies = Policies(
        identity=layer(Kind.IDENTITY, identity) or (),
        boundary=layer(Kind.BOUNDARY, boundary),
        session=layer(Kind.SESSION, session),
        resource=[said("Allow", Kind.RESOURCE, resource)] if resource else (),
        **{"resource_account": ACCOUNT, **more},
    )
    return evaluate(Request(principal, "s3:DeleteBucket", BUCKET, {}), policies)


def outcome(decision: Decision) -> tuple[Effect, Kind | None]:
    return decision.effect, decision.kind


ALLOWED = (Effect.ALLOW, None)


def implicit(kind: Kind) -> tuple[Effect, Kind]:
    return Effect.IMPLICIT_DENY, kind


@pytest.mark.parametrize(
    ("principal", "named", "identity", "boundary", "session", "expected"),
    [
        # IAM role: "Not applicable" as it never asks itself; its sessions do.
        # IAM role session, the resource policy allows the role's ARN: boundary and session policy limit it.
        (SESSION, ROLE, "implicit", None, None, ALLOWED),
        (SESSION, ROLE, "implicit", "allow", "allow", ALLOWED),
        (SESSION, ROLE, "implicit", "implicit", None, implicit(Kind.BOUNDARY)),
        (SESSION, ROLE, "implicit", None, "implicit", implicit(Kind.SESSION)),
        # IAM role session, the resource policy allows the session's ARN: granted to it directly, past every implicit deny.
        (SESSION, SESSION.arn, "implicit", "implicit", "implicit", ALLOWED),
        # IAM user, the resource policy allows the user's ARN: likewise.
        (USER, USER.arn, "implicit", "implicit", None, ALLOWED),
        # The resource policy allows the account: the decision is the account's, by its own policies.
        (USER, ACCOUNT, "implicit", None, None, implicit(Kind.IDENTITY)),
        (USER, f"arn:aws:iam::{ACCOUNT}:root", "allow", None, None, ALLOWED),
        (SESSION, ACCOUNT, "allow", "implicit", None, implicit(Kind.BOUNDARY)),
        # No resource policy that allows: identity-based policies alone.
        (USER, None, "allow", None, None, ALLOWED),
        (USER, None, "implicit", None, None, implicit(Kind.IDENTITY)),
        (USER, None, "allow", "implicit", None, implicit(Kind.BOUNDARY)),
        (USER, None, "allow", "allow", None, ALLOWED),
        (SESSION, None, "allow", None, "implicit", implicit(Kind.SESSION)),
        (SESSION, None, "allow", "allow", "allow", ALLOWED),
        # A boundary and a session policy give nothing by themselves.
        (USER, None, "implicit", "allow", None, implicit(Kind.IDENTITY)),
        (SESSION, None, "implicit", None, "allow", implicit(Kind.IDENTITY)),
        # An explicit deny ends it, however directly a resource policy allows.
        (USER, USER.arn, "deny", None, None, (Effect.EXPLICIT_DENY, Kind.IDENTITY)),
        (USER, USER.arn, "allow", "deny", None, (Effect.EXPLICIT_DENY, Kind.BOUNDARY)),
        (SESSION, SESSION.arn, "allow", "allow", "deny", (Effect.EXPLICIT_DENY, Kind.SESSION)),
    ],
)
def test_one_account(
    principal: Principal, named: Any, identity: str, boundary: str | None, session: str | None, expected: Any
) -> None:
    """Within an account the outcome follows from who asks, whom the resource's policy names, and the four layers."""
    assert outcome(decide(principal, identity, boundary, session, named)) == expected


@pytest.mark.parametrize(
    ("principal", "named", "identity", "boundary", "session", "expected"),
    [
        (USER, USER.arn, "allow", None, None, ALLOWED),
        (USER, ACCOUNT, "allow", None, None, ALLOWED),
        (USER, USER.arn, "implicit", None, None, implicit(Kind.IDENTITY)),
        (USER, None, "allow", None, None, implicit(Kind.RESOURCE)),
        (USER, OTHER, "allow", None, None, implicit(Kind.RESOURCE)),
        (USER, USER.arn, "deny", None, None, (Effect.EXPLICIT_DENY, Kind.IDENTITY)),
        (USER, USER.arn, "allow", "implicit", None, implicit(Kind.BOUNDARY)),
        (SESSION, ROLE, "allow", None, "implicit", implicit(Kind.SESSION)),
        (SESSION, ROLE, "allow", "allow", "allow", ALLOWED),
    ],
)
def test_across_accounts(
    principal: Principal, named: Any, identity: str, boundary: str | None, session: str | None, expected: Any
) -> None:
    """Across accounts "both" must say yes: the trusting account by its resource's policy, the trusted one by all of its own."""
    assert outcome(decide(principal, identity, boundary, session, named, resource_account=OTHER)) == expected


FULL = said("Allow", Kind.SERVICE_CONTROL, action="*")
READS = said("Allow", Kind.SERVICE_CONTROL, action="s3:Get*")
NO_DELETING = said("Deny", Kind.SERVICE_CONTROL, action="s3:Delete*")


@pytest.mark.parametrize(
    ("levels", "named", "expected"),
    [
        ([], None, ALLOWED),
        ([[FULL], [FULL]], None, ALLOWED),
        ([[FULL], [READS]], None, implicit(Kind.SERVICE_CONTROL)),
        ([[READS], [FULL]], None, implicit(Kind.SERVICE_CONTROL)),
        ([[READS, FULL]], None, ALLOWED),
        ([[FULL], [FULL, NO_DELETING]], None, (Effect.EXPLICIT_DENY, Kind.SERVICE_CONTROL)),
        ([[FULL], []], None, implicit(Kind.SERVICE_CONTROL)),
        # A resource policy that grants directly does not reach past them.
        ([[READS]], USER.arn, implicit(Kind.SERVICE_CONTROL)),
    ],
)
def test_service_control_policies(levels: Any, named: Any, expected: Any) -> None:
    """Every level from the root to the account must allow; a deny at any of them denies; none of them grants."""
    assert outcome(decide(USER, "allow", resource=named, service_control=levels)) == expected
    assert not decide(USER, service_control=levels).allowed


@pytest.mark.parametrize(
    ("named", "identity", "expected"),
    [
        (USER.arn, "implicit", ALLOWED),
        (ACCOUNT, "allow", ALLOWED),
        (ACCOUNT, "implicit", implicit(Kind.IDENTITY)),
        (ROLE, "allow", implicit(Kind.RESOURCE)),
        (None, "allow", implicit(Kind.RESOURCE)),
    ],
)
def test_a_key_policy_decides(named: Any, identity: str, expected: Any) -> None:
    """ "Unless the key policy explicitly allows it, you cannot use IAM policies to allow access to a KMS key"."""
    assert outcome(decide(USER, identity, resource=named, resource_decides=True)) == expected


def test_a_service_is_no_principal_of_the_account() -> None:
    """Service control policies bind an account's own principals, not the services that a resource's policy lets in."""
    service = Principal("", "events.amazonaws.com", service="events.amazonaws.com")
    allow = {"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": {"Service": "events.amazonaws.com"}}
    policies = Policies(resource=[Policy(Kind.RESOURCE, {"Statement": allow})], service_control=[[READS]])
    assert evaluate(Request(service, "sqs:SendMessage", "arn:aws:sqs:eu-west-1:1:q", {}), policies).allowed


@pytest.mark.parametrize(
    ("kind", "effect", "because"),
    [
        (Kind.IDENTITY, Effect.IMPLICIT_DENY, " because no identity-based policy allows the s3:DeleteBucket action"),
        (Kind.RESOURCE, Effect.IMPLICIT_DENY, " because no resource-based policy allows the s3:DeleteBucket action"),
        (Kind.BOUNDARY, Effect.IMPLICIT_DENY, " because no permissions boundary allows the s3:DeleteBucket action"),
        (Kind.SESSION, Effect.IMPLICIT_DENY, " because no session policy allows the s3:DeleteBucket action"),
        (Kind.SERVICE_CONTROL, Effect.IMPLICIT_DENY, " because no service control policy allows the s3:DeleteBucket action"),
        (Kind.SERVICE_CONTROL, Effect.EXPLICIT_DENY, " with an explicit deny in a service control policy"),
        (Kind.BOUNDARY, Effect.EXPLICIT_DENY, " with an explicit deny in a permissions boundary"),
    ],
)
def test_the_reason_is_worded_as_aws_words_it(kind: Kind, effect: Effect, because: str) -> None:
    """Access denied messages name the kind of the policy that decided ("Troubleshoot access denied error messages")."""
    assert Decision(effect, "s3:DeleteBucket", BUCKET, kind).because == because
