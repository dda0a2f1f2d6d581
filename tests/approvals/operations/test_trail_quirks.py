"""Kinds of deviation that public records showed and the converter had not met: one made-up record for each kind."""

from __future__ import annotations

import json

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
        ("athena:UpdateNotebook", {"notebookId": "n", "payload": "p", "type": "IPYNB", "contentMD5": "m"}, ("contentMD5",)),
        (
            "lambda:Invoke",
            {
                "functionName": "f",
                "sourceArn": "arn:aws:logs:eu-west-1:123456789012:log-group:x:*",
                "sourceAccount": "123456789012",
            },
            ("sourceArn", "sourceAccount"),
        ),
        ("security-ir:CreateCase", {"resolverType": "Self", "membershipId": "m-1"}, ("membershipId",)),
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
        "HIDDEN_FOR_SECURITY_REASONS",
        "Hidden for privacy reasons",
        "<removed>",
        "...",
        "XXXXXXXXXXX",
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


@pytest.mark.parametrize(
    "text",
    ["redacted-reports", "The redacted report", "f(redacted", "[report]", "removed", "hidden for now", "and so on ...", "", "ok"],
)
def test_a_word_is_no_mark(text):
    """That a name says `redacted` does not make it a mark."""
    assert not quirks.hidden(text)


@pytest.mark.parametrize(
    ("source", "event", "recorded", "operation"),
    [
        ("s3express", "DeleteBucket", {"bucketName": "b--euw1-az1--x-s3", "Host": "h"}, "s3:DeleteBucket"),
        ("s3express", "DeleteObject", {"bucketName": "b--euw1-az1--x-s3", "key": "k"}, "s3:DeleteObject"),
        ("edgekeyvaluestore", "DeleteKey", {"kvsARN": "a", "key": "k"}, "cloudfront-keyvaluestore:DeleteKey"),
        ("amazonmq", "DeleteBroker", {"broker-id": "b-1"}, "mq:DeleteBroker"),
        ("mq", "DeleteBroker", {"broker-id": "b-1"}, "mq:DeleteBroker"),
        (
            "metering-marketplace",
            "RegisterUsage",
            {"productCode": "p", "publicKeyVersion": 1},
            "meteringmarketplace:RegisterUsage",
        ),
        ("application-insights", "DeleteApplication", {"resourceGroupName": "g"}, "application-insights:DeleteApplication"),
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


def test_an_empty_text_or_list_that_no_call_can_carry_was_not_given():
    """Consoles send empty fields along: an optional member that the model wants filled is dropped and named; a person looks."""
    recorded = {
        "documentName": "d",
        "instanceIds": ["i-0123456789abcdef0"],
        "outputS3BucketName": "",
        "comment": "",
        "cloudWatchOutputConfig": {"cloudWatchLogGroupName": "", "cloudWatchOutputEnabled": False},
    }
    found = read("ssm:SendCommand", recorded)
    assert found.dropped == ("outputS3BucketName", "cloudWatchOutputConfig.cloudWatchLogGroupName")
    assert {"OutputS3BucketName", "CloudWatchOutputConfig.CloudWatchLogGroupName"} <= set(found.missing)
    assert found.completeness is Completeness.INCOMPLETE
    assert found.parameters["Comment"] == ""
    assert found.parameters["CloudWatchOutputConfig"] == {"CloudWatchOutputEnabled": False}
    shape = catalog.get("ssm:SendCommand").model.input_shape
    assert shape is not None
    assert not ParamValidator().validate(found.parameters, shape).has_errors()


def test_an_emptied_object_that_cannot_have_been_empty_is_missing():
    """Of an optional object recorded as `{}` whose own members are required nobody knows what it held: a person says."""
    found = read("codebuild:UpdateProject", {"name": "build", "artifacts": {}, "description": "nightly"})
    assert found.parameters == {"name": "build", "description": "nightly"}
    assert (found.completeness, found.missing) == (Completeness.INCOMPLETE, ("artifacts",))


def test_an_object_around_a_single_value_stands_for_it():
    """An object whose only key is `name`, `value` or `content` stands for the value where the model has a single one."""
    found = read("route53domains:DisableDomainTransferLock", {"domainName": {"name": "example.com"}})
    assert (found.completeness, found.parameters) == (Completeness.EXACT, {"DomainName": "example.com"})
    found = read("route53domains:DisableDomainTransferLock", {"domainName": {"name": "example.com", "tld": "com"}})
    assert found.completeness is Completeness.INCOMPLETE


def test_members_that_the_call_needs_are_named_whatever_else_is_wrong():
    """A required member that the record lacks stands under `missing` even where a key is unknown or another value is hidden."""
    found = read("iam:CreateRole", {"roleName": "r", "surprise": 1})
    assert (found.completeness, found.missing) == (Completeness.UNKNOWN, ("AssumeRolePolicyDocument",))
    found = read("cognito-idp:AdminSetUserPassword", {"userPoolId": "eu-west-1_x", "password": "HIDDEN_DUE_TO_SECURITY_REASONS"})
    assert (found.completeness, found.redacted, found.missing) == (Completeness.REDACTED, ("Password",), ("Username",))


def test_a_required_member_inside_a_list_is_named_by_its_place():
    """What an element lacks is named with the element's number."""
    recorded = {"surprise": 1, "users": [{"username": "ann", "password": "x"}, {"username": "bob"}]}
    assert "Users.1.Password" in read("mq:CreateBroker", recorded).missing


@pytest.mark.parametrize(
    ("name", "recorded", "missing"),
    [
        ("mq:UpdateUser", {"broker-id": "b-1", "username": "ann", "consoleAccess": True}, "Password"),
        ("lightsail:CreateInstancesFromSnapshot", {"instanceNames": ["i"], "availabilityZone": "a", "bundleId": "b"}, "userData"),
        ("directconnect:CreateBGPPeer", {"virtualInterfaceId": "dxvif-1", "newBGPPeer": {"asn": 65000}}, "newBGPPeer.authKey"),
    ],
)
def test_what_is_called_as_a_secret_is_may_have_been_left_out(name, recorded, missing):
    """A member that only our list calls a secret, and that the record does not show, keeps the call from being called exact."""
    found = read(name, recorded)
    assert found.completeness is Completeness.INCOMPLETE
    assert missing in found.missing


def test_an_emptied_secret_is_not_known():
    """A secret that is recorded empty may have been emptied by the service: it is missing, not exact."""
    recorded = {"instanceNames": ["i"], "availabilityZone": "a", "blueprintId": "b", "bundleId": "c", "userData": ""}
    found = read("lightsail:CreateInstances", recorded)
    assert (found.completeness, found.missing) == (Completeness.INCOMPLETE, ("userData",))


@pytest.mark.parametrize(
    ("recorded", "completeness"),
    [
        ({"bucketName": "bucket", "key": "k", "acl": ""}, Completeness.INCOMPLETE),
        ({"bucketName": "bucket", "key": "k", "acl": "", "x-amz-acl": "private"}, Completeness.EXACT),
        ({"bucketName": "bucket", "key": "k", "accessControlList": {"x-amz-grant-read": "id=1"}}, Completeness.EXACT),
    ],
)
def test_an_acl_is_a_document_or_a_name(recorded, completeness):
    """Data events hold no bodies: an ACL that is neither named nor shown is missing; beside one that is named none was sent."""
    found = read("s3:PutObjectAcl", recorded)
    assert found.completeness is completeness
    assert ("AccessControlPolicy" in found.missing) == (completeness is Completeness.INCOMPLETE)


@pytest.mark.parametrize(
    ("name", "recorded", "missing"),
    [
        ("cloudformation:CreateStack", {"stackName": "s", "templateURL": "https://t", "templateBody": "{}"}, "StackPolicyBody"),
        ("sqs:SendMessage", {"queueUrl": "https://q", "messageBody": "m"}, "MessageAttributes"),
        ("ssm:CreateAssociationBatch", {"entries": [{"name": "d"}]}, "Entries.Parameters"),
    ],
)
def test_bodies_and_texts_that_services_leave_out(name, recorded, missing):
    """Texts, templates and messages that a service never records keep its calls from being called exact."""
    found = read(name, recorded)
    assert found.completeness is Completeness.INCOMPLETE
    assert missing in found.missing


def test_headers_of_the_transport_are_none_of_the_calls():
    """A header of HTTP's that no member stands for is dropped; one that a member stands for is kept."""
    recorded = {
        "bucketName": "bucket",
        "key": "k",
        "Expect": "100-continue",
        "Accept-Encoding": "gzip",
        "Content-Type": "text/plain",
    }
    found = read("s3:PutObject", recorded)
    assert (found.unknown, set(found.dropped)) == ((), {"Expect", "Accept-Encoding"})
    assert found.parameters["ContentType"] == "text/plain"


def test_the_second_api_gateway_makes_the_same_noise():
    """API Gateway adds `template` to the records of both its APIs."""
    found = read("apigatewayv2:CreateApi", {"createApiInput": {"name": "n", "protocolType": "HTTP"}, "template": False})
    assert (found.completeness, found.dropped) == (Completeness.EXACT, ("template",))


def test_a_mark_that_is_too_short_for_its_member_is_left_out():
    """A mark keeps its place only where botocore would take a text of its length; it is named as hidden either way."""
    found = read("kms:UpdateCustomKeyStore", {"customKeyStoreId": "cks-1", "keyStorePassword": "****"})
    assert (found.parameters, found.redacted) == ({"CustomKeyStoreId": "cks-1"}, ("KeyStorePassword",))
    found = read("redshift:ModifyCluster", {"clusterIdentifier": "c", "masterUserPassword": "****"})
    assert (found.parameters["MasterUserPassword"], found.redacted) == ("****", ("MasterUserPassword",))


@pytest.mark.parametrize("value", [False, "", {}, []])
def test_a_switch_of_the_services_own_that_is_off_says_nothing(value):
    """A key that no member has and that is off or empty was not asked for: it is dropped, told, and leaves the call exact."""
    recorded = {"clusterName": "c", "internalExpiryRequired": value}
    found = read("ecs:CreateCluster", recorded)
    assert (found.completeness, found.dropped, found.unknown) == (Completeness.EXACT, ("internalExpiryRequired",), ())
    assert found.parameters == {"clusterName": "c"}


@pytest.mark.parametrize("value", [True, 0, 1, "x", [False], {"on": False}])
def test_a_switch_that_is_on_is_unknown(value):
    """Any other value of a key that no member has may be what was asked for: a person looks."""
    found = read("ecs:CreateCluster", {"clusterName": "c", "internalExpiryRequired": value})
    assert (found.completeness, found.unknown) == (Completeness.UNKNOWN, ("internalExpiryRequired",))


def test_an_empty_text_of_a_service_that_empties_what_it_hides_is_hidden():
    """Transcribe writes an empty text where it hides one: that is no value, and the call is not exact."""
    recorded = {"transcriptionJobName": "job", "media": {"mediaFileUri": ""}, "outputBucketName": "", "languageCode": "en-US"}
    found = read("transcribe:StartTranscriptionJob", recorded)
    assert found.completeness is Completeness.REDACTED
    assert set(found.redacted) == {"Media.MediaFileUri", "OutputBucketName"}
    assert found.parameters == {"TranscriptionJobName": "job", "Media": {}, "LanguageCode": "en-US"}


@pytest.mark.parametrize(
    ("name", "recorded", "member"),
    [
        ("athena:StartQueryExecution", {"query": "select 1"}, "QueryString"),
        ("acm-pca:CreateCertificateAuthority", {"certificateAuthorityConfiguration": {"keyType": "RSA_2048"}}, "KeyAlgorithm"),
    ],
)
def test_former_names_of_members_are_known(name, recorded, member):
    """What a service called a member when it was new, old records call it still."""
    found = read(name, recorded)
    assert found.unknown == ()
    assert member in str(found.parameters)


@pytest.mark.parametrize(
    ("buffer", "content"),
    [
        ({"hb": [104, 105], "offset": 0, "limit": 2, "capacity": 2}, b"hi"),
        ({"hb": [104, 105, 0, 0], "offset": 0, "limit": 2, "capacity": 4}, b"hi"),
        ({"hb": [0, 104, 105], "offset": 1, "limit": 2}, b"hi"),
        ({"hb": [104, 105]}, b"hi"),
        ({"hb": [104, 105], "offset": -1, "limit": 2}, None),
        ({"hb": [104, 105], "limit": "2"}, None),
    ],
)
def test_a_buffer_holds_what_its_limit_says(buffer, content):
    """Of a Java buffer only what lies before its limit was sent."""
    found = read("acm-pca:ImportCertificateAuthorityCertificate", {"certificateAuthorityArn": "a" * 10, "certificate": buffer})
    assert found.parameters.get("Certificate") == content
    assert ("Certificate" in found.missing) == (content is None)


def test_a_buffer_that_was_cut_is_not_known_whole():
    """What is there of a buffer whose array is shorter than its limit is kept, and the member is named as missing."""
    recorded = {"certificateAuthorityArn": "a" * 10, "certificate": {"hb": [104, 105], "offset": 0, "limit": 900}}
    found = read("acm-pca:ImportCertificateAuthorityCertificate", recorded)
    assert found.parameters["Certificate"] == b"hi"
    assert found.completeness is Completeness.INCOMPLETE
    assert "Certificate" in found.missing


@pytest.mark.parametrize(
    ("name", "recorded", "hidden"),
    [
        ("ec2:DeleteKeyPair", {"keyName": {"value": "<sensitiveDataRemoved>"}}, "KeyName"),
        ("ec2:DeleteFlowLogs", {"DeleteFlowLogsRequest": {"FlowLogId": {"content": "****", "tag": 1}}}, "FlowLogIds.0"),
        ("route53domains:DisableDomainTransferLock", {"domainName": {"name": "HIDDEN_DUE_TO_SECURITY_REASONS"}}, "DomainName"),
    ],
)
def test_a_mark_inside_of_what_stands_for_a_value_is_a_mark(name, recorded, hidden):
    """A hidden value is hidden also where an object is written around it."""
    found = read(name, recorded)
    assert (found.completeness, found.redacted) == (Completeness.REDACTED, (hidden,))


def test_a_buffer_of_asterisks_is_a_hidden_value():
    """Octets that say nothing but asterisks were written over the secret, and are hidden as their text would be."""
    recorded = {"certificateArn": "arn:aws:acm:eu-west-1:123456789012:certificate/1", "passphrase": {"hb": [42] * 6, "limit": 6}}
    found = read("acm:ExportCertificate", recorded)
    assert (found.completeness, found.redacted) == (Completeness.REDACTED, ("Passphrase",))


@pytest.mark.parametrize(
    ("recorded", "unknown"),
    [
        ({"accountId": "123456789012", "awsRegion": "eu-west-1"}, ()),
        ({"accountId": "210987654321"}, ("accountId",)),
        ({"region": "eu-north-1"}, ("region",)),
        ({"subnetGroup": {"accountId": "123456789012"}}, ("subnetGroup",)),
    ],
)
def test_a_key_that_only_repeats_where_the_call_was_made_says_nothing(recorded, unknown):
    """The record's own account and region are no parameters where no member takes them; those of elsewhere are unknown keys."""
    found = read("opensearchserverless:DeleteCollection", {"id": "abcdefghij0123456789", **recorded})
    assert found.unknown == unknown
    assert (set(found.dropped) == set(recorded)) == (not unknown)


@pytest.mark.parametrize(
    ("name", "key", "value", "member"),
    [
        ("gamelift:CreateFleet", "fleetDescription", "d", "Description"),
        ("elbv2:DescribeLoadBalancerAttributes", "arn", "a", None),
        ("gamelift:UpdateBuild", "id", "b-1", "BuildId"),
        ("glue:CreateCrawler", "glueSchedule", "s", "Schedule"),
        ("glue:CreateCrawler", "lastSchedule", "s", None),
        ("glue:CreateCrawler", "crawlerTargets", {"s3Targets": []}, "Targets"),
        ("ecs:CreateService", "deploymentControllerName", "s", None),
        ("gamelift:CreateFleet", "tagList", [{"key": "k", "value": "v"}], "Tags"),
        ("gamelift:CreateFleet", "nonBlankString", "s", None),
    ],
)
def test_a_member_may_be_recorded_with_or_without_what_it_is_of(name, key, value, member):
    """A key that no member has means one that differs by what the call or the service is called, or that is of this shape."""
    found = read(name, {key: value})
    assert set(found.parameters) == ({member} if member else set())
    assert found.unknown == (() if member else (key,))
    assert ((key, member) in found.renamed) == (member is not None)


def test_what_is_off_in_the_body_was_sent_off():
    """A switch of the body's structure is read as that even where it is off, and not as one that says nothing."""
    found = read("pinpoint:UpdateCampaign", {"application-id": "a", "campaign-id": "c", "IsPaused": False})
    assert found.parameters["WriteCampaignRequest"] == {"IsPaused": False}
    assert found.dropped == ()


def test_a_key_with_the_thing_before_it_that_disagrees_with_the_member_is_unknown():
    """Where the member is recorded too, with another value, which of the two was sent is not known."""
    found = read("gamelift:CreateFleet", {"name": "n", "fleetName": "m"})
    assert found.unknown == ("fleetName",)


def test_a_policy_among_attributes_may_be_recorded_as_an_object():
    """A document that is the value of a map is sent as the text that it was, as one that is a member is."""
    policy = {"Version": "2012-10-17", "Statement": []}
    found = read("sqs:SetQueueAttributes", {"queueUrl": "https://q", "attributes": {"Policy": policy, "DelaySeconds": "5"}})
    assert found.completeness is Completeness.EXACT
    assert json.loads(found.parameters["Attributes"]["Policy"]) == policy
    assert found.parameters["Attributes"]["DelaySeconds"] == "5"


@pytest.mark.parametrize(
    ("name", "recorded", "instead", "missing"),
    [
        (
            "ec2:RunInstances",
            {"instancesSet": {"items": [{"minCount": 1, "maxCount": 1}]}, "instanceType": "t3.micro"},
            {"launchTemplate": {"launchTemplateId": "lt-0123456789abcdef0"}},
            "ImageId",
        ),
        ("elasticbeanstalk:UpdateEnvironment", {"optionSettings": []}, {"environmentId": "e-1234567890"}, "EnvironmentName"),
    ],
)
def test_a_call_that_names_neither_of_two_is_not_exact(name, recorded, instead, missing):
    """AWS asks for one of two members, and botocore for none: a record without both has left one out."""
    bare = read(name, recorded)
    assert (bare.completeness, bare.missing) == (Completeness.INCOMPLETE, (missing,))
    assert missing not in read(name, {**recorded, **instead}).missing


def test_tags_may_be_called_a_set():
    """Tags are a `tagSet` in services other than EC2 too."""
    found = read("sqs:CreateQueue", {"queueName": "q", "tagSet": {"team": "x"}})
    assert (found.parameters["tags"], found.unknown) == ({"team": "x"}, ())


@pytest.mark.parametrize(
    ("name", "recorded"),
    [
        ("ec2:AuthorizeSecurityGroupIngress", {"groupId": "sg-0123456789abcdef0"}),
        ("ec2:ModifySnapshotAttribute", {"snapshotId": "snap-0123456789abcdef0"}),
        ("ec2:ModifyVpcAttribute", {"vpcId": "vpc-0123456789abcdef0"}),
    ],
)
def test_a_change_that_says_only_its_target_is_not_exact(name, recorded):
    """A change of which nothing but the target is recorded would change nothing: what it was to change is missing."""
    assert read(name, recorded).completeness is Completeness.INCOMPLETE
