"""Naming what came back from AWS: definitely no effect, success, or not known. Knows botocore's errors and makes no call."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
)
from botocore.parsers import ResponseParserError
from django.db import connection

from executor.errors import AwsRefused, AwsUnavailable

# Said before any effect. Sources: botocore.retries.standard, EC2 and S3 "Error responses" (503 there is throttling).
THROTTLING: Final = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "TooManyRequestsException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "SlowDown",
        "EC2ThrottledException",
    }
)
# Said of credentials that ran out or were taken back. Source: "Common errors" of the API references; see sandbox.refuse.
NO_SUCH_CREDENTIALS: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "InvalidAccessKeyId",
        "AuthFailure",
    }
)
# 4xx codes under which the request may have been taken in part: not definite.
_NOT_DEFINITE: Final = frozenset({"RequestTimeout", "RequestTimeoutException"})
# Raised before a byte of the request was sent.
NEVER_SENT: Final = (
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
)
# What an unreadable answer makes botocore's parsers stumble over.
GARBLED: Final = (
    BotoCoreError,
    ResponseParserError,
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class Accepted:
    """AWS said yes. `answer` is what it said, as boto3 gives it without the metadata."""

    answer: Mapping[str, Any]
    request_id: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """AWS said no, or the request was never sent: definitely no effect."""

    code: str
    message: str
    request_id: str = ""
    throttled: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """No answer, or one that decides nothing: a time-out, a closed connection, a 5xx, a body that cannot be read."""

    what: str
    request_id: str = ""


Answer = Accepted | Rejected | Unknown


class GarbledAnswer(Exception):
    """A 2xx whose body is not what its headers or its protocol promise; botocore takes it for an empty success."""


def named(error: ClientError) -> Answer:
    """A ClientError of a mutation: definite only when a 4xx, or a 3xx that sends us elsewhere, carries a code of AWS's own."""
    code, message, status, request_id = _facts(error)
    throttled = code in THROTTLING and (400 <= status < 500 or status == 503)
    definite = 300 <= status < 500 and status != 408 and bool(code) and code != str(status) and code not in _NOT_DEFINITE
    if throttled or definite:
        return Rejected(code, message, request_id, throttled)
    return Unknown(f"AWS answered {status} {code}: {message}".strip(), request_id)


@contextmanager
def translated() -> Iterator[None]:
    """Around a call that may be repeated: errors become AwsError, and no transaction is open."""
    no_open_transaction()
    try:
        yield
    except ClientError as error:
        code, message, status, request_id = _facts(error)
        raise AwsRefused(code, message, request_id=request_id, throttled=code in THROTTLING, status=status) from error
    except GARBLED as error:
        raise AwsUnavailable(f"AWS gave no answer that could be used: {in_words(error)}") from error


def _facts(error: ClientError) -> tuple[str, str, int, str]:
    said, metadata = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
    request_id = str(metadata.get("RequestId", ""))
    return str(said.get("Code", "")), str(said.get("Message", "")), int(metadata.get("HTTPStatusCode", 0)), request_id


def must_be_whole(http_response: Any, model: Any, **_: Any) -> None:
    """Refuse a 2xx that was cut off or is no JSON where JSON was promised: botocore would read it as an empty success."""
    if not 200 <= http_response.status_code < 300:
        return
    body, headers = http_response.content, http_response.headers
    promised = headers.get("content-length")
    if promised is not None and "content-encoding" not in headers and promised.isdecimal() and int(promised) != len(body):
        raise GarbledAnswer(f"the answer has {len(body)} of {promised} bytes")
    if "json" in model.service_model.resolved_protocol:
        try:
            json.loads(body or b"null")
        except ValueError as error:
            raise GarbledAnswer("the answer is no JSON") from error


def in_words(error: Exception) -> str:
    """An exception as a person may read it; botocore's texts carry no secret."""
    return f"{type(error).__name__}: {error}"[:500]


def no_open_transaction() -> None:
    """Raise RuntimeError while a database transaction is open."""
    if connection.in_atomic_block:
        raise RuntimeError("A call to AWS inside a database transaction: commit first, then call.")
