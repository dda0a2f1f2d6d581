from datetime import UTC, datetime
from typing import Any

import pytest

from executor.sandbox.hiding import HIDDEN
from executor.sandbox.models import operation_model
from executor.sandbox.spelling import spelled


@pytest.mark.parametrize(
    ("service", "operation", "given", "written"),
    [
        ("ssm", "PutParameter", {"Name": "n", "Value": "secret"}, {"name": "n", "value": HIDDEN}),
        ("kms", "Encrypt", {"KeyId": "k", "Plaintext": b"secret"}, {"keyId": "k"}),
        ("iam", "ChangePassword", {"OldPassword": "a", "NewPassword": "b"}, None),
        (
            "dynamodb",
            "UpdateTimeToLive",
            {"TableName": "t", "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "Expires"}},
            {"tableName": "t", "timeToLiveSpecification": {"enabled": True, "attributeName": "Expires"}},
        ),
        ("sqs", "CreateQueue", {"QueueName": "q", "tags": {"Team": "A"}}, {"queueName": "q", "tags": {"Team": "A"}}),
        (
            "dynamodb",
            "RestoreTableToPointInTime",
            {"RestoreDateTime": datetime(2026, 3, 4, 0, 5, 6, tzinfo=UTC)},
            {"restoreDateTime": "Mar 4, 2026, 12:05:06 AM"},
        ),
        ("dynamodb", "DeleteTable", {"Unknown": {"Deep": 1}}, {"unknown": {"Deep": 1}}),
    ],
)
def test_values_are_written_as_cloudtrail_writes_them(service: str, operation: str, given: Any, written: Any) -> None:
    """Member names begin in lower case, keys of maps stay, secrets are hidden or absent, dates are in words."""
    assert spelled(operation_model(service, operation), given) == written
