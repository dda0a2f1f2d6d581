"""From a CloudTrail record to boto3's keyword arguments, and how far that is trusted."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st

from approvals.errors import BadParameters
from approvals.operations import catalog, inputs, reencoding, resources, risk, trail, words
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


def read(name, recorded):
    return trail.convert(catalog.get(name), recorded, "", WHERE)


@pytest.mark.parametrize(
    ("name", "recorded", "parameters"),
    [
        (
            "ec2:TerminateInstances",
            {"instancesSet": {"items": [{"instanceId": "i-1"}, {"instanceId": "i-2"}]}},
            {"InstanceIds": ["i-1", "i-2"]},
        ),
        (
            "ec2:RunInstances",
            {
                "instancesSet": {"items": [{"imageId": "ami-1", "minCount": 1, "maxCount": 2}]},
                "groupSet": {"items": [{"groupId": "sg-1"}]},
                "availabilityZone": "eu-west-1a",
                "tenancy": "default",
                "blockDeviceMapping": {},
                "monitoring": {"enabled": False},
                "tagSpecificationSet": {"items": [{"resourceType": "instance", "tags": [{"key": "a", "value": "b"}]}]},
            },
            {
                "ImageId": "ami-1",
                "MinCount": 1,
                "MaxCount": 2,
                "SecurityGroupIds": ["sg-1"],
                "Placement": {"AvailabilityZone": "eu-west-1a", "Tenancy": "default"},
                "Monitoring": {"Enabled": False},
                "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "b"}]}],
            },
        ),
        (
            "ec2:DeleteVpcEndpoints",
            {"DeleteVpcEndpointsRequest": {"VpcEndpointId": {"tag": 1, "content": "vpce-1"}}},
            {"VpcEndpointIds": ["vpce-1"]},
        ),
        ("ec2:EnableSerialConsoleAccess", {"EnableSerialConsoleAccessRequest": ""}, {}),
        ("ec2:CreateVolume", {"size": "80", "zone": "eu-west-1a"}, {"Size": 80, "AvailabilityZone": "eu-west-1a"}),
        (
            "ec2:ModifyInstanceAttribute",
            {"instanceId": "i-1", "disableApiTermination": {"value": False}, "groupSet": {"items": [{"groupId": "sg-1"}]}},
            {"InstanceId": "i-1", "DisableApiTermination": {"Value": False}, "Groups": ["sg-1"]},
        ),
        (
            "ec2:ModifySnapshotAttribute",
            {"snapshotId": "snap-1", "attributeType": "CREATE_VOLUME_PERMISSION"},
            {"SnapshotId": "snap-1", "Attribute": "createVolumePermission"},
        ),
        (
            "s3:PutBucketPolicy",
            {"Host": "h", "policy": "", "bucketName": "b", "bucketPolicy": {"Version": "2012-10-17", "Statement": []}},
            {"Bucket": "b", "Policy": '{"Version":"2012-10-17","Statement":[]}'},
        ),
        (
            "s3:PutBucketTagging",
            {"bucketName": "b", "tagging": "", "Tagging": {"xmlns": "x", "TagSet": {"Tag": {"Key": "k", "Value": 1}}}},
            {"Bucket": "b", "Tagging": {"TagSet": [{"Key": "k", "Value": "1"}]}},
        ),
        (
            "s3:PutBucketAcl",
            {
                "bucketName": "b",
                "acl": "",
                "AccessControlPolicy": {
                    "AccessControlList": {"Grant": {"Permission": "READ", "Grantee": {"xsi:type": "Group", "URI": "u"}}}
                },
            },
            {
                "Bucket": "b",
                "AccessControlPolicy": {"Grants": [{"Permission": "READ", "Grantee": {"Type": "Group", "URI": "u"}}]},
            },
        ),
        (
            "s3:CreateBucket",
            {"bucketName": "b", "host": ["h"], "acl": [""], "accessControlList": {"x-amz-grant-read": "id=1"}},
            {"Bucket": "b", "GrantRead": "id=1"},
        ),
        ("s3:PutBucketAcl", {"bucketName": "b", "x-amz-acl": ["private"]}, {"Bucket": "b", "ACL": "private"}),
        (
            "eks:AssociateAccessPolicy",
            {
                "clusterName": "c",
                "principalArn": "arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Fr",
                "policyArn": "p",
                "accessScope": {"type": "cluster"},
            },
            {
                "clusterName": "c",
                "principalArn": "arn:aws:iam::111122223333:role/r",
                "policyArn": "p",
                "accessScope": {"type": "cluster"},
            },
        ),
        ("eks:DeleteCluster", {"clusterName": "c"}, {"name": "c"}),
        (
            "apigateway:PutIntegration",
            {
                "restApiId": "a",
                "resourceId": "r",
                "httpMethod": "GET",
                "putIntegrationInput": {"type": "HTTP", "httpMethod": "POST"},
                "template": False,
            },
            {"restApiId": "a", "resourceId": "r", "httpMethod": "GET", "type": "HTTP", "integrationHttpMethod": "POST"},
        ),
        (
            "sqs:SetQueueAttributes",
            {"queueUrl": "u", "attribute": [{"name": "DelaySeconds", "value": 5}]},
            {"QueueUrl": "u", "Attributes": {"DelaySeconds": "5"}},
        ),
        (
            "acm:ImportCertificate",
            {"certificate": {"hb": [45, -1], "offset": 0, "bigEndian": True}, "privateKey": "a2V5"},
            {"Certificate": b"-\xff", "PrivateKey": b"key"},
        ),
        (
            "events:PutRule",
            {"name": "n", "eventPattern": {"source": ["aws.s3"]}},
            {"Name": "n", "EventPattern": '{"source":["aws.s3"]}'},
        ),
        (
            "route53:ChangeResourceRecordSets",
            {
                "hostedZoneId": "Z1",
                "changeBatch": {"changes": [{"action": "DELETE", "resourceRecordSet": {"name": "n", "type": "A", "tTL": 60}}]},
            },
            {
                "HostedZoneId": "Z1",
                "ChangeBatch": {"Changes": [{"Action": "DELETE", "ResourceRecordSet": {"Name": "n", "Type": "A", "TTL": 60}}]},
            },
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_service_is_read_in_its_own_way(name, recorded, parameters):
    """Sets, wrappers, single elements, markers, aliases, encodings: the quirks of services end at what boto3 takes."""
    found = read(name, recorded)
    assert found.parameters == parameters
    assert not found.unknown


@pytest.mark.parametrize(
    "written",
    ["Oct 10, 2024 3:30:23 PM", "Oct 10, 2024, 3:30:23\u202fPM", "2024-10-10T15:30:23Z", 1728574223, 1728574223000, "1728574223"],
)
def test_a_date_is_the_same_instant_however_it_is_written(written):
    """Java's spoken dates, ISO 8601, seconds and milliseconds since 1970 are one datetime in UTC."""
    found = read("rds:RestoreDBClusterToPointInTime", {"dBClusterIdentifier": "a", "restoreToTime": written})
    assert found.parameters["RestoreToTime"] == datetime(2024, 10, 10, 15, 30, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "recorded", "dropped"),
    [
        ("ec2:DeleteSnapshot", {"snapshotId": "snap-1", "force": False}, ("force",)),
        ("kms:ScheduleKeyDeletion", {"keyId": "k", "overridePendingWindowCheck": False}, ("overridePendingWindowCheck",)),
        ("s3:DeleteBucket", {"bucketName": "b", "Host": "h", "x-id": "DeleteBucket"}, ("Host", "x-id")),
    ],
)
def test_what_the_service_added_is_dropped_and_said(name, recorded, dropped):
    """A key that no caller sent is not in the call, and the reviewer is told of it."""
    found = read(name, recorded)
    assert (found.dropped, found.unknown) == (dropped, ())


def test_a_key_by_another_name_is_said_to_be_renamed():
    """The reviewer sees which key became which member."""
    found = read("ec2:CreateSecurityGroup", {"groupName": "g", "groupDescription": "d"})
    assert found.renamed == (("groupDescription", "Description"),)


@pytest.mark.parametrize(
    "marker",
    [
        "HIDDEN_DUE_TO_SECURITY_REASONS",
        "****",
        "***OMITTED***",
        "<sensitiveDataRemoved>",
        "***(Redacted)",
        "*** REDACTED ***",
        "[REDACTED]",
        "AKIA****************",
        '{"password": "***OMITTED***"}',
    ],
)
def test_a_hidden_value_is_redacted_wherever_it_stands(marker):
    """Markers and what looks like one, alone or inside a text, make the call one that a person completes."""
    found = read("rds:ModifyDBInstance", {"dBInstanceIdentifier": "x", "masterUserPassword": marker})
    assert (found.completeness, found.redacted) == (Completeness.REDACTED, ("MasterUserPassword",))
    assert found.why == "CloudTrail hides MasterUserPassword; you must enter it."


def test_a_hidden_structure_is_left_out():
    """A marker in place of an object cannot be sent to AWS: the member is named, not filled."""
    found = read("ssm:SendCommand", {"documentName": "d", "parameters": "HIDDEN_DUE_TO_SECURITY_REASONS"})
    assert (found.parameters, found.redacted) == ({"DocumentName": "d"}, ("Parameters",))


@pytest.mark.parametrize(
    ("name", "recorded", "missing"),
    [
        ("iam:CreateLoginProfile", {"userName": "u", "passwordResetRequired": False}, "Password"),
        ("lambda:UpdateFunctionConfiguration", {"functionName": "f", "environment": {}}, "Environment"),
        ("secretsmanager:PutSecretValue", {"secretId": "s"}, "SecretString"),
        ("cloudformation:UpdateStack", {"stackName": "s", "parameters": [{"parameterKey": "k"}]}, "Parameters.ParameterValue"),
        ("kms:ImportKeyMaterial", {"keyId": "k"}, "EncryptedKeyMaterial"),
        ("opensearch:UpdateDomainConfig", {"domainName": "d", "advancedSecurityOptions": {"masterUserOptions": {}}}, None),
    ],
)
def test_what_is_left_out_without_a_sign_is_never_exact(name, recorded, missing):
    """An operation with a member that CloudTrail does not record is completed by a person, who is told which."""
    found = read(name, recorded)
    assert found.completeness is Completeness.INCOMPLETE
    assert found.missing
    if missing:
        assert missing in found.missing
        assert missing in found.why or "does not fit" in found.why or "do not fit" in found.why


def test_an_emptied_environment_is_not_sent_on():
    """Lambda records `environment: {}` for whatever it was: repeating that would empty the function's environment."""
    assert "Environment" not in read("lambda:UpdateFunctionConfiguration", {"functionName": "f", "environment": {}}).parameters


def test_what_was_too_large_is_missing():
    """Parameters over 100 KB are left out by CloudTrail: nothing is known, everything is missing."""
    found = read("dynamodb:UpdateTable", {"omitted": True, "originalSize": 200000, "reason": "too large"})
    assert (found.completeness, found.parameters) == (Completeness.INCOMPLETE, {})
    assert "TableName" in found.missing


def test_two_keys_that_mean_one_member_and_disagree_are_not_guessed_at():
    """The second of two different values for one member is unknown, never the one that happens to be taken."""
    found = read("dynamodb:DeleteTable", {"tableName": "prod-a", "TableName": "prod-b"})
    assert (found.completeness, found.unknown) == (Completeness.UNKNOWN, ("TableName",))


@given(st.text(max_size=300))
def test_no_text_breaks_a_scalar(text):
    """Whatever stands where a number, date, boolean or blob belongs, there is a value that boto3 takes, or none."""
    for kind in ("string", "integer", "double", "boolean", "blob", "timestamp"):
        assert reencoding.scalar(kind, text) is not None
