"""Every error that botocore and the wire can raise, and what it says of the effect: never sent, by AWS's code, or unknown."""

from __future__ import annotations

import http.client
import inspect
import socket
import ssl
from typing import Any
from unittest.mock import ANY

import botocore.exceptions
import botocore.session
import pytest
import urllib3.exceptions
from botocore.awsrequest import HeadersDict
from botocore.discovery import EndpointDiscoveryRefreshFailed
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError, ResponseParserFactory
from botocore.retries.standard import ThrottledRetryableChecker, TransientRetryableChecker
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection

from approvals.operations import catalog
from executor.answers import THROTTLING, UNDER_WAY, Rejected, Unknown, named, of_error, passes, request_id_of

PROXY = HTTPConnection("proxy")
# Raised with the request under way or answered, or by what is no single call at all: nothing follows from them.
DECIDE_NOTHING = {
    "AwsChunkedWrapperError",
    "BotoCoreError",
    "ChecksumError",
    "ConnectionClosedError",
    "ConnectionError",
    "FlexibleChecksumError",
    "HTTPClientError",
    "IncompleteReadError",
    "InvalidExpressionError",
    "MissingServiceIdError",
    "OperationNotPageableError",
    "PaginationError",
    "ProxyConnectionError",
    "ReadTimeoutError",
    "ResponseStreamingError",
    "SSLError",
    "StubAssertionError",
    "StubResponseError",
    "UnStubbedResponseError",
    "UndefinedModelAttributeError",
    "UnseekableStreamError",
    "WaiterConfigError",
    "WaiterError",
}
BY_CODE = {"ClientError", "EventStreamError"}
# Of those that never went out, the ones that may go out a little later.
NOT_CONNECTED = {"ConnectTimeoutError", "EndpointConnectionError"}
# Everything else, written out: a class that a later botocore adds belongs to no list and fails here until somebody looks at it.
NEVER_SENT = NOT_CONNECTED | {
    "AliasConflictParameterError",
    "ApiVersionNotFoundError",
    "BaseEndpointResolverError",
    "CapacityNotAvailableError",
    "ConfigNotFound",
    "ConfigParseError",
    "CredentialRetrievalError",
    "DataNotFoundError",
    "EndpointProviderError",
    "EndpointResolutionError",
    "EndpointVariantError",
    "InfiniteLoopConfigError",
    "InvalidChecksumConfigError",
    "InvalidConfigError",
    "InvalidDNSNameError",
    "InvalidDefaultsMode",
    "InvalidEndpointConfigurationError",
    "InvalidEndpointDiscoveryConfigurationError",
    "InvalidHostLabelError",
    "InvalidIMDSEndpointError",
    "InvalidIMDSEndpointModeError",
    "InvalidMaxRetryAttemptsError",
    "InvalidProxiesConfigError",
    "InvalidRegionError",
    "InvalidRetryConfigurationError",
    "InvalidRetryModeError",
    "InvalidS3AddressingStyleError",
    "InvalidS3UsEast1RegionalEndpointConfigError",
    "InvalidSTSRegionalEndpointsConfigError",
    "LoginAuthorizationCodeError",
    "LoginError",
    "LoginInsufficientPermissions",
    "LoginRefreshRequired",
    "LoginTokenLoadError",
    "MD5UnavailableError",
    "MetadataRetrievalError",
    "MissingDependencyException",
    "MissingParametersError",
    "NoAuthTokenError",
    "NoCredentialsError",
    "NoRegionError",
    "ParamValidationError",
    "PartialCredentialsError",
    "ProfileNotFound",
    "RangeError",
    "RefreshWithMFAUnsupportedError",
    "SSOError",
    "SSOTokenLoadError",
    "ServiceNotInRegionError",
    "TokenRetrievalError",
    "UnauthorizedSSOTokenError",
    "UnknownClientMethodError",
    "UnknownCredentialError",
    "UnknownEndpointError",
    "UnknownEndpointResolutionBuiltInName",
    "UnknownFIPSEndpointError",
    "UnknownKeyError",
    "UnknownParameterError",
    "UnknownRegionError",
    "UnknownServiceError",
    "UnknownServiceStyle",
    "UnknownSignatureVersionError",
    "UnknownTokenProviderError",
    "UnsupportedOutpostResourceError",
    "UnsupportedS3AccesspointConfigurationError",
    "UnsupportedS3ArnError",
    "UnsupportedS3ConfigurationError",
    "UnsupportedS3ControlArnError",
    "UnsupportedS3ControlConfigurationError",
    "UnsupportedServiceProtocolsError",
    "UnsupportedSignatureVersionError",
    "ValidationError",
}


def raised(kind: type[Exception]) -> Exception:
    """One of the class, whatever its constructor wants."""
    error = kind.__new__(kind)
    Exception.__init__(error, "as a test says")
    # What some of them want to say of themselves.
    partial = 0 if kind.__module__ == urllib3.exceptions.__name__ else b""
    vars(error).update(partial=partial, expected=5, length=b"5", response=None)
    return error


def classes() -> dict[str, type[Exception]]:
    found = inspect.getmembers(botocore.exceptions, inspect.isclass)
    return {name: one for name, one in found if issubclass(one, Exception) and one.__module__ == botocore.exceptions.__name__}


def test_every_class_of_botocore_is_named_once() -> None:
    """What this botocore can raise is in exactly one of the three lists, and the lists name nothing else."""
    known = {name for name, one in classes().items() if not issubclass(one, Warning)}
    assert known == DECIDE_NOTHING | BY_CODE | NEVER_SENT
    assert not DECIDE_NOTHING & NEVER_SENT


@pytest.mark.parametrize("name", sorted(NEVER_SENT))
def test_what_was_never_sent_has_no_effect(name: str) -> None:
    """Raised before a byte went out: definitely no effect; only a connection that could not be made may be tried again."""
    answer = of_error(raised(classes()[name]))
    assert isinstance(answer, Rejected)
    assert (answer.code, answer.passing) == (("NotConnected", True) if name in NOT_CONNECTED else ("NotSent", False))


@pytest.mark.parametrize(
    ("cause", "no_effect"),
    [
        (urllib3.exceptions.NewConnectionError(PROXY, "refused"), True),
        (urllib3.exceptions.NameResolutionError("proxy", PROXY, socket.gaierror()), True),
        (urllib3.exceptions.ConnectTimeoutError(PROXY, "no answer"), True),
        (http.client.RemoteDisconnected("closed"), False),
        (urllib3.exceptions.ReadTimeoutError(HTTPConnectionPool("proxy"), "/", "no answer"), False),
        (ConnectionResetError(), False),
        (OSError("Tunnel connection failed: 502 Bad Gateway"), False),
        (ssl.SSLError(), False),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, Exception) else "",
)
def test_only_a_proxy_that_was_not_reached_had_no_call(cause: Exception, no_effect: bool) -> None:
    """urllib3 blames the proxy for a lost connection, too: that a request never went out is certain where there was none."""
    error = botocore.exceptions.ProxyConnectionError(proxy_url="http://proxy", error=urllib3.exceptions.ProxyError("no", cause))
    assert of_error(error) == (Rejected("NotConnected", ANY, passing=True) if no_effect else Unknown(ANY))


def test_an_endpoint_that_could_not_be_asked_for_had_no_call() -> None:
    """Timestream's endpoint is asked for first; the error stands in a module of its own, and the call itself never went out."""
    answer = of_error(EndpointDiscoveryRefreshFailed())
    assert isinstance(answer, Rejected)
    assert (answer.code, answer.passing) == ("NotConnected", True)


@pytest.mark.parametrize("name", sorted(DECIDE_NOTHING))
def test_what_decides_nothing_is_unknown(name: str) -> None:
    """Raised with the request under way: nobody knows whether it took effect."""
    assert isinstance(of_error(raised(classes()[name])), Unknown)


@pytest.mark.parametrize(
    "error",
    [
        *(raised(one) for _, one in inspect.getmembers(urllib3.exceptions, inspect.isclass) if issubclass(one, Exception)),
        *(
            raised(one)
            for _, one in inspect.getmembers(http.client, inspect.isclass)
            if issubclass(one, http.client.HTTPException)
        ),
        ResponseParserError("unreadable"),
        SyntaxError("xml.etree's ParseError is one"),
        TimeoutError(),
        ConnectionResetError(),
        BrokenPipeError(),
        socket.gaierror(),
        ssl.SSLError(),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no"),
        RecursionError(),
        MemoryError(),
        ValueError(),
        KeyError("Table"),
        AssertionError(),
        Exception("of a class that nobody thought of"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_else_the_wire_raises_is_unknown(error: Exception) -> None:
    """Libraries below botocore say nothing about what AWS did, whatever they are called."""
    assert isinstance(of_error(error), Unknown)


def test_an_error_without_words_is_unknown_all_the_same() -> None:
    """Some make their words when they are asked for them, of what they were given: an answer has a name even where that fails."""
    error = urllib3.exceptions.InvalidChunkLength.__new__(urllib3.exceptions.InvalidChunkLength)
    vars(error).update(partial=b"", length=b"5")
    with pytest.raises(TypeError):
        str(error)
    assert of_error(error) == Unknown("No answer that could be used came back: InvalidChunkLength")


def test_simpledbs_refusals_are_refusals() -> None:
    """Its errors have the form of EC2's in the query protocol. Source: SimpleDB Developer Guide, "API Error Codes"."""
    error = "<Error><Code>MissingParameter</Code><Message>m</Message><BoxUsage>0.0000219907</BoxUsage></Error>"
    body = f"<?xml version='1.0'?><Response><Errors>{error}</Errors><RequestID>f1b8e0c2</RequestID></Response>"
    parsed = parsed_of("sdb", "DeleteDomain", 400, {}, body)
    assert of_error(ClientError(parsed, "DeleteDomain")) == Rejected("MissingParameter", "m", "f1b8e0c2", passing=False)


@pytest.mark.parametrize("headers", [{"x-amzn-RequestId": "R"}, {"x-amz-request-id": "R"}])
def test_the_id_of_a_yes_is_known_wherever_it_stands(headers: dict[str, str]) -> None:
    """In the body or in the headers alone: else the same answer to a later call would not be known again."""
    parsed = parsed_of(
        "rds", "StartDBInstance", 200, headers, "<StartDBInstanceResponse><StartDBInstanceResult/></StartDBInstanceResponse>"
    )
    assert request_id_of(parsed["ResponseMetadata"]) == "R"


def parsed_of(service: str, operation: str, status: int, headers: dict[str, str], body: str) -> Any:
    """What botocore makes of an answer."""
    model: Any = botocore.session.get_session().get_service_model(service)
    parser = ResponseParserFactory().create_parser(model.resolved_protocol)
    answered = {"status_code": status, "headers": HeadersDict(headers), "body": body.encode()}
    return parser.parse(answered, model.operation_model(operation).output_shape)


def answer(code: str, status: int) -> Any:
    metadata = {"HTTPStatusCode": status, "RequestId": "REQUEST"}
    response: Any = {"Error": {"Code": code, "Message": "said"}, "ResponseMetadata": metadata}
    return named(ClientError(response, "DeleteTable"))


@pytest.mark.parametrize(
    ("code", "no_effect", "later"),
    [
        ("ValidationException", "4xx", False),
        ("AccessDenied", "4xx", False),
        ("ThrottlingException", "4xx, 503, 509", True),
        ("SlowDown", "4xx, 503, 509", True),
        ("OperationAborted", "4xx", True),
        ("ConcurrentModification", "4xx", True),
        ("InternalFailure", "", False),
        ("InternalServerErrorException", "", False),
        ("KMSInternalException", "", False),
        ("RequestTimeout", "", False),
        ("RequestTimeoutException", "", False),
        ("GatewayTimedOutException", "", False),
        ("ServiceUnavailable", "", False),
        ("ServiceException", "", False),
        ("WAFInternalErrorException", "", False),
        ("ServerException", "", False),
        ("Unavailable", "", False),
        ("UnknownError", "", False),
        ("", "", False),
    ],
)
def test_a_code_counts_only_with_a_status_that_says_so(code: str, no_effect: str, later: bool) -> None:
    """Definite is what AWS says itself, with a 4xx; throttling with 503 too; a code that says that the service broke never is."""
    for status in range(400, 600):
        definite = (status < 500 and status != 408 and "4xx" in no_effect) or str(status) in no_effect
        if status == 408 and code in THROTTLING:
            definite = True
        found = answer(code, status)
        assert isinstance(found, Rejected if definite else Unknown), (status, found)
        if isinstance(found, Rejected):
            assert (found.passing, found.request_id) == (later, "REQUEST"), status


def test_a_status_alone_is_no_code() -> None:
    """botocore makes a code of the status where a body says none: a proxy's page refuses nothing in AWS's name."""
    assert isinstance(answer("403", 403), Unknown)
    assert isinstance(answer("PermanentRedirect", 301), Rejected)


def test_what_botocore_would_repeat_is_known_here() -> None:
    """Its own lists of throttling codes are all in ours; what it also repeats and calls a time-out decides nothing."""
    throttled, transient = vars(ThrottledRetryableChecker), vars(TransientRetryableChecker)
    assert set(throttled["_THROTTLED_ERROR_CODES"]) <= THROTTLING
    undecided = set(transient["_TRANSIENT_ERROR_CODES"]) - THROTTLING
    assert undecided == {"RequestTimeout", "RequestTimeoutException"}
    assert all(isinstance(answer(code, 400), Unknown) for code in undecided)


def test_what_the_models_call_throttling_is_known_here() -> None:
    """Every error that a model of botocore marks as throttling may be tried again."""
    session = botocore.session.get_session()
    marked = set()
    for service in session.get_available_services():
        model = session.get_service_model(service)
        for name in model.shape_names:
            metadata = model.shape_for(name).metadata
            if metadata.get("retryable", {}).get("throttling"):
                marked.add(metadata.get("error", {}).get("code", name))
    assert marked
    assert {code for code in marked if not passes(code)} == set()
    assert not THROTTLING & set(UNDER_WAY)


# Written with 429, or named after throttling, and no matter of a moment: a quota, a day's wait, a device that signs in.
LASTING = {
    "ConcurrentResourcesLimitExceeded": "CloudFormation: quotas of generated templates",
    "CustomMetadataLimitExceededException": "WorkDocs: a quota",
    "LambdaThrottledException": "Cognito Sync: a function of the account's own was throttled, after it was asked",
    "ResourceLimitExceededException": "a quota",
    "ResourceQuotaExceededException": "a quota",
    "ServiceQuotaExceededException": "a quota",
    "ServiceUnavailableException": "Chatbot: says nothing of what it did",
    "SlowDownException": "SSO OIDC: a device that asks too often while a person signs in",
    "TooManyLabelsException": "WorkDocs: a quota",
    "TooManyRequests": "EFS: wait a day between two changes of the throughput",
    "TooManySubscriptionsException": "WorkDocs: a quota",
    "VolumeModificationRateExceededException": "wait six hours between two changes of a volume",
}


def test_every_error_that_says_wait_is_waited_for() -> None:
    """Of all errors in botocore's models those of too many calls are tried again, or stand in a list with the reason."""
    found = set()
    for service in catalog.services():
        for shape in catalog.service_model(service).error_shapes:
            said = shape.metadata.get("error", {})
            code = said.get("code") or shape.name
            if said.get("httpStatusCode") == 429 or "hrottl" in code or "SlowDown" in code:
                found.add(code)
    assert "ThrottlingException" in found
    assert found - {code for code in found if passes(code)} == LASTING.keys()
