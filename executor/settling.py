"""botocore's waiters, one look at a time: its own acceptors judge an answer, and the pauses between two looks are ours."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from botocore import xform_name
from botocore.waiter import SingleWaiterConfig, WaiterModel

from approvals.operations import catalog
from executor.aws import Reads
from executor.errors import AwsRefused, WillNotSettle


@cache
def waiter_of(service: str, name: str) -> SingleWaiterConfig:
    """botocore's waiter, by boto3's name of it (`db_instance_deleted`). Raises ValueError when there is none."""
    model = WaiterModel(catalog.loader().load_service_model(service, "waiters-2"))
    return model.get_waiter({xform_name(known): known for known in model.waiter_names}.get(name, name))


def has_come(session: Reads, waiter: SingleWaiterConfig, service: str, parameters: Mapping[str, Any]) -> bool:
    """One look: whether what the waiter waits for has come.

    Raises WillNotSettle in a state that the waiter calls a failure, and what `Reads.read` raises for an error that it does not
    know.
    """
    refused: AwsRefused | None = None
    answer: dict[str, Any]
    try:
        answer = {**session.read(service, waiter.operation, parameters), "ResponseMetadata": {"HTTPStatusCode": 200}}
    except AwsRefused as error:
        refused = error
        answer = {"Error": {"Code": error.code}, "ResponseMetadata": {"HTTPStatusCode": error.status}}
    for acceptor in waiter.acceptors:
        if acceptor.matcher_func(answer):
            if acceptor.state == "failure":
                raise WillNotSettle(f"AWS shows that it will not come to its end. {acceptor.explanation}")
            return bool(acceptor.state == "success")
    if refused is not None:
        raise refused
    return False
