"""A name that looks like a variable of IAM's policies is a name: its session is for that alone."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from approvals.plan import Step
from executor.sandbox.world import DEMO
from tests.executor.own_guardrails import BUCKET, cast, client, facts  # noqa: F401 - fixtures
from tests.executor.stage import Stage, fresh
from tests.executor.test_sessions_in_hand import session_of
from tests.executor.test_steps import approved

OPERATIONS = ("s3:DeleteObject",)
KEY = "${aws:UserAgent}"


def objects(stage: Stage) -> set[str]:
    with client(stage, "s3") as s3:
        return {one["Key"] for one in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])}


def test_a_key_that_is_a_policy_variable_opens_no_other(stage: Stage) -> None:
    """Who holds the session and calls himself like another object deletes nothing, and the object of that name is deleted."""
    with client(stage, "s3") as s3:
        for key in ("payroll.csv", KEY):
            s3.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    execution = approved(stage, Step("s3", "DeleteObject", {"Bucket": BUCKET, "Key": KEY}))
    with stage.acting("execution"):
        _, session = session_of(stage, execution)
        keys = session.keys
        thief = boto3.client(
            "s3",
            endpoint_url=stage.aws.endpoint_url,
            region_name=DEMO.region,
            aws_access_key_id=keys.access_key_id,
            aws_secret_access_key=keys.secret_access_key,
            aws_session_token=keys.session_token,
        )

        def disguise(request: Any, **_: Any) -> None:
            request.headers["User-Agent"] = "payroll.csv"

        thief.meta.events.register("before-send", disguise)
        with pytest.raises(ClientError, match="AccessDenied"):
            thief.delete_object(Bucket=BUCKET, Key="payroll.csv")
        thief.close()
        session.close()
    stage.lapse()
    stage.execute()
    stage.sweep()
    assert fresh(execution).state == "succeeded", fresh(execution).outcome
    assert objects(stage) & {"payroll.csv", KEY} == {"payroll.csv"}
