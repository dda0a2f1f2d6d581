"""What a process does in AWS with its own keys: the queue, the topic, the mirror, the key that opens sealed values.

Calls that may be repeated, by the clients of `aws.own`. Their errors are AwsRefused and AwsUnavailable.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from executor import aws
from executor.answers import translated
from executor.errors import AwsRefused

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient


def unwrapped(key_arn: str, wrapped: bytes) -> bytes | None:
    """What KMS decrypts with this RSA key (RSAES_OAEP_SHA_256), None when it was not encrypted for it.

    Raises AwsRefused, AwsUnavailable.
    """
    kms = aws.own("kms", key_arn.split(":")[3])
    try:
        with translated():
            found = kms.decrypt(KeyId=key_arn, CiphertextBlob=wrapped, EncryptionAlgorithm="RSAES_OAEP_SHA_256")
    except AwsRefused as error:
        if error.code != "InvalidCiphertextException":
            raise
        return None
    return bytes(found["Plaintext"])


def public_key(key_arn: str) -> bytes:
    """The public half of a KMS key, as DER. Raises AwsRefused, AwsUnavailable."""
    kms = aws.own("kms", key_arn.split(":")[3])
    with translated():
        return bytes(kms.get_public_key(KeyId=key_arn)["PublicKey"])


@dataclass(frozen=True, slots=True)
class Received:
    """One message of the queue and the handle that deletes it."""

    id: str
    body: str
    handle: str


def receive(queue_url: str, *, region: str, wait: int) -> list[Received]:
    """Up to ten messages, waiting at most `wait` seconds for the first. Raises AwsRefused, AwsUnavailable."""
    sqs: SQSClient = aws.own("sqs", region)
    with translated():
        answer = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=wait)
    return [Received(one["MessageId"], one["Body"], one["ReceiptHandle"]) for one in answer.get("Messages", [])]


def delete(queue_url: str, messages: Sequence[Received], *, region: str) -> list[str]:
    """Delete up to ten messages; return, in words, which AWS did not delete. Raises AwsRefused, AwsUnavailable."""
    sqs: SQSClient = aws.own("sqs", region)
    with translated():
        answer = sqs.delete_message_batch(
            QueueUrl=queue_url,
            Entries=[{"Id": str(index), "ReceiptHandle": message.handle} for index, message in enumerate(messages)],
        )
    return [f"{messages[int(one['Id'])].id}: {one['Code']}" for one in answer.get("Failed", [])]


def publish(topic_arn: str, *, region: str, subject: str, body: str, attributes: Mapping[str, str | Sequence[str]]) -> str:
    """Publish to the topic and return the message id. A list becomes an attribute that subscriptions can filter on."""
    sns: SNSClient = aws.own("sns", region)
    with translated():
        answer = sns.publish(
            TopicArn=topic_arn,
            Subject=subject,
            Message=body,
            MessageAttributes={name: _attribute(value) for name, value in attributes.items() if value},
        )
    return answer["MessageId"]


def _attribute(value: str | Sequence[str]) -> Any:
    if isinstance(value, str):
        return {"DataType": "String", "StringValue": value}
    return {"DataType": "String.Array", "StringValue": json.dumps(list(value))}


def mirror(table: str, item: Mapping[str, str | int], *, region: str) -> bool:
    """Write the row unless the table holds the same or a newer `Version`; return whether it was written."""
    dynamodb: DynamoDBClient = aws.own("dynamodb", region)
    typed: dict[str, Any] = {name: {"N": str(v)} if isinstance(v, int) else {"S": v} for name, v in item.items()}
    try:
        with translated():
            dynamodb.put_item(
                TableName=table,
                Item=typed,
                ConditionExpression="attribute_not_exists(ApprovalId) OR #version < :version",
                ExpressionAttributeNames={"#version": "Version"},
                ExpressionAttributeValues={":version": typed["Version"]},
            )
    except AwsRefused as error:
        if error.code != "ConditionalCheckFailedException":
            raise
        return False
    return True
