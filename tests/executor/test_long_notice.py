"""A notice is read by people in a hurry: no step of it hides behind another one's parameters, however long they are."""

from __future__ import annotations

from typing import Any

from approvals.plan import Plan, Step
from executor import delivery, notices
from executor.sandbox.world import DEMO

DROP = Step("dynamodb", "DeleteTable", {"TableName": "prod-orders"})


def plan(*steps: Step) -> Plan:
    parts: dict[str, Any] = {"request_id": "x", "revision": 1, "account": DEMO.account, "partition": "aws", "region": DEMO.region}
    return Plan(**parts, role="arn:aws:iam::1:role/x", steps=steps, guardrails=(), valid_for=3600)


def test_every_step_and_the_way_to_stop_it_come_before_what_is_cut() -> None:
    """A tag of a million characters, in one byte or four, stands before the step that deletes: both are told in what is sent."""
    for filler in ("x", "\U0001f600"):
        tag = {
            "ResourceArn": f"arn:aws:dynamodb:{DEMO.region}:{DEMO.account}:table/t",
            "Tags": [{"Key": "k", "Value": filler * 10**6}],
        }
        wordy = Step("dynamodb", "DeleteTable", {"TableName": "t" * 10**6})
        whole = plan(Step("dynamodb", "TagResource", tag), wordy, DROP)
        text = notices.text_of(whole, "0" * 64, 300)
        sent = delivery._fitting(text + notices.commands_of(whole))
        assert len(sent.encode()) < 256 * 1024
        for said in ("delete table prod-orders", "3. ", "the button Stop", "0" * 64, "This was cut here"):
            assert said in sent


def test_what_fits_is_sent_as_it_is() -> None:
    """Commands with every parameter included."""
    text = notices.text_of(plan(DROP), "0" * 64, 300) + notices.commands_of(plan(DROP))
    assert delivery._fitting(text) == text
    assert text.endswith(f"aws dynamodb delete-table --region {DEMO.region} --table-name prod-orders")
