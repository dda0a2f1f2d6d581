"""What the linter finds in guardrails that can be read."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from approvals import lint
from approvals.lint import Kind, Place, Surroundings
from approvals.operations.facts import RISK_CLASSES
from approvals.policies import Freeze, Operator, files, rules_from, schema

DOCUMENT = Path(__file__).parents[3] / "docs" / "guardrails.md"

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PLAIN = {
    "name": "tables",
    "accounts": ["111122223333"],
    "operations": ["dynamodb:DeleteTable"],
    "resources": ["arn:aws:dynamodb:*:*:table/prod-*"],
    "approvals": 1,
    "irreversible": {"extra_approvals": 0},
}
AROUND = Surroundings(
    accounts={"111122223333": Place(("eu-west-1",), {"environment": "production"}), "444455556666": Place(("us-east-2",))},
    groups={"owners": frozenset({"bob", "carol"}), "auditors": frozenset({"olivia"})},
    holders={"tables": frozenset({"bob", "carol", "dana"}), "keys": frozenset({"bob"})},
    people=frozenset({"alice", "bob", "carol", "dana", "olivia"}),
)


def found(*several, around=AROUND):
    return [(one.kind, one.index) for one in lint.check([rules_from(PLAIN | each) for each in several], around, NOW)]


def said(change, around=AROUND):
    (one,) = lint.check([rules_from(PLAIN | change)], around, NOW)
    return one


def test_a_sound_guardrail_has_no_finding():
    """The linter is quiet about what is right, with and without knowing the persons."""
    assert found({}) == []
    assert found({}, around=Surroundings()) == []
    whole = {"groups": {"owners": 1}, "regions": ["eu-*"], "families": ["dynamodb-table-loss"], "approvals": 2}
    assert found(whole | {"account_tags": {"environment": ["prod*"]}}) == []


@pytest.mark.parametrize(
    ("change", "kind", "path", "says"),
    [
        ({"operations": ["dynamodb:DeleteTabel"]}, Kind.OPERATION, ("operations", 0), "did you mean dynamodb:DeleteTable"),
        ({"operations": ["dynamo:DeleteTable"]}, Kind.OPERATION, ("operations", 0), "did you mean dynamodb"),
        (
            {"operations": ["elasticloadbalancing:DeleteLoadBalancer"]},
            Kind.OPERATION,
            ("operations", 0),
            "did you mean elbv2:DeleteLoadBalancer or elb:",
        ),
        ({"operations": ["dynamodb:Destroy*"]}, Kind.OPERATION, ("operations", 0), "no operation that boto3 knows"),
        ({"operations": ["DeleteTable"]}, Kind.OPERATION, ("operations", 0), "service:Operation"),
        ({"accounts": ["111122223334"]}, Kind.ACCOUNT, ("accounts", 0), "did you mean 111122223333"),
        ({"accounts": ["production"]}, Kind.ACCOUNT, ("accounts", 0), "twelve digits"),
        ({"account_tags": {"environment": ["test"]}}, Kind.ACCOUNT, ("account_tags",), "No account has"),
        ({"regions": ["eu-wset-1"]}, Kind.REGION, ("regions", 0), "did you mean eu-west-1"),
        ({"regions": ["ap-*"]}, Kind.REGION, ("regions", 0), "no account of Countersign is used in"),
        ({"resources": ["prod-*"]}, Kind.RESOURCE, ("resources", 0), "arn:partition:service"),
        ({"resources": ["arn:aw:dynamodb:*:*:table/x"]}, Kind.RESOURCE, ("resources", 0), "did you mean aws"),
        ({"resources": ["arn:aws:dynamodb:eu-wset-1:*:table/x"]}, Kind.RESOURCE, ("resources", 0), "no region eu-wset-1"),
        ({"resources": ["arn:aws:dynamodb:*:1111:table/x"]}, Kind.RESOURCE, ("resources", 0), "twelve digits"),
        ({"resources": ["arn:aws:rds:*:*:db:prod-*"]}, Kind.RESOURCE, ("resources", 0), "names nothing that"),
        ({"groups": {"owner": 1}}, Kind.GROUP, ("groups", "owner"), "did you mean owners"),
        ({"break_glass": {"groups": ["nobody"], "review_within": 60}}, Kind.GROUP, ("break_glass", "groups"), "no group nobody"),
        ({"families": ["dynamodb-table-los"]}, Kind.FAMILY, ("families", 0), "did you mean dynamodb-table-loss"),
        ({"families": ["rds-instance-loss"]}, Kind.NOTHING, ("families", 0), "names no operation of the family"),
        ({"approvals": 4}, Kind.UNREACHABLE, ("approvals",), "asks for 4 approvals and 3 persons"),
        ({"groups": {"auditors": 1}}, Kind.UNREACHABLE, ("groups",), "1 approval from auditors and 0 of its members"),
        ({"groups": {"owners": 3}}, Kind.UNREACHABLE, ("groups",), "3 approvals from owners and 2 of its members"),
        (
            {"irreversible": {"extra_approvals": 3}},
            Kind.UNREACHABLE,
            ("irreversible", "extra_approvals"),
            "cannot be undone it asks for 4",
        ),
        ({"approvals": 3}, Kind.LEFT_ALONE, ("approvals",), "When bob or carol or dana asks"),
        ({"groups": {"owners": 2}}, Kind.LEFT_ALONE, ("approvals",), "When bob or carol asks"),
        ({"name": "keys"}, Kind.LEFT_ALONE, ("approvals",), "When bob asks"),
        ({"name": "keys", "unconfirmed": True}, Kind.UNREACHABLE, ("unconfirmed",), "nobody confirmed asks for 2"),
    ],
)
def test_each_fault_is_found_at_its_field(change, kind, path, says):
    """What can never match, be reached or be satisfied is named with its reason and, where there is one, what was meant."""
    hits = [one for one in lint.check([rules_from(PLAIN | change)], AROUND, NOW) if one.kind is kind and one.path == path]
    assert len(hits) == 1
    assert says in hits[0].said


def test_where_everybody_holds_the_right_the_one_who_asks_is_missing():
    """Nobody could satisfy it although there are as many persons as it asks for: whoever asks may not approve."""
    everybody = replace(AROUND, people=frozenset({"bob", "carol", "dana"}))
    assert said({"approvals": 3}, everybody).kind is Kind.UNREACHABLE
    assert "whoever asks may not approve" in said({"approvals": 3}, everybody).said


def test_what_is_not_known_is_not_judged():
    """Without a database only the file speaks; a guardrail that has no grants yet is no unreachable quorum."""
    change = {"approvals": 9, "groups": {"nobody": 1}, "accounts": ["999999999999"]}
    assert found(change, around=Surroundings()) == []
    assert [kind for kind, _ in found(change | {"name": "new"})] == [Kind.ACCOUNT, Kind.GROUP]


def test_observing_guardrails_need_no_quorum():
    """Nothing waits for an approval that nobody can give."""
    assert found({"approvals": 9, "mode": "observe"}) == []


@pytest.mark.parametrize(
    ("parameter", "condition", "operations", "says"),
    [
        ("DeletionProtection", {"is": False}, ["dynamodb:UpdateTable"], "did you mean DeletionProtectionEnabled"),
        ("DeletionProtectionEnabled", {"is": False}, ["dynamodb:UpdateTable"], ""),
        ("DeletionProtectionEnabled", {"is": "false"}, ["dynamodb:UpdateTable"], "true or false as .* with a text"),
        ("DeletionProtectionEnabled", {"absent": True}, ["dynamodb:UpdateTable"], ""),
        ("DeletionProtectionEnabled", {"is": False}, ["dynamodb:DeleteTable"], "dynamodb:DeleteTable has no parameter"),
        ("DeletionProtectionEnabled", {"is": False}, ["dynamodb:*Table"], ""),
        ("DeletionProtectionEnabled", {"is": False}, ["dynamodb:DeleteT*"], "No operation of dynamodb:DeleteT"),
        ("DeletionProtectionEnabled", {"is": False}, ["*"], ""),
        ("SSESpecification.Enabledd", {"is": False}, ["dynamodb:UpdateTable"], "no parameter Enabledd in SSESpecification"),
        ("GlobalSecondaryIndexUpdates.Delete.IndexName", {"matches": "x*"}, ["dynamodb:UpdateTable"], ""),
        ("SSESpecification", {"is": 1}, ["dynamodb:UpdateTable"], "structure"),
        ("ProvisionedThroughput.ReadCapacityUnits", {"at_most": 1}, ["dynamodb:UpdateTable"], ""),
        ("ProvisionedThroughput.ReadCapacityUnits", {"in": ["1", True]}, ["dynamodb:UpdateTable"], "a text or true or false"),
        ("ExpressionAttributeNames.anything", {"is": "x"}, ["dynamodb:UpdateItem"], ""),
    ],
)
def test_a_condition_that_no_call_can_decide_is_found(parameter, condition, operations, says):
    """A parameter that the operation does not have, or a value of another kind, would protect every call: that is said."""
    change = {"operations": operations, "resources": ["*"], "conditions": [{"parameter": parameter, **condition}]}
    hits = [one for one in lint.check([rules_from(PLAIN | change)], Surroundings(), NOW) if one.kind is Kind.PARAMETER]
    assert len(hits) == bool(says)
    if says:
        assert re.search(says, hits[0].said)


@pytest.mark.parametrize(
    ("small", "kind"),
    [
        ({}, Kind.DUPLICATE),
        ({"resources": ["arn:aws:dynamodb:*:*:table/prod-x*"]}, Kind.SHADOWED),
        ({"regions": ["eu-*"]}, Kind.SHADOWED),
        ({"conditions": [{"parameter": "TableName", "is": "x"}]}, Kind.SHADOWED),
        ({"risk": ["irreversible"]}, Kind.SHADOWED),
        ({"clocks": {"approval": 7200}}, Kind.SHADOWED),
        ({"reason": False}, Kind.SHADOWED),
        ({"operations": ["dynamodb:*"]}, None),
        ({"resources": ["arn:aws:dynamodb:*:*:table/test-*"]}, None),
        ({"accounts": ["*"]}, None),
        ({"account_tags": {"environment": ["production"]}}, None),
        ({"approvals": 2}, None),
        ({"irreversible": {"extra_approvals": 1}}, None),
        ({"irreversible": {"extra_approvals": 0, "hold": 600}}, None),
        ({"groups": {"owners": 1}}, None),
        ({"ticket": "OPS-#"}, None),
        ({"mode": "observe"}, None),
        ({"delegation": False}, None),
        ({"windows": [{"days": ["mon"], "from": "22:00", "to": "06:00", "zone": "UTC"}]}, None),
        ({"freezes": [{"from": "2027-01-01", "until": "2027-01-02", "zone": "UTC", "why": "x"}]}, None),
        ({"clocks": {"approval": 60}}, None),
    ],
)
def test_a_guardrail_without_effect_is_found(small, kind):
    """One whose calls another matches too, asking for no less, can go; one that asks for anything more cannot."""
    hits = found({"name": "wide"}, {"name": "small"} | small, around=Surroundings())
    assert [one for one in hits if one[1] == 1] == ([(kind, 1)] if kind else [])


def test_other_approvers_make_a_guardrail_its_own():
    """A guardrail whose approvers are other persons is not superfluous, whatever the other asks for."""
    others = replace(AROUND, holders={"tables": frozenset({"bob", "carol"}), "mine": frozenset({"dana", "olivia"})})
    assert found({}, {"name": "mine"}, around=others) == []
    same = replace(AROUND, holders={"tables": frozenset({"bob", "carol"}), "mine": frozenset({"bob", "carol", "dana"})})
    assert (Kind.SHADOWED, 1) in found({"approvals": 1}, {"name": "mine", "regions": ["eu-*"]}, around=same)


def test_windows_that_never_open_are_found():
    """A freeze over everything is no delay but an end."""
    frozen = replace(rules_from(PLAIN), freezes=(Freeze("2026-01-01T00:00", "2029-01-01T00:00", "UTC", "retired"),))
    assert [one.kind for one in lint.check([frozen], AROUND, NOW)] == [Kind.NEVER_OPEN]


def window(day, begins="10:00", ends="12:00"):
    return {"windows": [{"days": [day], "from": begins, "to": ends, "zone": "UTC"}]}


@pytest.mark.parametrize(
    ("other", "kinds"),
    [
        (window("tue"), [(Kind.OVERLAPPING, 1)]),
        (window("tue") | {"operations": ["dynamodb:Delete*"], "resources": ["*"], "approvals": 2}, [(Kind.OVERLAPPING, 1)]),
        (window("mon", "11:00", "13:00"), []),
        (window("mon", "12:00", "13:00"), [(Kind.OVERLAPPING, 1)]),
        (window("tue") | {"operations": ["dynamodb:UpdateTable"]}, []),
        (window("tue") | {"resources": ["arn:aws:dynamodb:*:*:table/test-*"]}, []),
        (window("tue") | {"accounts": ["444455556666"]}, []),
        (window("tue") | {"regions": ["us-east-2"]}, []),
        (window("tue") | {"mode": "observe"}, []),
    ],
)
def test_two_that_may_match_one_call_must_be_open_at_one_time(other, kinds):
    """Each is open every week; a call that both match would wait for ever."""
    here = {"regions": ["eu-west-1"], **window("mon")}
    assert found(here, {"name": "other", **here, **other}, around=Surroundings()) == kinds


def test_the_documented_example_is_sound():
    """What operators copy has no finding."""
    text = re.search(r"```yaml\n(schema: countersign/guardrails/1\n.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert text
    assert lint.check(files.read(text[1], "guardrails.md").rules, Surroundings(), NOW) == []


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_is_documented(kind):
    """Whoever reads --json finds in the docs what a kind means."""
    said = DOCUMENT.read_text()
    assert f"`{kind}`" in said or (kind.startswith("unknown-") and f"`{kind.removeprefix('unknown')}`" in said)


@pytest.mark.parametrize("name", sorted({*schema.GUARDRAIL.fields, *RISK_CLASSES, *map(str, Operator)} - {"schema"}))
def test_every_field_is_documented(name):
    """docs/guardrails.md names each field, class and operator that can be written."""
    assert re.search(rf"`{name}[:`]", DOCUMENT.read_text())


def test_a_backup_step_that_nothing_could_be_asked_for_is_found():
    """Of a queue no backup is known; of a table one is, and of a pattern that names both as well."""
    queue = {"operations": ["sqs:PurgeQueue"], "resources": ["arn:aws:sqs:*:*:prod-*"], "protective_step": True}
    one = said(queue)
    assert (one.kind, one.path) == (Kind.NOTHING, ("protective_step",))
    assert found({"protective_step": True}) == []


def test_a_guardrail_that_demands_a_backup_is_not_superfluous_beside_one_that_does_not():
    """It asks for more, so neither shadows the other the wrong way round."""
    found_of = {
        one.guardrail
        for one in lint.check(
            [rules_from(PLAIN), rules_from(PLAIN | {"name": "kept", "protective_step": True})], Surroundings(), NOW
        )
    }
    assert found_of == {"tables"}
