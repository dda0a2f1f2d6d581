"""Naming what came back from AWS: definitely no effect, success, or not known. Knows botocore's errors and makes no call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from botocore import discovery
from botocore import exceptions as said_by_botocore
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from django.db import connection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from approvals.trail_event import decides_nothing
from executor.bodies import REQUEST_ID, GarbledAnswer
from executor.errors import AwsRefused, AwsUnavailable

# Said before any effect: too many calls at this moment. Sources: botocore.retries.standard, the `retryable` trait of botocore's
# models, EC2 and S3 "Error responses" (503 there is throttling).
THROTTLING: Final = frozenset(
    {
        "BandwidthLimitExceeded",
        "CallRateLimitExceededException",
        "DependencyThrottle",
        "DependentServiceRequestThrottlingFault",
        "EC2ThrottledException",
        "EKSRequestThrottledException",
        "KMSThrottling",
        "KMSThrottlingException",
        "KMSThrottlingFault",
        "KmsThrottled",
        "KmsThrottlingException",
        "LimitExceededException",
        "ModelNotReadyException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RateLimitError",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttled",
        "ThrottledClientException",
        "ThrottledException",
        "ThrottledRequestException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestException",
        "TooManyRequestsError",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
# Said before any effect, of something that passes by itself: another change of the same thing is under way.
UNDER_WAY: Final[Mapping[str, str]] = {
    "ConcurrentModification": "IAM API Reference, errors: submit the request again",
    "InvalidEndpointException": "Timestream Developer Guide, the endpoint discovery pattern: the endpoint is asked for again",
    "ConcurrentModificationException": "SNS, Organizations, Route 53 Domains API References: try again",
    "EntityTemporarilyUnmodifiable": "IAM API Reference: wait a few minutes and submit the request again",
    "OperationAborted": "S3 API Reference, error responses: a conflicting operation is in progress, try again",
    "ReplicatedWriteConflictException": "botocore's _retry.json and model of DynamoDB",
    "RetryableConflictException": "the `retryable` trait of botocore's models",
}
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
# Raised before a byte of the request was sent: no connection, no credentials, nothing that could be made a request of.
_NOT_CONNECTED: Final = (
    # Timestream is asked for its endpoint before the call can be made a request of.
    discovery.EndpointDiscoveryRefreshFailed,
    said_by_botocore.ConnectTimeoutError,
    said_by_botocore.EndpointConnectionError,
)
NEVER_SENT: Final = (
    *_NOT_CONNECTED,
    said_by_botocore.AliasConflictParameterError,
    said_by_botocore.ApiVersionNotFoundError,
    said_by_botocore.BaseEndpointResolverError,
    said_by_botocore.CapacityNotAvailableError,
    said_by_botocore.ConfigNotFound,
    said_by_botocore.ConfigParseError,
    said_by_botocore.CredentialRetrievalError,
    said_by_botocore.DataNotFoundError,
    said_by_botocore.EndpointProviderError,
    said_by_botocore.InvalidChecksumConfigError,
    said_by_botocore.InvalidConfigError,
    said_by_botocore.InvalidDNSNameError,
    said_by_botocore.InvalidDefaultsMode,
    said_by_botocore.InvalidEndpointConfigurationError,
    said_by_botocore.InvalidEndpointDiscoveryConfigurationError,
    said_by_botocore.InvalidHostLabelError,
    said_by_botocore.InvalidIMDSEndpointError,
    said_by_botocore.InvalidIMDSEndpointModeError,
    said_by_botocore.InvalidProxiesConfigError,
    said_by_botocore.InvalidRetryConfigurationError,
    said_by_botocore.InvalidS3AddressingStyleError,
    said_by_botocore.InvalidS3UsEast1RegionalEndpointConfigError,
    said_by_botocore.InvalidSTSRegionalEndpointsConfigError,
    said_by_botocore.LoginError,
    said_by_botocore.MD5UnavailableError,
    said_by_botocore.MetadataRetrievalError,
    said_by_botocore.MissingDependencyException,
    said_by_botocore.MissingParametersError,
    said_by_botocore.NoAuthTokenError,
    said_by_botocore.NoCredentialsError,
    said_by_botocore.ParamValidationError,
    said_by_botocore.PartialCredentialsError,
    said_by_botocore.ProfileNotFound,
    said_by_botocore.RefreshWithMFAUnsupportedError,
    said_by_botocore.SSOError,
    said_by_botocore.ServiceNotInRegionError,
    said_by_botocore.TokenRetrievalError,
    said_by_botocore.UnknownClientMethodError,
    said_by_botocore.UnknownCredentialError,
    said_by_botocore.UnknownRegionError,
    said_by_botocore.UnknownServiceStyle,
    said_by_botocore.UnknownSignatureVersionError,
    said_by_botocore.UnknownTokenProviderError,
    said_by_botocore.UnsupportedOutpostResourceError,
    said_by_botocore.UnsupportedS3AccesspointConfigurationError,
    said_by_botocore.UnsupportedS3ArnError,
    said_by_botocore.UnsupportedS3ConfigurationError,
    said_by_botocore.UnsupportedS3ControlArnError,
    said_by_botocore.UnsupportedS3ControlConfigurationError,
    said_by_botocore.UnsupportedServiceProtocolsError,
    said_by_botocore.UnsupportedSignatureVersionError,
    said_by_botocore.ValidationError,
)


_BROKEN: Final = 500
# The codes of calls that never went out: for want of a connection, which takes up a try, or for any other reason.
NOT_CONNECTED: Final = "NotConnected"
NOT_SENT: Final = "NotSent"
# What an unreadable answer makes botocore's parsers stumble over.
GARBLED: Final = (
    BotoCoreError,
    ResponseParserError,
    GarbledAnswer,
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
    """AWS said no, or the request was never sent: definitely no effect. `passing`: the same call may succeed a little later."""

    code: str
    message: str
    request_id: str = ""
    passing: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """No answer, or one that decides nothing: a time-out, a closed connection, a 5xx, a body that cannot be read."""

    what: str
    request_id: str = ""


Answer = Accepted | Rejected | Unknown


def of_error(error: Exception, *, was_begun: bool = True) -> Answer:
    """What an error of one wire call says of its effect. What is not known here to have been raised before sending is Unknown.

    `was_begun`: whether the call was about to go out. Some have to ask for their endpoint first (Timestream): whatever became of
    that, the call itself was not sent.
    """
    not_connected = isinstance(error, _NOT_CONNECTED) or _reached_no_proxy(error)
    if not_connected or isinstance(error, NEVER_SENT):
        code = NOT_CONNECTED if not_connected else NOT_SENT
        return Rejected(code, f"The request was not sent: {in_words(error)}", passing=not_connected)
    if not was_begun:
        return _kept_from_being_sent(error)
    if isinstance(error, ClientError):
        return named(error)
    return Unknown(f"No answer that could be used came back: {in_words(error)}")


def _kept_from_being_sent(error: Exception) -> Rejected:
    """What came before the call was answered so that it could not be sent."""
    if not isinstance(error, ClientError):
        return Rejected(NOT_CONNECTED, f"The request was not sent: {in_words(error)}", passing=True)
    code, message, status, request_id = _facts(error)
    what = f"The request was not sent: {error.operation_name}, which goes before it, was answered {status} {code}: {message}"
    return Rejected(NOT_CONNECTED, what, request_id, passing=passes(code) or status >= _BROKEN)


def _reached_no_proxy(error: Exception) -> bool:
    """Whether there was no connection to the proxy that the request could have gone over.

    urllib3 blames the proxy for a connection that was lost under way, too: closing it, it forgets that it had been there.
    """
    if not isinstance(error, said_by_botocore.ProxyConnectionError):
        return False
    cause = getattr(getattr(error, "kwargs", {}).get("error"), "original_error", None)
    return isinstance(cause, NewConnectionError | ConnectTimeoutError)


def named(error: ClientError) -> Answer:
    """A ClientError of a mutation: definite only when a 4xx, or a 3xx that sends us elsewhere, carries a code of AWS's own.

    Whatever stands between us and AWS may say no in the same form, after the call went through: such an answer has no request id.
    """
    code, message, status, request_id = _facts(error)
    throttled = code in THROTTLING and (400 <= status < 500 or status in {503, 509})
    definite = 300 <= status < 500 and status != 408 and bool(code) and code != str(status) and not decides_nothing(code)
    if request_id and (throttled or definite):
        return Rejected(code, message, request_id, passing=throttled or passes(code))
    return Unknown(f"AWS answered {status} {code}: {message}".strip(), request_id)


def passes(code: str) -> bool:
    """Whether what AWS refused under this code may succeed a little later, with nothing changed."""
    return code in THROTTLING or code in UNDER_WAY


@contextmanager
def translated() -> Iterator[None]:
    """Around a call that may be repeated: errors become AwsError, and no transaction is open."""
    no_open_transaction()
    try:
        yield
    except ClientError as error:
        code, message, status, request_id = _facts(error)
        raise AwsRefused(code, message, request_id=request_id, throttled=passes(code), status=status) from error
    except GARBLED as error:
        raise AwsUnavailable(f"AWS gave no answer that could be used: {in_words(error)}") from error


def _facts(error: ClientError) -> tuple[str, str, int, str]:
    said, metadata = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
    # SimpleDB writes its refusals as EC2 does, in a protocol of which botocore reads them otherwise.
    request_id = request_id_of(metadata) or str(said.get("RequestId") or error.response.get("RequestID") or "")
    return str(said.get("Code", "")), str(said.get("Message", "")), int(metadata.get("HTTPStatusCode", 0)), request_id


def request_id_of(metadata: Mapping[str, Any]) -> str:
    """AWS's id of an answer, from what botocore tells of it: in its body, or else in its headers; "" where it has none."""
    headers = metadata.get("HTTPHeaders", {})
    return next((str(one) for one in (metadata.get("RequestId"), *map(headers.get, REQUEST_ID)) if one), "")


def in_words(error: Exception) -> str:
    """An exception as a person may read it; botocore's texts carry no secret."""
    name = type(error).__name__
    try:
        return f"{name}: {error}"[:500]
    except Exception:  # noqa: BLE001 - a class may stumble over its own text, and the answer has to be named all the same
        return name


def no_open_transaction() -> None:
    """Raise RuntimeError while a database transaction is open."""
    if connection.in_atomic_block:
        raise RuntimeError("A call to AWS inside a database transaction: commit first, then call.")
