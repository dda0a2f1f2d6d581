"""AWS's denial messages: who, what, on what, and which policy, in every wording."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.operations import denials
from approvals.operations.denials import Denial

ALICE = "arn:aws:iam::111122223333:user/alice"
TABLE = "arn:aws:dynamodb:eu-west-1:111122223333:table/prod-orders"
SCP = "arn:aws:organizations::999999999999:policy/o-1/service_control_policy/p-1"
KINDS = (
    "identity-based",
    "resource-based",
    "session",
    "service control",
    "resource control",
    "permissions boundary",
    "VPC endpoint",
    "role trust",
)

names = st.text("abcXYZ019-_./+=@,: ", min_size=1, max_size=20).map(str.strip).filter(bool)
resources = st.one_of(
    st.just(""),
    st.just("*"),
    names.map(lambda name: f"user {name}"),
    names.map(lambda name: f"arn:aws:rds:eu-west-1:111122223333:db:{name}"),
    names.map(lambda name: f"arn:aws:s3:::bucket/{name} because no identity-based policy allows the s3:GetObject action {name}"),
)


@given(
    st.sampled_from(["s3:GetObject", "SNS:Publish", "kms:ScheduleKeyDeletion", "apigateway:DELETE", "acm-pca:GetCertificate"]),
    resources,
    st.booleans(),
    st.sampled_from(KINDS),
    st.sampled_from(["", SCP]),
    st.booleans(),
    st.sampled_from(["", "Zm9v-_encoded"]),
)
def test_what_a_message_is_made_of_comes_back(action, resource, explicit, kind, policy, quoted, encoded):
    """User, action, resource, kind of policy, its ARN and the encoded message are read, whatever the resource is called."""
    said = f"User: {ALICE} is not authorized to perform: {action}"
    if resource:
        said += f' on resource: "{resource}"' if quoted else f" on resource: {resource}"
    article = "an" if kind == "identity-based" else "a"
    policy_word = "" if kind == "permissions boundary" else " policy"
    if explicit:
        said += f" with an explicit deny in {article} {kind}{policy_word}"
    else:
        said += f" because no {kind}{policy_word} allows the {action} action"
    said += f": {policy}" if policy else ""
    if encoded:
        said = f"You are not authorized to perform this operation. {said}. Encoded authorization failure message: {encoded}"
    assert denials.parse(said) == Denial(ALICE, action, resource, explicit, kind, policy, encoded)


@pytest.mark.parametrize(
    ("ending", "resource", "explicit", "kind"),
    [
        ("", "", False, ""),
        (f" on resource: {TABLE}", TABLE, False, ""),
        (f" on resource: {TABLE} with an explicit deny", TABLE, True, ""),
        (" with an explicit deny in an identity-based policy", "", True, "identity-based"),
        (" on the specified resource", "", False, ""),
        (
            " on the resource associated with this ciphertext because no identity-based policy allows the kms:Decrypt action",
            "",
            False,
            "identity-based",
        ),
        (f" on resource: {TABLE} because no resource-based policies allow access", TABLE, False, "resource-based"),
        (f" on resource: {TABLE} with an explicit deny in the role trust policy", TABLE, True, "role trust"),
        (
            f" on resource: {TABLE} with an explicit deny in a VPC endpoint policy transitively through a service control policy",
            TABLE,
            True,
            "VPC endpoint",
        ),
        (
            ' on resource: "arn:aws:s3:::b" because public policies are prevented by the BlockPublicPolicy setting.',
            "arn:aws:s3:::b",
            False,
            "",
        ),
        (" on resource: policy arn:aws:iam::1:policy/x version v2", "policy arn:aws:iam::1:policy/x version v2", False, ""),
    ],
)
def test_wordings_of_single_services_are_read(ending, resource, explicit, kind):
    """KMS, EFS, S3, STS and IAM say it in their own words."""
    found = denials.parse(f"User: {ALICE} is not authorized to perform: iam:X{ending}")
    assert found is not None
    assert (found.resource, found.explicit, found.policy_kind) == (resource, explicit, kind)


@pytest.mark.parametrize(
    "message",
    [
        "",
        "Access Denied",
        "Cross-account pass role is not allowed.",
        "User: x",
        "You are not authorized to perform this operation.",
    ],
)
def test_a_message_that_says_nothing_is_none(message):
    """Where AWS names no action, none is made up."""
    assert denials.parse(message) is None


def test_an_old_message_of_ec2_keeps_its_encoded_part():
    """The encoded message is kept although nothing else is told."""
    said = "You are not authorized to perform this operation. Encoded authorization failure message: Zm9v"
    assert denials.parse(said) == Denial(encoded="Zm9v")


@given(
    st.lists(
        st.sampled_from(
            ["User: ", "is not authorized to perform: ", "a:B", " on resource: ", "because no ", " x", "\n", ": arn:"]
        )
    ).map("".join)
    | st.text()
)
def test_no_message_breaks_the_reader(message):
    """Any text is a denial or None, never an exception."""
    found = denials.parse(message)
    assert found is None or found.encoded or found.action
