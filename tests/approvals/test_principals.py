"""Who is behind an AWS caller: the most telling principal, and nobody where it is not certain."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals import principals
from approvals.caller import Caller
from approvals.models import Principal
from tests.cast import ACCOUNT

USER = f"arn:aws:iam::{ACCOUNT}:user/"


def caller(arn="", *, kind="IAMUser", issuer="", source_identity=""):
    return Caller(kind, arn, ACCOUNT, "AKIA", issuer, source_identity, "")


@pytest.fixture
def mapped(cast):
    """Map principals to persons of the cast, as `kind:value` or (kind:value, precedence)."""

    def give(handle, *values):
        for value in values:
            text, precedence = value if isinstance(value, tuple) else (value, 0)
            kind, _, rest = text.partition(":")
            Principal.objects.create(person=cast.person(handle), kind=kind, value=rest, precedence=precedence)

    return give


def who(one):
    found = principals.behind(one)
    return found.person.handle if found.person else None


def test_a_value_wins_over_every_pattern(cast, mapped):
    """Bob's own user is bob's, though a pattern of higher precedence names a bot's."""
    mapped("carol", (f"iam_user:{USER}*", 1000))
    assert who(caller(f"{USER}bob")) == "bob"
    assert who(caller(f"{USER}somebody")) == "carol"


def test_the_higher_precedence_wins_among_patterns(cast, mapped):
    """Then the pattern that says more."""
    mapped("carol", (f"iam_user:{USER}ops/*", 5))
    mapped("dana", f"iam_user:{USER}ops/db-*")
    assert who(caller(f"{USER}ops/db-1")) == "carol"
    mapped("erin", (f"iam_user:{USER}ops/db-1?", 5))
    assert who(caller(f"{USER}ops/db-12")) == "erin"


def test_two_persons_who_fit_equally_well_are_nobody(cast, mapped):
    """A person is never guessed; the message says what to do."""
    mapped("carol", f"iam_user:{USER}x-*")
    mapped("dana", f"iam_user:{USER}*-x")
    found = principals.behind(caller(f"{USER}x-x"))
    assert found.person is None
    assert "carol, dana" in found.why
    assert "precedence" in found.why


def test_one_human_stands_behind_many_identities(cast, mapped):
    """An IAM user, a source identity, an Identity Center user and a role are one voter."""
    mapped(
        "alice", "source_identity:alice@example.com", "sso_user:alice@example.com", f"role:arn:aws:iam::{ACCOUNT}:role/alice-*"
    )
    role = f"arn:aws:iam::{ACCOUNT}:role/alice-fix"
    sso = f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Dev_1"
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/x/"
    for one in (
        caller(f"{USER}alice"),
        caller(f"{session}whatever", kind="AssumedRole", issuer=role),
        caller(f"{session}x", kind="AssumedRole", issuer="arn:aws:iam::1:role/other", source_identity="alice@example.com"),
        caller(f"{session}alice@example.com", kind="AssumedRole", issuer=sso),
    ):
        assert who(one) == "alice", one


@pytest.mark.parametrize("kind", ["Root", "AWSAccount", "AWSService", "FederatedUser"])
def test_shared_identities_are_nobody(cast, kind):
    """Root, another account and a service stand for nobody in particular."""
    assert who(caller(f"arn:aws:iam::{ACCOUNT}:root", kind=kind)) is None


def test_a_session_s_name_is_never_a_person(cast, mapped):
    """Whoever may assume a role chooses the name: a look-alike of an Identity Center role is no Identity Center user."""
    mapped("alice", "sso_user:alice@example.com")
    forged = f"arn:aws:iam::{ACCOUNT}:role/AWSReservedSSO_Dev_1"
    one = caller(f"arn:aws:sts::{ACCOUNT}:assumed-role/AWSReservedSSO_Dev_1/alice@example.com", kind="AssumedRole", issuer=forged)
    found = principals.behind(one)
    assert found.person is None
    assert "nobody's principal" in found.why
    assert "two administrators" in found.why


def test_whoever_was_switched_off_is_nobody(cast):
    """A former colleague's key makes a draft that stands for nobody."""
    cast.changed({"edit": "set_person", "person": "carol", "active": False})
    assert who(caller(f"{USER}carol")) is None


_PATTERNS = st.tuples(st.sampled_from(["a", "b", "a*", "*b", "?", "*"]), st.integers(-2, 2))


@given(st.lists(_PATTERNS, max_size=6, unique=True))
def test_which_pattern_wins_does_not_depend_on_the_order(patterns):
    """The most telling patterns are a matter of the patterns alone."""
    rows = [Principal(kind="iam_user", value=text, precedence=precedence) for text, precedence in patterns]
    fit = lambda several: {(one.value, one.precedence) for one in principals.foremost(several)}  # noqa: E731
    assert fit(rows) == fit(reversed(rows))
