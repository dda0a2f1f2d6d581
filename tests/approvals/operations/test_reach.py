"""How far a session reaches: what AWS tells of a target narrows it, whatever is told."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from approvals.operations import catalog, reach, resources
from approvals.operations.facts import rows
from approvals.operations.resources import Where

PLACE = Where("111122223333", "eu-west-1")
ARN = "arn:aws:rds:eu-west-1:111122223333:"
DEPLOYMENT = {"BlueGreenDeploymentIdentifier": "bgd-1"}
TELLING = sorted(
    name for name, row in rows().items() if row.get("told") or any(one.get("told") for one in row.get("also_needs", ()))
)


def rights(name: str, parameters: dict[str, Any], state: Any) -> dict[str, tuple[str, ...]]:
    return {one.action: one.arns for one in reach.rights(catalog.get(name), parameters, PLACE, state)}


def test_members_of_a_deployment_are_those_that_aws_told() -> None:
    """Each action on its own kind of member, the deployment itself by its name."""
    state = {
        "Source": f"{ARN}cluster:blue",
        "Target": f"{ARN}cluster:green",
        "SwitchoverDetails": [
            {"SourceMember": f"{ARN}cluster:blue", "TargetMember": f"{ARN}cluster:green"},
            {"SourceMember": f"{ARN}db:blue-1", "TargetMember": f"{ARN}db:green-1"},
        ],
    }
    assert rights("rds:DeleteBlueGreenDeployment", DEPLOYMENT | {"DeleteTarget": True}, state) == {
        "rds:DeleteBlueGreenDeployment": (f"{ARN}deployment:bgd-1",),
        "rds:DeleteDBInstance": (f"{ARN}db:green-1",),
        "rds:DeleteDBCluster": (f"{ARN}cluster:green",),
    }
    found = rights("rds:SwitchoverBlueGreenDeployment", DEPLOYMENT, state)
    assert sorted(found["rds:ModifyDBInstance"]) == [f"{ARN}db:blue-1", f"{ARN}db:green-1"]


@pytest.mark.parametrize("state", [None, {}, {"Target": None}, {"Target": f"{ARN}db:*"}, {"Target": 7}, [], "x"])
def test_nothing_is_needed_on_what_nobody_told(state: Any) -> None:
    """No state, another form of it, a pattern in it: none of the kind is reached."""
    found = rights("rds:DeleteBlueGreenDeployment", DEPLOYMENT | {"DeleteTarget": True}, state)
    assert (found["rds:DeleteDBInstance"], found["rds:DeleteDBCluster"]) == ((), ())


@pytest.mark.parametrize(
    "told",
    [
        "arn:aws:rds:us-east-1:111122223333:db:green",
        "arn:aws:rds:eu-west-1:999999999999:db:green",
        "arn:aws-cn:rds:eu-west-1:111122223333:db:green",
        "arn:aws:rds:eu-west-1:111122223333:snapshot:green",
        "arn:aws:rds:eu-west-1:111122223333:db:?",
        "green",
    ],
)
def test_what_is_told_of_elsewhere_counts_for_nothing(told: str) -> None:
    """Another region, account, partition or kind, a pattern, a bare name: the session does not reach there."""
    found = rights("rds:DeleteBlueGreenDeployment", DEPLOYMENT | {"DeleteTarget": True}, {"Target": told})
    assert found["rds:DeleteDBInstance"] == ()


def test_a_secret_is_told_by_its_whole_arn() -> None:
    """By its name or by its ARN: what AWS told takes the place of the characters that nobody knows."""
    told = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/db-AbCdEf"
    for given_as in ("prod/db", told):
        assert rights("secretsmanager:DeleteSecret", {"SecretId": given_as}, {"ARN": told})["secretsmanager:DeleteSecret"] == (
            told,
        )
    assert rights("secretsmanager:DeleteSecret", {"SecretId": "prod/db"}, None)["secretsmanager:DeleteSecret"] == (
        f"{told[:-6]}??????",
    )


def test_what_a_service_does_is_allowed_through_it_alone() -> None:
    """The conditions of a row stand in the statement, with the call's own ARNs where the row says so."""
    operation = catalog.get("secretsmanager:PutSecretValue")
    itself, *others = reach.rights(operation, {"SecretId": "prod/db"}, PLACE, None)
    assert [one.action for one in others] == ["kms:GenerateDataKey", "kms:Decrypt"]
    for one in others:
        assert one.condition == {
            "StringLike": {
                "kms:ViaService": ["secretsmanager.eu-west-1.amazonaws.com"],
                "kms:EncryptionContext:SecretARN": [*itself.arns, "RequestToValidateKeyAccess"],
            }
        }
    (_, endpoints) = reach.rights(
        catalog.get("docdb-elastic:DeleteCluster"), {"clusterArn": "arn:aws:docdb-elastic:eu-west-1:1:c"}, PLACE, None
    )
    assert endpoints.condition == {"Bool": {"aws:ViaAWSService": ["true"]}}


LEAVES = st.one_of(
    st.text(alphabet="abc*?:/-{} \n\u202e", max_size=12),
    st.sampled_from(
        [f"{ARN}db:x", f"{ARN}db:*", "*", "arn:aws:*:*:*:*", "arn:aws:ec2:eu-west-1:111122223333:instance/i-1", "i-0*"]
    ),
    st.none(),
    st.integers(),
)
STATES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4), max_leaves=12
)


@pytest.mark.parametrize("name", TELLING)
@settings(max_examples=25)
@given(data=st.data())
def test_whatever_is_told_never_widens_a_session(name: str, data: st.DataObject) -> None:
    """Any state under the members that the row reads: each ARN of the session lies within what it could be without, and no kind
    of thing is reached as a whole by what was told."""
    operation = catalog.get(name)
    parameters = dict.fromkeys((*operation.facts.identifies, "InstanceId"), "x-1")
    heads = {re.split(r"\W", one.lstrip("["), maxsplit=1)[0] for one in reach.expressions(operation, parameters)}
    state = data.draw(st.fixed_dictionaries({head: STATES for head in heads if head}))
    outer = (
        *resources.arns(operation, parameters, PLACE),
        *(one for also in operation.facts.also_needs for one in resources.needed(operation, also, parameters, PLACE)),
    )
    masks = [re.compile("".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in one)) for one in outer]
    for right in reach.rights(operation, parameters, PLACE, state):
        for arn in right.arns:
            assert any(mask.fullmatch(arn) for mask in masks), arn
            assert arn in outer or not set(arn) & set("*?{} \n"), arn
