"""boto3's parameters, written as CloudTrail writes them, are read back by Countersign as what they were.

The two sides are written apart from each other: the local AWS from what AWS documents and public records show, the converter
of `approvals.operations.trail` from botocore's models.
"""

from typing import Any

import pytest
from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

from approvals.operations import catalog, trail
from approvals.operations.resources import Where
from approvals.states import Completeness
from executor.sandbox.hiding import Fate, fate
from executor.sandbox.models import service_model
from executor.sandbox.naming import event_name, event_source, is_data_event, is_read_only
from executor.sandbox.spelling import spelled
from tests.executor.sandbox.shapes import example
from tests.executor.sandbox.test_recognise import SAME_ON_THE_WIRE

SERVICES = [
    *["backup", "cloudformation", "docdb", "dynamodb", "ec2", "ecs", "efs", "eks", "elasticache", "iam", "kms", "memorydb"],
    *["neptune", "opensearch", "organizations", "rds", "redshift", "redshift-serverless", "route53", "s3", "secretsmanager"],
]
WHERE = Where("111122223333", "eu-west-1")
CERTAIN = (Completeness.EXACT, Completeness.REBUILT)
ARN = "arn:aws:iam::111122223333:role/Team"


def given(model: OperationModel) -> dict[str, Any]:
    """Parameters of an operation: every member, with names in the path that EKS allows and a bucket policy that is one."""
    parameters = example(model)
    for name, member in (model.input_shape.members if model.input_shape else {}).items():
        if model.service_model.service_name == "eks" and member.serialization.get("location") == "uri":
            parameters[name] = ARN if name.lower().endswith("arn") else "prod-1"
    if model.name == "RunInstances":
        # Where CloudTrail writes the rest of a placement no public record shows.
        parameters["Placement"] = {"AvailabilityZone": "eu-west-1a", "Tenancy": "dedicated"}
    if model.name == "PutBucketPolicy":
        parameters["Policy"] = '{"Version":"2012-10-17","Statement":[]}'
    return parameters


def told(shape: Shape | None, value: Any, of: tuple[str, str]) -> Any:
    """A value without what CloudTrail hides or leaves out of it."""
    if isinstance(shape, StructureShape) and isinstance(value, dict) and not shape.is_document_type:
        shown = {name: inner for name, inner in value.items() if fate(*of, name, shape.members.get(name)) is Fate.SHOWN}
        return {name: told(shape.members.get(name), inner, of) for name, inner in shown.items()}
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [] if is_secret(shape.member) else [told(shape.member, inner, of) for inner in value]
    if isinstance(shape, MapShape) and isinstance(value, dict):
        return {} if is_secret(shape.value) else {key: told(shape.value, inner, of) for key, inner in value.items()}
    return value


def is_secret(shape: Shape) -> bool:
    return fate("", "", "", shape) is not Fate.SHOWN


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_recorded_is_read_back(service: str) -> None:
    """Every call that changes something is known by its event, and reads back as it was but for what is hidden.

    Where something is hidden, the conversion is never called certain.
    """
    model = service_model(service)
    checked = 0
    for name in model.operation_names:
        operation = model.operation_model(name)
        # Calls on items and objects are data events, which Countersign does not read.
        if is_read_only(operation) or is_data_event(operation) or (service, name) in SAME_ON_THE_WIRE:
            continue
        checked += 1
        parameters, of = given(operation), (service, name)
        found = catalog.of_event(event_source(operation), event_name(operation))
        assert found is not None, name
        assert found.name == name
        recorded = spelled(operation, parameters, "eu-west-1") or {}
        converted = trail.convert(catalog.get(f"{service}:{name}"), recorded, "", WHERE)
        shape = operation.input_shape
        assert told(shape, converted.parameters, of) == told(shape, parameters, of), name
        assert converted.parameters == parameters or converted.completeness not in CERTAIN, name
    assert checked > 10
