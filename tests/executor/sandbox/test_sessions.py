"""AssumeRole: who may become the executor, and what such a session may do."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from executor.sandbox.server import LocalAws

ROLE = "arn:aws:iam::111122223333:role/CountersignExecutor"
EXECUTION = "arn:aws:iam::111122223333:user/countersign-execution"
ONE_TABLE = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "dynamodb:DeleteTable",
            "Resource": "arn:aws:dynamodb:eu-west-1:111122223333:table/prod-orders",
        }
    ],
}


def refused(call: Any, **parameters: Any) -> str:
    """Code and message of a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    return f"{error['Code']}: {error['Message']}"


def test_a_session_carries_its_source_identity_into_the_trail(client: Any, assume: Any, aws: LocalAws) -> None:
    """The record of a session's call names the role, the session and the source identity; AssumeRole is recorded too."""
    session = assume(SourceIdentity="execution-1")
    client("alice", "dynamodb", **session).delete_table(TableName="prod-orders")
    assumed, deleted = aws.records()
    identity = deleted["userIdentity"]
    assert identity["type"] == "AssumedRole"
    assert identity["arn"] == "arn:aws:sts::111122223333:assumed-role/CountersignExecutor/step-1"
    assert identity["accessKeyId"] == session["aws_access_key_id"]
    assert identity["sessionContext"]["sourceIdentity"] == "execution-1"
    assert identity["sessionContext"]["sessionIssuer"] == {
        "type": "Role",
        "principalId": identity["principalId"].partition(":")[0],
        "arn": ROLE,
        "accountId": "111122223333",
        "userName": "CountersignExecutor",
    }
    assert assumed["eventName"] == "AssumeRole"
    assert assumed["userIdentity"]["userName"] == "countersign-execution"
    assert assumed["requestParameters"]["sourceIdentity"] == assumed["responseElements"]["sourceIdentity"] == "execution-1"
    assert assumed["responseElements"]["credentials"]["accessKeyId"] == session["aws_access_key_id"]
    assert "secretAccessKey" not in assumed["responseElements"]["credentials"]


def test_a_session_knows_who_it_is(client: Any, assume: Any) -> None:
    """GetCallerIdentity of a session is the session, and its access key begins as temporary ones do."""
    session = assume()
    identity = client("alice", "sts", **session).get_caller_identity()
    assert identity["Arn"] == "arn:aws:sts::111122223333:assumed-role/CountersignExecutor/step-1"
    assert session["aws_access_key_id"].startswith("ASIA")


@pytest.mark.parametrize("user", ["alice", "bob", "mallory", "countersign-feed", "countersign-delivery"])
def test_only_the_execution_process_becomes_the_executor(aws: LocalAws, client: Any, user: str) -> None:
    """The trust policy names one user; even an administrator is refused."""
    message = refused(client(user, "sts").assume_role, RoleArn=ROLE, RoleSessionName="step-1", ExternalId=aws.facts.external_id)
    assert message.startswith("AccessDenied: User: arn:aws:iam::111122223333:user/")
    assert message.endswith(f"is not authorized to perform: sts:AssumeRole on resource: {ROLE}")
    assert aws.records()[-1]["errorCode"] == "AccessDenied"
    assert aws.records()[-1]["requestParameters"] is None


def test_a_session_without_a_source_identity_is_refused(aws: LocalAws, client: Any) -> None:
    """A session that could never be matched to an attempt is not given, not even to the execution process."""
    sts = client("countersign-execution", "sts")
    assert "AccessDenied" in refused(sts.assume_role, RoleArn=ROLE, RoleSessionName="step-1", ExternalId=aws.facts.external_id)


@pytest.mark.parametrize("parameters", [{}, {"ExternalId": "another"}])
def test_the_external_id_must_be_right(client: Any, parameters: dict[str, str]) -> None:
    """Without the external id, or with another, the role is not assumed."""
    message = refused(client("countersign-execution", "sts").assume_role, RoleArn=ROLE, RoleSessionName="step-1", **parameters)
    assert f"{EXECUTION} is not authorized to perform: sts:AssumeRole" in message


@pytest.mark.parametrize(
    ("removed", "parameters"),
    [
        ("sts:SetSourceIdentity", {"SourceIdentity": "execution-1"}),
        ("sts:TagSession", {"Tags": [{"Key": "request", "Value": "1"}]}),
    ],
)
def test_source_identity_and_tags_need_permissions_of_their_own(
    client: Any, assume: Any, aws: LocalAws, removed: str, parameters: dict[str, Any]
) -> None:
    """A trust policy without sts:SetSourceIdentity or sts:TagSession refuses the session that would carry them."""
    assert assume(**parameters)
    iam = client("mallory", "iam")
    trust = iam.get_role(RoleName="CountersignExecutor")["Role"]["AssumeRolePolicyDocument"]
    trust["Statement"][1]["Action"].remove(removed)
    iam.update_assume_role_policy(RoleName="CountersignExecutor", PolicyDocument=json.dumps(trust))
    with pytest.raises(ClientError, match=f"not authorized to perform: {removed} on resource: {ROLE}"):
        assume(**parameters)


def test_a_role_that_is_not_there_refuses_alike(client: Any) -> None:
    """AWS does not tell a missing role from a closed one."""
    missing = ROLE.replace("Executor", "Missing")
    message = refused(client("mallory", "sts").assume_role, RoleArn=missing, RoleSessionName="step-1")
    assert message.endswith(f"is not authorized to perform: sts:AssumeRole on resource: {missing}")


def test_a_session_policy_limits_the_session(client: Any, assume: Any) -> None:
    """The session may do what both its role and its session policy allow: this call, on this table."""
    dynamodb = client("alice", "dynamodb", **assume(Policy=json.dumps(ONE_TABLE)))
    message = refused(dynamodb.delete_table, TableName="prod-customers")
    assert message.endswith("because no session policy allows the dynamodb:DeleteTable action")
    assert "no session policy allows" in refused(dynamodb.describe_table, TableName="prod-orders")
    dynamodb.delete_table(TableName="prod-orders")


def test_a_session_policy_gives_nothing_that_the_role_lacks(client: Any, assume: Any) -> None:
    """Outside of its role's permissions a session may do nothing, whatever its session policy says."""
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    dynamodb = client("alice", "dynamodb", **assume(Policy=json.dumps(everything)))
    message = refused(dynamodb.delete_table, TableName="staging-orders")
    assert message.endswith("because no identity-based policy allows the dynamodb:DeleteTable action")


def test_a_deny_in_a_session_policy_is_explicit(client: Any, assume: Any) -> None:
    """A session policy may deny, and the message says that it did."""
    statements = [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": "dynamodb:Delete*", "Resource": "*"},
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    message = refused(client("alice", "dynamodb", **assume(Policy=document)).delete_table, TableName="prod-orders")
    assert message.endswith("with an explicit deny in a session policy")


def test_a_managed_policy_can_limit_the_session(client: Any, assume: Any) -> None:
    """PolicyArns are session policies as well."""
    arn = client("mallory", "iam").create_policy(PolicyName="OneTable", PolicyDocument=json.dumps(ONE_TABLE))["Policy"]["Arn"]
    dynamodb = client("alice", "dynamodb", **assume(PolicyArns=[{"arn": arn}]))
    assert "no session policy allows" in refused(dynamodb.delete_table, TableName="prod-customers")
    dynamodb.delete_table(TableName="prod-orders")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"Policy": "no json"}, "ValidationError: Session policy"),
        ({"Policy": json.dumps({"Statement": [], "Id": "x" * 2048})}, "ValidationError: .*less than or equal to 2048"),
        (
            {"Policy": json.dumps({"Statement": [], "Id": "x" * 1900}), "Tags": [{"Key": "k", "Value": "v" * 200}]},
            "PackedPolicyTooLarge: Packed size",
        ),
        ({"Tags": [{"Key": "k", "Value": "v;"}]}, "ValidationError: .*'tags'"),
        ({"Tags": [{"Key": "k", "Value": "1"}, {"Key": "K", "Value": "2"}]}, "ValidationError: Tags"),
        ({"RoleSessionName": "a b"}, "ValidationError: .*RoleSessionName"),
        ({"SourceIdentity": "a b"}, "ValidationError: .*SourceIdentity"),
        ({"DurationSeconds": 3601}, "ValidationError: .*MaxSessionDuration"),
        ({"PolicyArns": [{"arn": "arn:aws:iam::111122223333:policy/Missing"}]}, "ValidationError: Session policy"),
    ],
)
def test_a_wrong_assume_role_makes_no_session(assume: Any, aws: LocalAws, parameters: Any, message: str) -> None:
    """Malformed policies, names and durations are refused, and recorded with their parameters: nobody was denied."""
    code, _, text = message.partition(": ")
    with pytest.raises(ClientError, match=rf"\({code}\).*{text}"):
        assume(**parameters)
    record = aws.records()[-1]
    assert record["errorCode"] in {code, f"{code}Exception"}
    assert record["requestParameters"]["roleArn"] == ROLE


def test_a_session_needs_its_token(client: Any, assume: Any) -> None:
    """The temporary key without its token, or with another session's, is unknown."""
    session, other = assume(), assume()
    for token in (None, other["aws_session_token"]):
        dynamodb = client("alice", "dynamodb", **{**session, "aws_session_token": token})
        assert refused(dynamodb.list_tables).startswith("UnrecognizedClientException")


def test_a_session_ends(client: Any, assume: Any, aws: LocalAws) -> None:
    """Past its expiration a session's key is refused as expired, in the service's words."""
    session = assume()
    assert aws._recorder is not None
    sessions = aws._recorder._sessions
    caller = sessions.find(session["aws_access_key_id"])
    assert caller is not None
    assert caller.session is not None
    sessions.remember(replace(caller, session=replace(caller.session, expires=datetime.now(UTC))))
    assert refused(client("alice", "dynamodb", **session).list_tables).startswith("ExpiredTokenException")
    assert refused(client("alice", "sts", **session).get_caller_identity).startswith("ExpiredToken:")


def test_the_source_identity_stays_along_a_chain(client: Any, assume: Any, aws: LocalAws) -> None:
    """A session that assumes a further role hands its source identity on, cannot change it, and gets an hour at most."""
    iam = client("mallory", "iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"]},
        ],
    }
    iam.create_role(RoleName="Second", AssumeRolePolicyDocument=json.dumps(trust), MaxSessionDuration=7200)
    permission = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:*", "Resource": "*"}]}
    iam.put_role_policy(RoleName="CountersignExecutor", PolicyName="Chain", PolicyDocument=json.dumps(permission))
    second = {"RoleArn": ROLE.replace("CountersignExecutor", "Second"), "ExternalId": "none"}
    first = assume(SourceIdentity="execution-1")
    chained = assume(credentials=first, **second)
    client("alice", "sts", **chained).get_caller_identity()
    assert aws.records()[-1]["userIdentity"]["sessionContext"]["sourceIdentity"] == "execution-1"
    with pytest.raises(ClientError, match="sts:SetSourceIdentity"):
        assume(credentials=first, SourceIdentity="execution-2", **second)
    with pytest.raises(ClientError, match="role chaining"):
        assume(credentials=first, DurationSeconds=3601, **second)


def test_a_permissions_boundary_limits_a_role(client: Any, assume: Any) -> None:
    """What the boundary of the executor's role leaves out, its sessions may not do."""
    iam = client("mallory", "iam")
    arn = iam.create_policy(PolicyName="Boundary", PolicyDocument=json.dumps(ONE_TABLE))["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName="CountersignExecutor", PermissionsBoundary=arn)
    dynamodb = client("alice", "dynamodb", **assume())
    message = refused(dynamodb.delete_table, TableName="prod-customers")
    assert message.endswith("because no permissions boundary allows the dynamodb:DeleteTable action")


def test_a_right_taken_away_counts_at_once(client: Any, assume: Any) -> None:
    """A session that was opened before is judged by what its role may do now; a deactivated key is unknown."""
    dynamodb = client("alice", "dynamodb", **assume())
    iam = client("mallory", "iam")
    iam.detach_role_policy(RoleName="CountersignExecutor", PolicyArn="arn:aws:iam::111122223333:policy/CountersignExecutor")
    assert "no identity-based policy allows" in refused(dynamodb.delete_table, TableName="prod-orders")
    (key,) = iam.list_access_keys(UserName="alice")["AccessKeyMetadata"]
    iam.update_access_key(UserName="alice", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    assert refused(client("alice", "dynamodb").list_tables).startswith("UnrecognizedClientException")


@pytest.mark.parametrize("operation", ["get_session_token"])
def test_other_ways_to_credentials_are_refused(client: Any, operation: str) -> None:
    """moto would give out keys that belong to nobody."""
    assert "by AssumeRole alone" in refused(getattr(client("mallory", "sts"), operation))
