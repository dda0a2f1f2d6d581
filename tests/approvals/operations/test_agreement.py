"""CloudTrail's list of resources against the parameters."""

from __future__ import annotations

import pytest

from approvals.operations import agreement, catalog
from approvals.operations.resources import Where

WHERE = Where("111122223333", "eu-west-1")
HERE = "eu-west-1:111122223333"


@pytest.mark.parametrize(
    ("recorded", "conflicts"),
    [
        (None, 0),
        ("junk", 0),
        ([1, {"ARN": 2}, {}], 0),
        ([{"ARN": f"arn:aws:dynamodb:{HERE}:table/prod", "accountId": "111122223333"}], 0),
        ([{"arn": f"arn:aws:kms:{HERE}:key/x"}], 0),
        ([{"ARN": f"arn:aws:dynamodb:{HERE}:table/test"}], 1),
        ([{"ARN": "arn:aws:dynamodb:eu-west-1:999999999999:table/prod"}], 1),
        ([{"ARN": f"arn:aws:dynamodb:{HERE}:table/test"}, {"ARN": f"arn:aws:dynamodb:{HERE}:table/prod"}], 0),
    ],
)
def test_cloudtrails_own_list_of_resources_is_compared(recorded, conflicts):
    """A thing of the same kind under another name is a conflict; other kinds and rubbish say nothing."""
    delete = catalog.get("dynamodb:DeleteTable")
    assert len(agreement.conflicts(delete, {"TableName": "prod"}, WHERE, recorded)) == conflicts


def test_a_prefix_in_cloudtrails_list_covers_the_objects_under_it():
    """S3 lists what the objects of one call begin with."""
    delete, given_ = catalog.get("s3:DeleteObjects"), {"Bucket": "b", "Delete": {"Objects": [{"Key": "x"}]}}
    assert not agreement.conflicts(delete, given_, WHERE, [{"ARN": "arn:aws:s3:::b/"}, {"ARN": "arn:aws:s3:::b"}])
    assert agreement.conflicts(delete, given_, WHERE, [{"ARN": "arn:aws:s3:::c/"}])
