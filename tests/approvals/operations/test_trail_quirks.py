"""Kinds of deviation that public records showed and the converter had not met: one made-up record for each kind."""

from __future__ import annotations

import pytest
from botocore.validate import ParamValidator

from approvals.operations import catalog, denials, quirks, sources, trail
from approvals.operations.resources import Where
from approvals.states import Completeness

WHERE = Where("123456789012", "eu-west-1")


def read(name, recorded):
    return trail.convert(catalog.get(name), recorded, "", WHERE)


@pytest.mark.parametrize(
    ("name", "recorded", "dropped"),
    [
        ("ssm:SendCommand", {"documentName": "d", "clientName": "", "interactive": False}, ("clientName", "interactive")),
        ("organizations:InviteAccountToOrganization", {"includeMasterAccount": False}, ("includeMasterAccount",)),
        ("lambda:PublishLayerVersion", {"layerName": "l", "publishOnTagging": True}, ("publishOnTagging",)),
        ("sts:AssumeRole", {"roleArn": "r", "incomingTransitiveTags": {"team": "x"}}, ("incomingTransitiveTags",)),
        (
            "cloudfront:UpdateDistribution",
            {"distributionConfig": {"origins": {"quantity": 1, "items": [{"id": "o", "oacSigningBehavior": "never"}]}}},
            ("distributionConfig.origins.items.0.oacSigningBehavior",),
        ),
    ],
)
def test_what_a_service_adds_is_no_unknown_key(name, recorded, dropped):
    """A key that the service adds to the record of a call is dropped, and the reviewer is told of it."""
    found = read(name, recorded)
    assert (found.unknown, found.dropped) == ((), dropped)


def test_what_sts_read_from_an_assertion_was_not_sent_beside_it():
    """STS records what it found in the assertion; the assertion itself, which was sent, is missing."""
    recorded = {"sAMLAssertionID": "_1", "roleSessionName": "ann", "roleArn": "a" * 20, "principalArn": "a" * 20}
    found = read("sts:AssumeRoleWithSAML", recorded)
    assert found.unknown == ()
    assert found.completeness is Completeness.INCOMPLETE
    assert "SAMLAssertion" in found.missing


def test_a_text_that_ec2_was_given_empty_is_kept():
    """EC2 records `noDevice: {}` for the empty text that leaves a device out; an empty list is not kept."""
    recorded = {
        "instancesSet": {"items": [{"imageId": "ami-1", "minCount": 1, "maxCount": 1}]},
        "blockDeviceMapping": {"items": [{"deviceName": "/dev/sdc", "noDevice": {}}]},
        "groupSet": {},
    }
    found = read("ec2:RunInstances", recorded)
    assert found.parameters["BlockDeviceMappings"] == [{"DeviceName": "/dev/sdc", "NoDevice": ""}]
    assert "SecurityGroupIds" not in found.parameters


def test_an_emptied_member_that_the_call_needs_is_kept_and_named():
    """Lambda records `code: {}` for whatever the code was: the call keeps its form, and a person is told to enter the code."""
    recorded = {"functionName": "f", "role": "arn:aws:iam::123456789012:role/r", "code": {}, "environment": {}}
    found = read("lambda:CreateFunction", recorded)
    shape = catalog.get("lambda:CreateFunction").model.input_shape
    assert shape is not None
    assert not ParamValidator().validate(found.parameters, shape).has_errors()
    assert found.completeness is Completeness.INCOMPLETE
    assert {"Code", "Environment"} <= set(found.missing)
    assert "Environment" not in found.parameters


@pytest.mark.parametrize(
    "text",
    [
        "Value hidden due to security reasons.",
        "[ACCOUNT_ID_REDACTED]",
        "[MAIL-BODY-REDACTED]",
        '"<Redacted>"',
        "arn:aws:iam::[ACCOUNT_REDACTED]:role/r",
    ],
)
def test_what_stands_for_a_value_or_a_part_of_it_is_no_value(text):
    """A mark in a sentence of its own, or in brackets within a value, is a hidden value: such a record is not exact."""
    found = read("iam:DeleteUser", {"userName": text})
    assert (found.completeness, found.redacted) == (Completeness.REDACTED, ("UserName",))


@pytest.mark.parametrize("text", ["redacted-reports", "The redacted report", "f(redacted", "[report]", "", "ok"])
def test_a_word_is_no_mark(text):
    """That a name says `redacted` does not make it a mark."""
    assert not quirks.hidden(text)


@pytest.mark.parametrize(
    ("source", "event", "recorded", "operation"),
    [
        ("s3express", "DeleteBucket", {"bucketName": "b--euw1-az1--x-s3", "Host": "h"}, "s3:DeleteBucket"),
        ("s3express", "DeleteObject", {"bucketName": "b--euw1-az1--x-s3", "key": "k"}, "s3:DeleteObject"),
        ("edgekeyvaluestore", "DeleteKey", {"kvsARN": "a", "key": "k"}, "cloudfront-keyvaluestore:DeleteKey"),
    ],
)
def test_a_services_other_names_are_known(source, event, recorded, operation):
    """One service records under several names: directory buckets are S3's, the edge's key-value stores CloudFront's."""
    assert operation in sources.candidates(f"{source}.amazonaws.com", event)
    found = catalog.of_event(f"{source}.amazonaws.com", event, recorded)
    assert found is not None
    assert found.full_name == operation


def test_what_dynamodb_tells_of_an_item_is_not_the_item():
    """DynamoDB records the key and the attributes' names beside or in place of what was written: that is missing, not unknown."""
    put = read("dynamodb:PutItem", {"tableName": "t", "key": {"id": "1"}, "item": ["id", "name"]})
    write = read("dynamodb:TransactWriteItems", {"requestItems": [{"operation": "Put", "tableName": "t", "items": ["id"]}]})
    assert (put.unknown, write.unknown) == ((), ())
    assert (put.completeness, write.completeness) == (Completeness.INCOMPLETE, Completeness.INCOMPLETE)
    assert "Item" in put.missing
    assert "TransactItems" in write.missing


def test_statements_by_another_name_are_statements():
    """DynamoDB records the statements of a batch as `requestItems`, with the values hidden."""
    found = read("dynamodb:BatchExecuteStatement", {"requestItems": [{"statement": "DELETE FROM t WHERE id = ***(Redacted)"}]})
    assert (found.completeness, found.redacted) == (Completeness.REDACTED, ("Statements.0.Statement",))
    assert found.parameters["Statements"]


@pytest.mark.parametrize(
    ("message", "action", "user"),
    [
        ("Not authorized to perform sts:AssumeRoleWithWebIdentity", "sts:AssumeRoleWithWebIdentity", ""),
        ("User is not authorized to perform: cloudtrail:DeleteTrail", "cloudtrail:DeleteTrail", ""),
        ("The caller is not authorized to perform organizations:LeaveOrganization.", "organizations:LeaveOrganization", ""),
        ("User: arn:aws:iam::1:user/a is not authorized to perform: kms:Decrypt", "kms:Decrypt", "arn:aws:iam::1:user/a"),
    ],
)
def test_a_denial_that_names_nobody_still_names_the_action(message, action, user):
    """Some services say only what was refused, some without the colon: the action is read, the user where one is named."""
    said = denials.parse(message)
    assert said is not None
    assert (said.action, said.user) == (action, user)


@pytest.mark.parametrize(
    "message", ["You are not authorized to perform this operation.", "User is not authorized", "Access Denied"]
)
def test_a_refusal_without_an_action_tells_nothing(message):
    """Where no action is named, none is made up."""
    assert denials.parse(message) is None


def test_a_frame_without_content_is_not_sent_on():
    """An environment of no variables is what is left when they are hidden: repeating it would empty the function's own."""
    found = read("lambda:UpdateFunctionConfiguration", {"functionName": "f", "environment": {"variables": {}}})
    assert "Environment" not in found.parameters
    assert (found.completeness, found.missing) == (Completeness.INCOMPLETE, ("Environment",))


def test_the_mark_of_a_hidden_blob_keeps_its_place_and_is_never_taken_for_it():
    """A hidden blob keeps CloudTrail's mark, so that nothing of the record is lost; what is offered to a person is without it."""
    operation = catalog.get("kms:Encrypt")
    found = trail.convert(operation, {"keyId": "k-1", "plaintext": "HIDDEN_DUE_TO_SECURITY_REASONS"}, "", WHERE)
    assert (found.completeness, found.redacted) == (Completeness.REDACTED, ("Plaintext",))
    assert found.parameters["Plaintext"] == b"HIDDEN_DUE_TO_SECURITY_REASONS"
    assert "Plaintext" not in quirks.without_marks(found.parameters)


def test_two_keys_that_disagree_about_one_member_leave_it_unknown():
    """Which of two values AWS took is not told, so the member counts as missing and every guardrail matches."""
    found = read("dynamodb:DeleteTable", {"tableName": "staging-x", "TableName": "prod-orders"})
    assert found.completeness is Completeness.UNKNOWN
    assert "TableName" in found.missing
