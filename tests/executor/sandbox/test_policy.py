"""The evaluator against AWS's documented evaluation logic."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.sandbox.policy import (
    Decision,
    Effect,
    Kind,
    Policies,
    Policy,
    Principal,
    Request,
    evaluate,
    evaluate_trust,
)

ACCOUNT = "111122223333"
ALICE = Principal(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/alice")
ROLE = f"arn:aws:iam::{ACCOUNT}:role/Executor"
SESSION = Principal(ACCOUNT, f"arn:aws:sts::{ACCOUNT}:assumed-role/Executor/step-1", ROLE)
TABLE = f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/prod-orders"
QUEUE = f"arn:aws:sqs:eu-west-1:{ACCOUNT}:events"


def request(principal: Principal = ALICE, action: str = "dynamodb:DeleteTable", resource: str = TABLE, **context: str) -> Request:
    return Request(principal, action, resource, {key.replace("_", ":"): (value,) for key, value in context.items()})


def statement(effect: str = "Allow", action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def policy(*statements: dict[str, Any], kind: Kind = Kind.IDENTITY, arn: str | None = None) -> Policy:
    return Policy(kind, {"Version": "2012-10-17", "Statement": list(statements)}, arn)


def outcome(decision: Decision) -> tuple[Effect, Kind | None]:
    return decision.effect, decision.kind


ALLOWED = (Effect.ALLOW, None)
EVERYTHING = policy(statement())


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (statement(action="dynamodb:DeleteTable"), True),
        (statement(action="DYNAMODB:deletetable"), True),
        (statement(action="dynamodb:Delete*"), True),
        (statement(action="dynamodb:DeleteTabl?"), True),
        (statement(action=["s3:*", "dynamodb:*"]), True),
        (statement(action="dynamodb:DeleteBackup"), False),
        (statement(action="s3:*"), False),
        ({"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}, True),
        ({"Effect": "Allow", "NotAction": ["s3:*", "dynamodb:Delete*"], "Resource": "*"}, False),
        (statement(resource=TABLE), True),
        (statement(resource=TABLE.replace("prod-orders", "prod-*")), True),
        (statement(resource=TABLE.upper()), False),
        (statement(resource=["arn:aws:s3:::*", TABLE]), True),
        ({"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:dynamodb:*:*:table/staging-*"}, True),
        ({"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:dynamodb:*:*:table/prod-*"}, False),
        (statement(Condition={"StringEquals": {"aws:username": "alice"}}), True),
        (statement(Condition={"StringEquals": {"aws:username": "bob"}}), False),
        (statement(resource="arn:aws:dynamodb:*:*:table/*-${aws:PrincipalTag/table}"), False),
    ],
)
def test_what_a_statement_speaks_of(named: dict[str, Any], expected: bool) -> None:
    """Action without case, Resource with case, their Not forms, and conditions decide whether a statement applies."""
    decision = evaluate(request(aws_username="alice"), Policies([policy(named)]))
    assert decision.allowed is expected


def test_nothing_is_allowed_by_default() -> None:
    """Without any policy a request is denied implicitly, for want of an identity-based policy."""
    decision = evaluate(request(), Policies())
    assert outcome(decision) == (Effect.IMPLICIT_DENY, Kind.IDENTITY)
    assert decision.because == " because no identity-based policy allows the dynamodb:DeleteTable action"


def test_a_single_statement_need_not_be_a_list() -> None:
    """AWS takes a Statement that is one object."""
    assert evaluate(request(), Policies([Policy(Kind.IDENTITY, {"Statement": statement()})])).allowed


@pytest.mark.parametrize("kind", [Kind.IDENTITY, Kind.BOUNDARY, Kind.SESSION, Kind.RESOURCE])
def test_an_explicit_deny_wins_and_names_its_policy(kind: Kind) -> None:
    """A deny in any kind of policy overrides every allow, and AWS's message says where it stands."""
    deny = policy(statement("Deny", Principal="*"), kind=kind, arn="arn:aws:iam::111122223333:policy/Guardrail")
    found: dict[str, Any] = {
        "identity": [EVERYTHING, deny] if kind is Kind.IDENTITY else [EVERYTHING],
        "boundary": [EVERYTHING, deny] if kind is Kind.BOUNDARY else [EVERYTHING],
        "session": [EVERYTHING, deny] if kind is Kind.SESSION else [EVERYTHING],
        "resource": [policy(statement(Principal="*"), kind=Kind.RESOURCE), *([deny] if kind is Kind.RESOURCE else [])],
    }
    decision = evaluate(request(), Policies(**found))
    assert outcome(decision) == (Effect.EXPLICIT_DENY, kind)
    article = "an" if kind is Kind.IDENTITY else "a"
    assert decision.because == f" with an explicit deny in {article} {kind.value}: arn:aws:iam::111122223333:policy/Guardrail"


@pytest.mark.parametrize(
    ("boundary", "session", "expected"),
    [
        ("dynamodb:*", None, ALLOWED),
        ("s3:*", None, (Effect.IMPLICIT_DENY, Kind.BOUNDARY)),
        (None, "dynamodb:DeleteTable", ALLOWED),
        (None, "dynamodb:DescribeTable", (Effect.IMPLICIT_DENY, Kind.SESSION)),
        ("dynamodb:*", "dynamodb:DescribeTable", (Effect.IMPLICIT_DENY, Kind.SESSION)),
        ("s3:*", "dynamodb:DeleteTable", (Effect.IMPLICIT_DENY, Kind.BOUNDARY)),
    ],
)
def test_boundary_and_session_policies_intersect(boundary: str | None, session: str | None, expected: Any) -> None:
    """What identity policies allow is limited by a boundary and by session policies, each by itself."""
    policies = Policies(
        [EVERYTHING],
        None if boundary is None else [policy(statement(action=boundary), kind=Kind.BOUNDARY)],
        None if session is None else [policy(statement(action=session), kind=Kind.SESSION)],
    )
    assert outcome(evaluate(request(SESSION), policies)) == expected


def test_limits_do_not_grant() -> None:
    """A boundary and a session policy that allow everything give nothing to somebody without identity policies."""
    everything = [EVERYTHING]
    assert outcome(evaluate(request(), Policies((), everything, everything))) == (Effect.IMPLICIT_DENY, Kind.IDENTITY)


@pytest.mark.parametrize(
    ("principal", "named", "expected"),
    [
        (ALICE, {"AWS": ALICE.arn}, ALLOWED),
        (ALICE, "*", ALLOWED),
        (ALICE, {"AWS": "*"}, ALLOWED),
        (ALICE, {"AWS": [f"arn:aws:iam::{ACCOUNT}:user/bob", ALICE.arn]}, ALLOWED),
        (ALICE, {"AWS": f"arn:aws:iam::{ACCOUNT}:user/bob"}, (Effect.IMPLICIT_DENY, Kind.IDENTITY)),
        (ALICE, {"AWS": ACCOUNT}, (Effect.IMPLICIT_DENY, Kind.IDENTITY)),
        (ALICE, {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, (Effect.IMPLICIT_DENY, Kind.IDENTITY)),
        (ALICE, {"Service": "events.amazonaws.com"}, (Effect.IMPLICIT_DENY, Kind.IDENTITY)),
        (SESSION, {"AWS": SESSION.arn}, ALLOWED),
        (SESSION, {"AWS": ROLE}, (Effect.IMPLICIT_DENY, Kind.SESSION)),
    ],
)
def test_a_resource_policy_in_the_same_account(principal: Principal, named: Any, expected: Any) -> None:
    """One that names the user or session itself is enough; one that names its role is limited by session policies;
    one that names the account leaves it to identity policies."""
    policies = Policies(
        session=[policy(statement(action="dynamodb:*"), kind=Kind.SESSION)] if principal is SESSION else None,
        resource=[policy(statement(Principal=named), kind=Kind.RESOURCE)],
        resource_account=ACCOUNT,
    )
    assert outcome(evaluate(request(principal, "sqs:SendMessage", QUEUE), policies)) == expected


@pytest.mark.parametrize(
    ("identity", "resource", "expected"),
    [
        (True, True, ALLOWED),
        (True, False, (Effect.IMPLICIT_DENY, Kind.RESOURCE)),
        (False, True, (Effect.IMPLICIT_DENY, Kind.IDENTITY)),
    ],
)
def test_across_accounts_both_sides_must_allow(identity: bool, resource: bool, expected: Any) -> None:
    """The owner of a resource and the caller's own account each have to allow a call from another account."""
    policies = Policies(
        [EVERYTHING] if identity else [],
        resource=[policy(statement(Principal={"AWS": ALICE.arn}), kind=Kind.RESOURCE)] if resource else [],
        resource_account="999988887777",
    )
    assert outcome(evaluate(request(), policies)) == expected


@pytest.mark.parametrize(("rule", "expected"), [("rule/guardrails", True), ("rule/other", False)])
def test_a_service_needs_the_resource_policy(rule: str, expected: bool) -> None:
    """EventBridge may send only where the queue names the service, and only for the rule that it names."""
    arn = f"arn:aws:events:eu-west-1:{ACCOUNT}:"
    allow = statement(
        action="sqs:SendMessage",
        resource=QUEUE,
        Principal={"Service": "events.amazonaws.com"},
        Condition={"ArnEquals": {"aws:SourceArn": f"{arn}rule/guardrails"}},
    )
    service = Principal("", "events.amazonaws.com", service="events.amazonaws.com")
    asked = Request(service, "sqs:SendMessage", QUEUE, {"aws:sourcearn": (f"{arn}{rule}",)})
    assert evaluate(asked, Policies(resource=[policy(allow, kind=Kind.RESOURCE)])).allowed is expected


ROOT = f"arn:aws:iam::{ACCOUNT}:root"


@pytest.mark.parametrize(
    ("principal", "named", "bounded", "spared"),
    [
        (ALICE, [ALICE.arn, ROOT], False, True),
        (ALICE, [ALICE.arn, ACCOUNT], False, True),
        (ALICE, [ALICE.arn], False, False),
        (ALICE, [ROOT], False, False),
        (ALICE, [ALICE.arn, ROOT], True, False),
        (SESSION, [SESSION.arn, ROLE, ROOT], False, True),
        (SESSION, [ROLE, ROOT], False, False),
        (SESSION, [SESSION.arn, ROOT], False, False),
        (ALICE, ["*"], False, True),
    ],
)
def test_not_principal_spares_only_whom_it_names_in_full(
    principal: Principal, named: list[str], bounded: bool, spared: bool
) -> None:
    """A Deny with NotPrincipal denies everybody who is not named with account (and role), and everybody with a boundary."""
    deny = {"Effect": "Deny", "NotPrincipal": {"AWS": named}, "Action": "*", "Resource": "*"}
    boundary = [EVERYTHING] if bounded else None
    policies = Policies([EVERYTHING], boundary, resource=[policy(deny, kind=Kind.RESOURCE)])
    assert evaluate(request(principal), policies).effect is (Effect.ALLOW if spared else Effect.EXPLICIT_DENY)


def test_an_allow_with_not_principal_grants_nothing() -> None:
    """AWS does not support NotPrincipal with Allow: it must not let everybody else in."""
    allow = {"Effect": "Allow", "NotPrincipal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/bob"}, "Action": "*", "Resource": "*"}
    assert not evaluate(request(), Policies(resource=[policy(allow, kind=Kind.RESOURCE)])).allowed


@pytest.mark.parametrize(("version", "expected"), [("2012-10-17", True), ("2008-10-17", False), (None, False)])
def test_variables_belong_to_the_newer_policy_language(version: str | None, expected: bool) -> None:
    """`${...}` is filled in only in documents of version 2012-10-17; in others it is a text, in resources and conditions."""
    conditional = statement(Condition={"StringEquals": {"aws:PrincipalTag/name": "${aws:username}"}})
    for one in (statement(resource="arn:aws:dynamodb:*:*:table/prod-${aws:username}"), conditional):
        document = {"Statement": [one]} | ({"Version": version} if version else {})
        context = {"aws:username": ("alice",), "aws:principaltag/name": ("alice",)}
        asked = Request(ALICE, "dynamodb:DeleteTable", TABLE.replace("orders", "alice"), context)
        assert evaluate(asked, Policies([Policy(Kind.IDENTITY, document)])).allowed is expected


def test_an_old_document_may_spell_a_variable_out() -> None:
    """In an older document `${aws:username}` matches exactly these characters."""
    document = {"Statement": [statement(resource="${aws:username}")]}
    asked = Request(ALICE, "x:Y", "${aws:username}", {"aws:username": ("alice",)})
    assert evaluate(asked, Policies([Policy(Kind.IDENTITY, document)])).allowed


DATABASES = f"arn:aws:rds:eu-west-1:{ACCOUNT}:db:"


@pytest.mark.parametrize(
    ("unknown", "named", "expected"),
    [
        (f"{DATABASES}*", statement("Deny", resource=f"{DATABASES}prod-*"), False),
        (f"{DATABASES}*", statement("Deny", resource=f"{DATABASES}prod-billing"), False),
        (f"{DATABASES}*", statement("Deny", resource=f"arn:aws:rds:eu-west-1:{ACCOUNT}:cluster:prod-*"), True),
        (f"{DATABASES}*", statement("Deny", resource="arn:aws:rds:us-east-1:*:db:*"), True),
        ("*", statement("Deny", resource="arn:aws:s3:::prod-*"), False),
        ("*", statement("Deny", action="rds:DeleteDBCluster", resource="arn:aws:s3:::prod-*"), True),
        (f"{DATABASES}*", {"Effect": "Deny", "Action": "*", "NotResource": f"{DATABASES}*"}, True),
        (f"{DATABASES}*", {"Effect": "Deny", "Action": "*", "NotResource": f"{DATABASES}staging-*"}, False),
    ],
)
def test_a_resource_that_is_not_known_slips_past_no_deny(unknown: str, named: dict[str, Any], expected: bool) -> None:
    """A Deny holds when any resource that the call may touch is among those it names."""
    asked = Request(ALICE, "rds:DeleteDBInstance", unknown, {}, known=False)
    assert evaluate(asked, Policies([EVERYTHING, policy(named)])).allowed is expected


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (statement(resource="*"), True),
        (statement(resource=f"{DATABASES}*"), True),
        (statement(resource=f"{DATABASES}prod-*"), False),
        (statement(resource=f"{DATABASES}?"), False),
        ({"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::*"}, True),
        ({"Effect": "Allow", "Action": "*", "NotResource": f"{DATABASES}prod-*"}, False),
    ],
)
def test_a_resource_that_is_not_known_needs_an_allow_for_all_it_may_be(named: dict[str, Any], expected: bool) -> None:
    """An Allow holds only when it covers every resource that the call may touch."""
    asked = Request(ALICE, "rds:DeleteDBInstance", f"{DATABASES}*", {}, known=False)
    assert evaluate(asked, Policies([policy(named)])).allowed is expected


TRUST = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": ALICE.arn}}


@pytest.mark.parametrize(
    ("trust", "identity", "expected"),
    [
        (TRUST, False, ALLOWED),
        ({**TRUST, "Principal": {"AWS": ACCOUNT}}, True, ALLOWED),
        ({**TRUST, "Principal": {"AWS": ACCOUNT}}, False, (Effect.IMPLICIT_DENY, Kind.IDENTITY)),
        ({**TRUST, "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/bob"}}, True, (Effect.IMPLICIT_DENY, Kind.TRUST)),
        ({**TRUST, "Action": "sts:TagSession"}, True, (Effect.IMPLICIT_DENY, Kind.TRUST)),
        ({**TRUST, "Condition": {"StringEquals": {"sts:ExternalId": "x"}}}, True, (Effect.IMPLICIT_DENY, Kind.TRUST)),
        ({**TRUST, "Effect": "Deny"}, True, (Effect.EXPLICIT_DENY, Kind.TRUST)),
        (None, True, (Effect.IMPLICIT_DENY, Kind.TRUST)),
    ],
)
def test_a_role_is_assumed_only_by_whom_it_trusts(trust: Any, identity: bool, expected: Any) -> None:
    """The trust policy must name the caller and its conditions must hold; a role that is not there refuses alike."""
    document = policy(trust, kind=Kind.TRUST) if trust else None
    caller = Policies([EVERYTHING] if identity else [])
    assert outcome(evaluate_trust(request(action="sts:AssumeRole", resource=ROLE), document, caller, ACCOUNT)) == expected


@pytest.mark.parametrize(("effect", "expected"), [("Allow", Effect.IMPLICIT_DENY), ("Deny", Effect.EXPLICIT_DENY)])
def test_an_unknown_operator_is_never_in_favour(effect: str, expected: Effect) -> None:
    """A condition that nobody can evaluate does not allow, and does deny."""
    unknown = statement(effect, Condition={"StringResembles": {"aws:username": "alice"}})
    policies = Policies([policy(unknown), *([EVERYTHING] if effect == "Deny" else [])])
    assert evaluate(request(), policies).effect is expected


ACTIONS = st.sampled_from(["*", "dynamodb:*", "dynamodb:DeleteTable", "dynamodb:Describe*", "s3:*"])
RESOURCES = st.sampled_from(["*", TABLE, "arn:aws:dynamodb:*:*:table/prod-*", "arn:aws:dynamodb:*:*:table/staging-*"])
CONDITIONS = st.sampled_from(
    [{}, {"StringEquals": {"aws:username": "alice"}}, {"StringNotEquals": {"aws:username": "alice"}}, {"Null": {"aws:x": "true"}}]
)
STATEMENTS = st.builds(
    lambda effect, action, resource, condition, negated: {
        "Effect": effect,
        "NotAction" if negated == "action" else "Action": action,
        "NotResource" if negated == "resource" else "Resource": resource,
        "Condition": condition,
    },
    st.sampled_from(["Allow", "Allow", "Deny"]),
    ACTIONS,
    RESOURCES,
    CONDITIONS,
    st.sampled_from(["", "", "action", "resource"]),
)
DOCUMENTS = st.lists(st.lists(STATEMENTS, max_size=3).map(lambda statements: policy(*statements)), max_size=3)
ASKED = request(aws_username="alice")


@given(DOCUMENTS, st.none() | DOCUMENTS, st.none() | DOCUMENTS, st.sampled_from(["identity", "boundary", "session"]))
def test_an_explicit_deny_always_wins(identity: Any, boundary: Any, session: Any, where: str) -> None:
    """Whatever else the policies say, a deny that applies, in any of them, denies."""
    found = {"identity": identity, "boundary": boundary, "session": session}
    found[where] = [*(found[where] or []), policy(statement("Deny", "dynamodb:DeleteTable", TABLE))]
    assert evaluate(ASKED, Policies(**found)).effect is Effect.EXPLICIT_DENY


@given(DOCUMENTS, st.none() | DOCUMENTS, st.none() | DOCUMENTS, STATEMENTS)
def test_one_more_allow_never_takes_away(identity: Any, boundary: Any, session: Any, more: dict[str, Any]) -> None:
    """Adding an Allow to the identity policies cannot turn an allowed request into a denied one."""
    before = evaluate(ASKED, Policies(identity, boundary, session))
    after = evaluate(ASKED, Policies([*identity, policy({**more, "Effect": "Allow"})], boundary, session))
    assert after.allowed or not before.allowed


@given(DOCUMENTS, DOCUMENTS)
def test_a_limit_never_grants(identity: Any, limit: Any) -> None:
    """Adding a boundary or a session policy cannot turn a denied request into an allowed one."""
    free = evaluate(ASKED, Policies(identity))
    assert free.allowed or not evaluate(ASKED, Policies(identity, limit, None)).allowed
    assert free.allowed or not evaluate(ASKED, Policies(identity, None, limit)).allowed


@given(DOCUMENTS, st.randoms())
def test_the_order_of_policies_does_not_matter(identity: list[Policy], chance: Any) -> None:
    """Policies are a set: shuffled, they allow and deny the same."""
    shuffled = list(identity)
    chance.shuffle(shuffled)
    assert evaluate(ASKED, Policies(identity)).effect is evaluate(ASKED, Policies(shuffled)).effect
