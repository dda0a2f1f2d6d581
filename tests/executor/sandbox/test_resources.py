from typing import Any

import pytest

from executor.sandbox.identity import Caller
from executor.sandbox.models import operation_model
from executor.sandbox.recognise import Call
from executor.sandbox.resources import asked

ALICE = Caller("111122223333", "aws", "arn:aws:iam::111122223333:user/alice", "AIDA", "AKIA", "secret", "alice")
TABLES = "arn:aws:dynamodb:eu-west-1:111122223333:table/"
# What AWS asks for on a table that a restore fills.
FILLING = ("BatchWriteItem", "DeleteItem", "GetItem", "PutItem", "Query", "Scan", "UpdateItem")
QUEUE = "arn:aws:sqs:eu-west-1:111122223333:events"
TOPIC = "arn:aws:sns:eu-west-1:111122223333:topic"
ROLE = "arn:aws:iam::111122223333:role/Executor"


@pytest.mark.parametrize(
    ("call", "parameters", "needs"),
    [
        ("dynamodb:DeleteTable", {"TableName": "t"}, [("dynamodb:DeleteTable", TABLES + "t")]),
        ("dynamodb:DeleteTable", {"TableName": TABLES + "t"}, [("dynamodb:DeleteTable", TABLES + "t")]),
        ("dynamodb:ListTables", {}, [("dynamodb:ListTables", "*")]),
        ("dynamodb:Query", {"TableName": "t", "IndexName": "i"}, [("dynamodb:Query", TABLES + "t/index/i")]),
        ("dynamodb:TagResource", {"ResourceArn": TABLES + "t"}, [("dynamodb:TagResource", TABLES + "t")]),
        (
            "dynamodb:RestoreTableToPointInTime",
            {"SourceTableName": "a", "TargetTableName": "b"},
            [
                *[("dynamodb:RestoreTableToPointInTime", TABLES + name) for name in ("a", "b")],
                *[(f"dynamodb:{action}", TABLES + "b") for action in FILLING],
            ],
        ),
        (
            "dynamodb:BatchWriteItem",
            {"RequestItems": {"a": [], "b": []}},
            [("dynamodb:BatchWriteItem", TABLES + "a"), ("dynamodb:BatchWriteItem", TABLES + "b")],
        ),
        (
            "dynamodb:TransactWriteItems",
            {"TransactItems": [{"Put": {"TableName": "a"}}, {"Delete": {"TableName": "b"}}, {"Put": {"TableName": "a"}}]},
            [("dynamodb:PutItem", TABLES + "a"), ("dynamodb:DeleteItem", TABLES + "b")],
        ),
        ("dynamodb:TransactGetItems", {"TransactItems": [{"Get": {"TableName": "a"}}]}, [("dynamodb:GetItem", TABLES + "a")]),
        (
            "dynamodb:ExecuteStatement",
            {"Statement": 'select * from "my.table"."index" where x = 1'},
            [("dynamodb:PartiQLSelect", TABLES + "my.table")],
        ),
        (
            "dynamodb:BatchExecuteStatement",
            {"Statements": [{"Statement": "DELETE FROM a WHERE k=1"}, {"Statement": 'UPDATE "b" SET x=1'}]},
            [("dynamodb:PartiQLDelete", TABLES + "a"), ("dynamodb:PartiQLUpdate", TABLES + "b")],
        ),
        (
            "dynamodb:ExecuteTransaction",
            {"TransactStatements": [{"Statement": "INSERT INTO \"a\" VALUE {'k': 1}"}]},
            [("dynamodb:PartiQLInsert", TABLES + "a")],
        ),
        ("sqs:SendMessageBatch", {"QueueUrl": "http://localhost/1/events"}, [("sqs:SendMessage", QUEUE)]),
        ("sqs:CreateQueue", {"QueueName": "events"}, [("sqs:CreateQueue", QUEUE)]),
        ("sqs:ListQueues", {}, [("sqs:ListQueues", "*")]),
        ("sns:PublishBatch", {"TopicArn": TOPIC}, [("SNS:Publish", TOPIC)]),
        ("sns:CreateTopic", {"Name": "topic"}, [("SNS:CreateTopic", TOPIC)]),
        ("sns:Unsubscribe", {"SubscriptionArn": TOPIC + ":1-2"}, [("SNS:Unsubscribe", TOPIC)]),
        ("iam:DeleteRole", {"RoleName": "Executor"}, [("iam:DeleteRole", ROLE)]),
        ("iam:AttachRolePolicy", {"RoleName": "Executor", "PolicyArn": "arn:p"}, [("iam:AttachRolePolicy", ROLE)]),
        ("iam:PutRolePolicy", {"RoleName": "Executor", "PolicyName": "p"}, [("iam:PutRolePolicy", ROLE)]),
        ("iam:DeletePolicy", {"PolicyArn": "arn:aws:iam::1:policy/p"}, [("iam:DeletePolicy", "arn:aws:iam::1:policy/p")]),
        (
            "sts:AssumeRole",
            {"RoleArn": ROLE, "SourceIdentity": "s", "Tags": [{"Key": "a", "Value": "b"}]},
            [("sts:AssumeRole", ROLE), ("sts:SetSourceIdentity", ROLE), ("sts:TagSession", ROLE)],
        ),
    ],
)
def test_a_call_asks_for_every_resource_that_it_touches(call: str, parameters: Any, needs: list[tuple[str, str]]) -> None:
    """Actions and ARNs are those of the Service Authorization Reference, each once."""
    service, _, operation = call.partition(":")
    made = Call(service, operation, "json", parameters, "eu-west-1", operation_model(service, operation))
    assert [(need.action, need.resource) for need in asked(made, ALICE)] == needs
