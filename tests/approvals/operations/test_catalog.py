"""How many of botocore's models a process keeps."""

from __future__ import annotations

import gc
import random
import weakref
from collections import OrderedDict
from typing import Any

import pytest

from approvals import explanation
from approvals.operations import catalog, facts, sensitive, services, words
from approvals.plan import Step
from portal import operation_form
from tests.approvals.operations import recorded


@pytest.fixture
def shelf(monkeypatch):
    """An empty catalog."""
    kept: OrderedDict[str, Any] = OrderedDict()
    monkeypatch.setattr(catalog, "_kept", kept)
    return kept


def test_no_more_models_are_kept_than_fit(shelf, monkeypatch):
    """What was asked for last stays, the rest goes: a process that people open every service in does not grow without end."""
    monkeypatch.setattr(catalog, "MOST_SHAPES", 600)
    for service in ("sqs", "sns", "kms", "sqs", "dynamodb"):
        catalog.service_model(service)
    assert list(shelf)[-1] == "dynamodb"
    assert sum(one.shapes for one in shelf.values()) <= 600
    assert "sns" not in shelf


def test_a_model_that_is_too_large_alone_is_still_read(shelf, monkeypatch):
    """The bound never keeps a service from being understood."""
    monkeypatch.setattr(catalog, "MOST_SHAPES", 1)
    assert catalog.get("ec2:TerminateInstances").members
    assert list(shelf) == ["ec2"]


def test_nothing_else_holds_a_model_that_went(shelf):
    """A record explained, a form shown, a list searched: none of it remembers a shape, which would hold all of its service."""
    chance = random.Random(7)  # noqa: S311 - any call will do
    operation = catalog.get("sns:CreateTopic")
    call = recorded.parameters(chance, operation)
    explanation.explain(recorded.record(operation, recorded.written(chance, operation, call)), explanation.ASSUMED).as_json()
    assert operation_form.fields_of(operation, {})
    assert services.writing("sns")
    assert words.cli(Step("sns", "CreateTopic", call), "eu-west-1")
    sensitive.has_secrets(operation)
    model, shape = weakref.ref(operation.model.service_model), weakref.ref(operation.model.input_shape)
    del operation
    shelf.clear()
    gc.collect()
    assert (model(), shape()) == (None, None)


def test_what_our_rows_describe_is_never_read_twice():
    """The services that have rows of ours fit all at once, so that the feed of a company that uses them keeps its speed."""
    described = {name.partition(":")[0] for name in facts.rows()}
    assert sum(len(catalog.service_model(service).shape_names) for service in described) < catalog.MOST_SHAPES
