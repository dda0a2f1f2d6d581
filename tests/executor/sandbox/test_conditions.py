"""Tables from the IAM User Guide, "Condition operators" and "Set operators for multi-valued context keys"."""

from typing import Any

import pytest

from executor.sandbox.conditions import UnknownOperatorError, conditions_hold

ROLE = "arn:aws:iam::111122223333:role/CountersignExecutor"
CONTEXT = {
    "aws:username": ("alice",),
    "aws:principalarn": (ROLE,),
    "aws:sourceip": ("10.1.2.3",),
    "aws:multifactorauthpresent": ("true",),
    "aws:currenttime": ("2026-06-01T12:00:00Z",),
    "aws:epochtime": ("1780315200",),
    "s3:max-keys": ("10",),
    "s3:checksum": ("QmluYXJ5",),
    "aws:tagkeys": ("cost", "team"),
}


@pytest.mark.parametrize(
    ("operator", "key", "wanted", "expected"),
    [
        ("StringEquals", "aws:username", "alice", True),
        ("StringEquals", "aws:username", ["bob", "alice"], True),
        ("StringEquals", "aws:username", "Alice", False),
        ("StringEquals", "AWS:UserName", "alice", True),
        ("StringEquals", "aws:username", "a*", False),
        ("StringEquals", "aws:username", "${aws:username}", True),
        ("StringNotEquals", "aws:username", ["bob", "carol"], True),
        ("StringNotEquals", "aws:username", ["bob", "alice"], False),
        ("StringEqualsIgnoreCase", "aws:username", "ALICE", True),
        ("StringNotEqualsIgnoreCase", "aws:username", "ALICE", False),
        ("StringLike", "aws:username", "al?c*", True),
        ("StringNotLike", "aws:username", "al?c*", False),
        ("ArnEquals", "aws:PrincipalArn", ROLE, True),
        ("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:role/Counter*", True),
        ("ArnNotEquals", "aws:PrincipalArn", ROLE, False),
        ("ArnNotLike", "aws:PrincipalArn", "arn:aws:iam::*:role/Other*", True),
        ("ArnLike", "aws:username", "*:*", False),
        ("Bool", "aws:MultiFactorAuthPresent", True, True),
        ("Bool", "aws:MultiFactorAuthPresent", "false", False),
        ("NumericLessThanEquals", "s3:max-keys", "10", True),
        ("NumericLessThan", "s3:max-keys", 10, False),
        ("NumericEquals", "s3:max-keys", "10.0", True),
        ("NumericGreaterThan", "s3:max-keys", "9", True),
        ("NumericNotEquals", "s3:max-keys", "10", False),
        ("NumericEquals", "aws:username", "10", False),
        ("DateGreaterThan", "aws:CurrentTime", "2026-01-01T00:00:00Z", True),
        ("DateLessThan", "aws:CurrentTime", "2026-06-01T14:00:00+02:00", False),
        ("DateEquals", "aws:EpochTime", "2026-06-01T12:00:00Z", True),
        ("IpAddress", "aws:SourceIp", "10.0.0.0/8", True),
        ("IpAddress", "aws:SourceIp", ["192.168.0.0/16", "10.1.2.3"], True),
        ("NotIpAddress", "aws:SourceIp", "10.0.0.0/8", False),
        ("IpAddress", "aws:username", "10.0.0.0/8", False),
        ("BinaryEquals", "s3:checksum", "QmluYXJ5", True),
        ("BinaryEquals", "s3:checksum", "QmluYXJ6", False),
        ("BinaryEquals", "aws:username", "alice", False),
        ("NumericEquals", "s3:max-keys", "1_0", False),
        ("NumericNotEquals", "s3:max-keys", "nan", True),
        ("NumericEquals", "s3:max-keys", "${s3:max-keys}", False),
        ("DateGreaterThan", "aws:CurrentTime", "2026", True),
        ("DateLessThanEquals", "aws:CurrentTime", "2026-05", False),
        ("DateGreaterThanEquals", "aws:CurrentTime", "1780315200", True),
        ("DateNotEquals", "aws:CurrentTime", "2026-06-01", True),
        ("StringEquals", "aws:username", "${aws:PrincipalTag/name, 'alice'}", True),
        ("StringEquals", "aws:username", "${aws:PrincipalTag/name}", False),
        ("IpAddress", "aws:SourceIp", "2001:db8::/32", False),
        ("Null", "aws:username", "false", True),
        ("Null", "aws:username", "true", False),
        ("Null", "aws:TokenIssueTime", "true", True),
    ],
)
def test_operators(operator: str, key: str, wanted: Any, expected: bool) -> None:
    """Each operator compares as documented; keys are compared without case, one value of several is enough."""
    assert conditions_hold({operator: {key: wanted}}, CONTEXT) is expected


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("StringEquals", False),
        ("StringLike", False),
        ("ArnLike", False),
        ("Bool", False),
        ("NumericLessThan", False),
        ("IpAddress", False),
        ("StringEqualsIfExists", True),
        ("BoolIfExists", True),
        ("StringNotEquals", True),
        ("StringNotLike", True),
        ("ArnNotEquals", True),
        ("NotIpAddress", True),
        ("ArnNotLikeIfExists", True),
        ("ForAllValues:StringEquals", True),
        ("ForAnyValue:StringEquals", False),
        ("ForAnyValue:StringNotEquals", False),
        ("ForAnyValue:StringEqualsIfExists", True),
    ],
)
def test_a_key_that_the_request_does_not_have(operator: str, expected: bool) -> None:
    """A missing key fails positive operators, satisfies negated ones and IfExists; over no values "for all" holds."""
    assert conditions_hold({operator: {"aws:SourceVpc": "1"}}, CONTEXT) is expected


@pytest.mark.parametrize(
    ("operator", "wanted", "expected"),
    [
        ("ForAllValues:StringEquals", ["cost", "team", "more"], True),
        ("ForAllValues:StringEquals", ["cost"], False),
        ("ForAnyValue:StringEquals", ["cost", "other"], True),
        ("ForAnyValue:StringEquals", ["other"], False),
        ("ForAllValues:StringNotEquals", ["other"], True),
        ("ForAllValues:StringNotEquals", ["cost"], False),
        ("ForAnyValue:StringNotEquals", ["cost"], True),
        ("ForAnyValue:StringNotEquals", ["cost", "team"], False),
        ("ForAllValues:StringLike", ["c*", "t*"], True),
    ],
)
def test_sets_of_values(operator: str, wanted: list[str], expected: bool) -> None:
    """ "For all" asks every value of the request, "for any" asks one."""
    assert conditions_hold({operator: {"aws:TagKeys": wanted}}, CONTEXT) is expected


def test_all_conditions_must_hold() -> None:
    """Operators and keys of a block are joined by and."""
    both = {"StringEquals": {"aws:username": "alice"}, "Bool": {"aws:MultiFactorAuthPresent": "true"}}
    assert conditions_hold(both, CONTEXT)
    assert not conditions_hold({**both, "IpAddress": {"aws:SourceIp": "192.168.0.0/16"}}, CONTEXT)
    assert not conditions_hold({"StringEquals": {"aws:username": "alice", "aws:SourceIp": "other"}}, CONTEXT)


@pytest.mark.parametrize("operator", ["StringMatches", "ForSomeValues:StringEquals", "IfExists", "NullIfExists", "Every:Null"])
def test_an_operator_that_iam_does_not_have(operator: str) -> None:
    """An unknown operator is an error of its own, never a condition that quietly holds or fails."""
    with pytest.raises(UnknownOperatorError):
        conditions_hold({operator: {"aws:username": "alice"}}, CONTEXT)
