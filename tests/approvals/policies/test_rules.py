"""Rules as text: what is stored, hashed and read back."""

from __future__ import annotations

import pytest

from approvals import canonical
from approvals.errors import BadGuardrail
from approvals.policies import BreakGlass, Condition, Freeze, Mode, Operator, Window, rules_from, rules_from_text

WINDOW = {"days": ["fri", "mon"], "from": "22:00", "to": "06:00", "zone": "Europe/Berlin"}
FREEZE = {"from": "2026-12-20", "until": "2027-01-04T06:00", "zone": "Europe/Berlin", "why": "the year's end"}
PLAIN = {
    "name": "tables",
    "accounts": ["111122223333"],
    "operations": ["dynamodb:Delete*"],
    "resources": ["arn:aws:dynamodb:*:*:table/prod-*"],
    "approvals": 1,
}
WHOLE = PLAIN | {
    "account_tags": {"environment": ["production", "prod-*"], "data": ["customer"]},
    "risk": ["irreversible", "exposure"],
    "families": ["dynamodb-table-loss"],
    "conditions": [
        {"parameter": "DeletionProtectionEnabled", "is": False},
        {"parameter": "BillingMode", "in": ["PROVISIONED", 1, True]},
        {"parameter": "SSESpecification.Enabled", "present": True},
    ],
    "groups": {"database-owners": 1, "auditors": 2},
    "reason": False,
    "ticket": "OPS-# | INC#",
    "unconfirmed": True,
    "windows": [WINDOW],
    "freezes": [FREEZE],
    "break_glass": {"groups": ["on-call"], "review_within": 86400},
    "delegation": False,
}


@pytest.mark.parametrize(
    ("more", "digest"),
    [
        ({}, "183b1c1035f8d3c7e0591deb4b651878a454e1b27eff185f33e37db15006aaee"),
        (
            {
                "description": "Tables.",
                "mode": "observe",
                "regions": ["eu-*"],
                "approvals": 3,
                "clocks": {"draft": 60, "pending": 61, "approval": 62},
                "irreversible": {"extra_approvals": 0, "typed_name": False, "hold": 9},
            },
            "8228b21f641d66c6aadfa527187e869e8f7d3b660eea4ef5667a9c3a8c7f772c",
        ),
    ],
)
def test_versions_written_before_keep_their_hash(more, digest):
    """Plans and the chain of authority pin hashes: rules that use no later field have the text that they always had."""
    assert canonical.digest(rules_from(PLAIN | more).text()) == digest


@pytest.mark.parametrize("field", sorted(WHOLE.keys() - PLAIN.keys()))
def test_each_field_stands_in_the_text_and_is_read_back(field):
    """What a guardrail says is part of its hash, field by field, and comes back the same."""
    plain, one = rules_from(PLAIN), rules_from(PLAIN | {field: WHOLE[field]})
    assert one.text() != plain.text()
    assert rules_from_text(one.text()) == one


@pytest.mark.parametrize(
    ("field", "default"), [("reason", True), ("ticket", ""), ("unconfirmed", False), ("delegation", True), ("groups", {})]
)
def test_a_default_that_is_written_out_is_the_same_rules(field, default):
    """One meaning has one text and one hash, whether or not somebody wrote the default."""
    assert rules_from(PLAIN | {field: default}).text() == rules_from(PLAIN).text()


def test_every_field_is_read():
    """The whole of what a guardrail can say, as values."""
    rules = rules_from_text(rules_from(WHOLE).text())
    assert rules.mode is Mode.ENFORCE
    assert rules.account_tags == (("data", ("customer",)), ("environment", ("production", "prod-*")))
    assert rules.conditions == (
        Condition("DeletionProtectionEnabled", Operator.IS, value=False),
        Condition("BillingMode", Operator.IN, ("PROVISIONED", 1, True)),
        Condition("SSESpecification.Enabled", Operator.PRESENT, value=True),
    )
    assert rules.groups == (("auditors", 2), ("database-owners", 1))
    assert rules.windows == (Window(("mon", "fri"), "22:00", "06:00", "Europe/Berlin"),)
    assert rules.freezes == (Freeze("2026-12-20T00:00", "2027-01-04T06:00", "Europe/Berlin", "the year's end"),)
    assert rules.break_glass == BreakGlass(("on-call",), 86_400)
    assert (rules.reason, rules.ticket, rules.unconfirmed, rules.delegation) == (False, "OPS-# | INC#", True, False)


def test_accounts_may_be_named_by_tags_alone():
    """Who tags accounts need not list them; who does neither protects nothing and is told so."""
    by_tag = {key: value for key, value in PLAIN.items() if key != "accounts"}
    rules = rules_from(by_tag | {"account_tags": {"environment": ["production"]}})
    assert rules.accounts == ()
    assert rules_from_text(rules.text()) == rules
    with pytest.raises(BadGuardrail, match="accounts or account_tags"):
        rules_from(by_tag)


@pytest.mark.parametrize(
    ("change", "path", "says"),
    [
        ({"risk": ["awful"]}, ("risk", 0), r"risk\[0\] is 'irreversible' or"),
        ({"risk": []}, ("risk",), "at least one class"),
        ({"families": ["Rds"]}, ("families", 0), "family"),
        ({"conditions": [{"parameter": "Force"}]}, ("conditions", 0), "exactly one of is, is_not"),
        ({"conditions": [{"parameter": "F", "is": 1, "in": [1]}]}, ("conditions", 0), "exactly one of"),
        ({"conditions": [{"parameter": "F", "is": 1.5}]}, ("conditions", 0, "is"), "whole number"),
        ({"conditions": [{"parameter": "F", "at_least": "7"}]}, ("conditions", 0, "at_least"), "whole number"),
        ({"conditions": [{"parameter": "F", "present": False}]}, ("conditions", 0, "present"), "is true"),
        ({"conditions": [{"parameter": "F..X", "is": 1}]}, ("conditions", 0, "parameter"), "member of the call"),
        ({"groups": {"dba": 0}}, ("groups", "dba"), "groups.dba is a whole number from 1"),
        ({"groups": ["dba"]}, ("groups",), "each with a number"),
        ({"reason": "yes"}, ("reason",), "true or false"),
        ({"ticket": "OPS-# ticket"}, ("ticket",), "white space"),
        ({"windows": [WINDOW | {"zone": "Mars/Olympus"}]}, ("windows", 0, "zone"), "IANA"),
        ({"windows": [WINDOW | {"zone": "../etc/passwd"}]}, ("windows", 0, "zone"), "time zone"),
        ({"windows": [WINDOW | {"from": "24:00"}]}, ("windows", 0, "from"), "a time such as 22:00"),
        ({"windows": [WINDOW | {"from": 1320}]}, ("windows", 0, "from"), "a time such as 22:00"),
        ({"windows": [WINDOW | {"days": ["monday"]}]}, ("windows", 0, "days", 0), "'mon' or"),
        ({"freezes": [FREEZE | {"from": "2026-02-30"}]}, ("freezes", 0, "from"), "in the calendar"),
        ({"freezes": [FREEZE | {"until": "2026-12-20"}]}, ("freezes", 0, "until"), "after the freeze's beginning"),
        ({"freezes": [{"from": "2026-12-20"}]}, ("freezes", 0, "until"), "is missing"),
        ({"break_glass": {"groups": [], "review_within": 60}}, ("break_glass", "groups"), "at least one group"),
        ({"break_glass": {"groups": ["x"]}}, ("break_glass", "review_within"), "is missing"),
        ({"account_tags": {}}, ("account_tags",), "it holds none"),
        ({"account_tags": {"environment": "production"}}, ("account_tags", "environment"), "list of at least one text"),
        ({"description": "\ud800"}, (), "cannot be written down"),
    ],
)
def test_a_wrong_field_is_named_with_its_path(change, path, says):
    """Whoever wrote it is led to the place, and the message says what belongs there."""
    with pytest.raises(BadGuardrail, match=says) as refusal:
        rules_from(PLAIN | change)
    assert refusal.value.path == path
