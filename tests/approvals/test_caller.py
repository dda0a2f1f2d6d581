"""Who called: what CloudTrail's `userIdentity` says of the human, for every type that AWS writes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals import caller
from approvals.errors import BadTrailEvent

ACCOUNT = "111122223333"
SSO_ROLE = f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Dev_1"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/dev/alice"


def session(arn=SESSION, issuer=f"arn:aws:iam::{ACCOUNT}:role/dev", **context):
    return {"type": "AssumedRole", "arn": arn, "sessionContext": {"sessionIssuer": {"arn": issuer}, **context}}


@pytest.mark.parametrize(
    ("identity", "human", "why"),
    [
        ({"type": "IAMUser", "userName": "alice", "sessionContext": {"sessionIssuer": {}}}, "alice", "name of the IAM user"),
        ({"type": "IAMUser", "arn": f"arn:aws:iam::{ACCOUNT}:user/team/alice"}, "alice", "name of the IAM user"),
        ({"type": "IAMUser", "arn": f"arn:aws:iam::{ACCOUNT}:robot"}, "", "does not say"),
        (session(sourceIdentity="alice@example.com"), "alice@example.com", "source identity"),
        (session(issuer=SSO_ROLE), "alice", "session name of an IAM Identity Center role"),
        (session(), "", "can be chosen by whoever may assume dev"),
        (session(issuer=f"arn:aws:iam::{ACCOUNT}:role/AWSReservedSSO_Dev_1"), "", "can be chosen"),
        (
            session(webIdFederationData={"federatedProvider": "idp", "attributes": {"idp:aud": "a", "idp:sub": "alice"}}),
            "alice",
            "identity provider idp vouches",
        ),
        (session(webIdFederationData={}), "", "can be chosen"),
        (session() | {"onBehalfOf": {"userId": "u-1", "identityStoreArn": "arn"}}, "u-1", "user id in IAM Identity Center"),
        ({"type": "AssumedRole"}, "", "can be chosen"),
        ({"type": "Root", "arn": f"arn:aws:iam::{ACCOUNT}:root", "userName": "alias"}, "", "nobody in particular"),
        (
            {
                "type": "FederatedUser",
                "arn": f"arn:aws:sts::{ACCOUNT}:federated-user/mallory",
                "sessionContext": {"sessionIssuer": {"arn": f"arn:aws:iam::{ACCOUNT}:user/broker"}},
            },
            "",
            "chosen by the IAM user broker",
        ),
        ({"type": "FederatedUser"}, "", "chosen by whoever asked for it"),
        (
            {
                "type": "WebIdentityUser",
                "principalId": "accounts.google.com:app:alice",
                "identityProvider": "accounts.google.com",
            },
            "alice",
            "identity provider accounts.google.com vouches",
        ),
        ({"type": "SAMLUser", "principalId": "q:alice", "userName": "alice", "identityProvider": "idp"}, "alice", "idp vouches"),
        ({"type": "SAMLUser"}, "", "does not say"),
        ({"type": "IdentityCenterUser", "onBehalfOf": {"userId": "u-1"}}, "u-1", "user id in IAM Identity Center"),
        ({"type": "IdentityCenterUser"}, "", "does not say"),
        ({"type": "Directory", "userName": "alice"}, "alice", "name in the directory"),
        ({"type": "Directory"}, "", "does not say"),
        ({"type": "AWSService", "invokedBy": "backup.amazonaws.com"}, "", "service backup.amazonaws.com made the call"),
        ({"type": "AWSService"}, "", "AWS service made the call"),
        ({"type": "AWSAccount", "accountId": "999999999999"}, "", "another AWS account (999999999999)"),
        ({"type": "Unknown", "arn": SESSION}, "", "calls the caller Unknown"),
        ({}, "", "calls the caller nothing"),
        (
            session(issuer=SSO_ROLE) | {"invokedBy": "cloudformation.amazonaws.com"},
            "",
            "cloudformation.amazonaws.com made the call",
        ),
        ({"type": "IAMUser", "userName": "alice", "invokedBy": "signin.amazonaws.com"}, "alice", "name of the IAM user"),
    ],
)
def test_the_human_is_named_as_far_as_he_can_be_trusted(identity, human, why):
    """Every type of identity gives a name that the caller could not have chosen, or none, and says why."""
    found = caller.from_identity(identity)
    assert found.human == human
    assert why in found.why


values: st.SearchStrategy[object] = st.none() | st.text(max_size=8) | st.integers() | st.just({}) | st.just([])
identities = st.recursive(
    st.dictionaries(
        st.sampled_from(["type", "arn", "userName", "accountId", "invokedBy", "identityProvider", "principalId", "userId"]),
        values,
    ),
    lambda inner: st.dictionaries(
        st.sampled_from(["sessionContext", "sessionIssuer", "webIdFederationData", "attributes", "onBehalfOf", "a:sub"]),
        inner | values,
    ),
    max_leaves=6,
)


@given(identities, st.sampled_from(["IAMUser", "AssumedRole", "Root", "SAMLUser", "WebIdentityUser", "IdentityCenterUser", "x"]))
def test_no_identity_breaks_the_reader(identity, kind):
    """Whatever stands there: a caller with a reason in words, or BadTrailEvent; and who is mapped is never nameless."""
    try:
        found = caller.from_identity(identity | {"type": kind})
    except BadTrailEvent:
        return
    assert found.why
    assert not (found.by_service and found.principals())


@pytest.mark.parametrize(
    ("user_agent", "command"),
    [
        (
            "aws-cli/2.17.32 md/awscrt#0.21.2 md/prompt#off md/command#rds.delete-db-instance",
            "aws rds delete-db-instance",
        ),
        ("aws-cli/2.4.0 Python/3.8.8 command/s3.rm", "aws s3 rm"),
        ("md/command#ec2.wait.instance-running x", "aws ec2 wait instance-running"),
        ("Boto3/1.34 md/Botocore#1.34", ""),
        ("[md/command#rds.delete-db-instance]", ""),
        ("md/command#rds.$(reboot)", ""),
        ("", ""),
    ],
)
def test_the_command_is_read_from_the_user_agent(user_agent, command):
    """The AWS CLI says which command it runs; anything else is not shown as one."""
    assert caller.command(user_agent) == command
