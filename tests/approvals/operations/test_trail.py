"""From a CloudTrail record to boto3's keyword arguments, and how far that is trusted."""

from __future__ import annotations

import pytest
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st

from approvals.errors import BadParameters
from approvals.operations import catalog, inputs, resources, risk, trail, words
from approvals.operations.resources import Where
from approvals.plan import Step
from approvals.states import Completeness
from tests.cast import trail_record

WHERE = Where("111122223333", "eu-west-1")
DELETE, UPDATE = catalog.get("dynamodb:DeleteTable"), catalog.get("dynamodb:UpdateTable")
MESSAGE = trail_record()["errorMessage"]
ALICE = "arn:aws:iam::111122223333:user/alice"


@pytest.mark.parametrize(
    ("message", "completeness", "parameters"),
    [
        (MESSAGE, Completeness.REBUILT, {"TableName": "prod-orders"}),
        (MESSAGE.replace("eu-west-1", "us-east-1"), Completeness.INCOMPLETE, {}),
        (MESSAGE.replace(":111122223333:table", ":999999999999:table"), Completeness.INCOMPLETE, {}),
        (MESSAGE.replace("table/prod-orders", "table/*"), Completeness.INCOMPLETE, {}),
        (MESSAGE.replace("table/prod-orders", "table/prod-orders/index/x"), Completeness.INCOMPLETE, {}),
        (MESSAGE.replace("dynamodb:DeleteTable", "dynamodb:UpdateTable"), Completeness.INCOMPLETE, {}),
        ("The security token included in the request is invalid", Completeness.INCOMPLETE, {}),
    ],
)
def test_a_delete_is_rebuilt_only_from_its_own_resource(message, completeness, parameters):
    """A wildcard, another region, account or action rebuilds nothing: a guess could delete the wrong table."""
    found = trail.convert(DELETE, None, message, WHERE)
    assert (found.completeness, found.parameters) == (completeness, parameters)


def test_an_update_is_never_rebuilt_from_its_table_alone():
    """Only the table is known; what it was to become must be entered."""
    found = trail.convert(UPDATE, None, MESSAGE.replace("Delete", "Update"), WHERE)
    assert (found.completeness, found.parameters) == (Completeness.INCOMPLETE, {"TableName": "prod-orders"})
    assert "BillingMode" in found.missing


@pytest.mark.parametrize(
    ("recorded", "completeness"),
    [
        ({"tableName": "prod-orders"}, Completeness.EXACT),
        ({"tableName": "prod-orders", "force": True}, Completeness.UNKNOWN),
        ({"tableName": "HIDDEN_DUE_TO_SECURITY_REASONS"}, Completeness.REDACTED),
        ({"tableName": "****"}, Completeness.REDACTED),
        ({}, Completeness.INCOMPLETE),
        ({"tableName": None}, Completeness.INCOMPLETE),
        ({"tableName": ["x"]}, Completeness.INCOMPLETE),
    ],
)
def test_recorded_parameters_are_as_complete_as_what_is_known_of_them(recorded, completeness):
    """An unknown key, a hidden value or a missing member makes it something that a person completes."""
    assert trail.convert(DELETE, recorded, "", WHERE).completeness is completeness


def test_nested_keys_are_found_in_any_case():
    """CloudTrail's lowerCamelCase becomes the model's names at every depth."""
    recorded = {
        "tableName": "prod-orders",
        "provisionedThroughput": {"readCapacityUnits": 5, "writeCapacityUnits": 6},
        "globalSecondaryIndexUpdates": [{"delete": {"indexName": "by-date"}}],
    }
    found = trail.convert(UPDATE, recorded, "", WHERE)
    assert found.completeness is Completeness.EXACT
    assert found.parameters == {
        "TableName": "prod-orders",
        "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6},
        "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "by-date"}}],
    }


names = st.text("abcABC019_.-", min_size=3, max_size=255)


@given(names)
def test_a_name_and_its_arn_are_the_same_table(name):
    """normalised(arn of name) is the name, and identified_by reads back what arns wrote."""
    (arn,) = resources.arns(DELETE, {"TableName": name}, WHERE)
    assert resources.normalised(DELETE, {"TableName": arn}, WHERE) == {"TableName": name}
    assert resources.identified_by(DELETE, arn, WHERE) == {"TableName": name}


@given(
    st.sampled_from(
        [Where("999999999999", "eu-west-1"), Where("111122223333", "us-east-1"), Where("111122223333", "eu-west-1", "aws-cn")]
    )
)
def test_an_arn_of_elsewhere_is_refused(elsewhere):
    """A name field that reaches into another account, region or partition names its field."""
    (arn,) = resources.arns(DELETE, {"TableName": "prod-orders"}, elsewhere)
    with pytest.raises(BadParameters, match="TableName"):
        resources.normalised(DELETE, {"TableName": arn}, WHERE)


@given(
    st.dictionaries(
        st.sampled_from(list(UPDATE.members)),
        st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text()),
        max_size=3,
    )
)
def test_what_botocore_refuses_is_refused_by_path(parameters):
    """Our check is at least as strict as botocore's validator, and always answers with fields."""
    shape = UPDATE.model.input_shape
    assert shape is not None
    if ParamValidator().validate(parameters, shape).has_errors():
        with pytest.raises(BadParameters) as refusal:
            inputs.check(UPDATE, parameters)
        assert refusal.value.fields


def test_a_call_reads_as_a_sentence_and_as_a_command():
    """What is shown: a sentence, and a command that a shell would read back as the same parameters."""
    step = Step(
        "dynamodb", "UpdateTable", {"TableName": "prod-x", "DeletionProtectionEnabled": False, "ProvisionedThroughput": {"a": 1}}
    )
    assert words.sentence(step, "Production, eu-west-1") == "change table prod-x in Production, eu-west-1"
    assert words.cli(step, "eu-west-1") == (
        "aws dynamodb update-table --region eu-west-1 --no-deletion-protection-enabled "
        "--provisioned-throughput '{\"a\": 1}' --table-name prod-x"
    )


@given(st.text())
def test_nothing_invisible_stays_invisible(text):
    """Control, bidi, zero-width and private characters are written as escapes; the rest stays."""
    shown = words.visible(text)
    assert all(char.isprintable() for char in shown)
    assert words.visible("a b\u202eç") == "a b\\u202eç"


def test_the_dangerous_members_come_first_after_the_target():
    """A reviewer reads what it acts on, then what is dangerous about it."""
    shown = risk.ordered(UPDATE, {"TableClass": "STANDARD", "DeletionProtectionEnabled": False, "TableName": "prod-x"})
    assert [name for name, _, _ in shown] == ["TableName", "DeletionProtectionEnabled", "TableClass"]
    assert shown[1][2]
