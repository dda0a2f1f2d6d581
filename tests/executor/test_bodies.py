"""What an answer must be to count as one: final, as long as it says, of its protocol's form. Else nothing follows from it."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse

from approvals.operations import catalog
from approvals.operations.resources import Where
from approvals.plan import Step
from executor import bodies, rights
from executor.answers import Accepted, Rejected, Unknown
from executor.aws import Keys, Session
from executor.bodies import GarbledAnswer, must_be_whole
from executor.errors import AwsRefused
from executor.sandbox.world import DEMO
from tests.executor.own_guardrails import cast, client, facts  # noqa: F401 - fixtures
from tests.executor.proxy import Wire
from tests.executor.stage import Stage, attempts, fresh
from tests.executor.test_steps import approved

OPERATIONS = ("s3:PutBucketVersioning", "s3:DeleteObject")


def answered(status: int, headers: dict[str, str], body: bytes, name: str = "dynamodb:DeleteTable") -> None:
    must_be_whole(SimpleNamespace(status_code=status, headers=headers, content=body), catalog.get(name).model)


def whole(name: str, body: bytes, status: int = 200) -> None:
    answered(status, {"content-length": str(len(body)), "x-amzn-requestid": "R"}, body, name)


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("appconfig:CreateHostedConfigurationVersion", b"a: 1\n", 201),
        ("lambda:Invoke", b"done\n", 200),
        ("lambda:Invoke", b"", 202),
        ("sagemaker-runtime:InvokeEndpoint", b"0.5,0.7\n", 200),
        ("s3:GetBucketPolicy", b"{", 200),
        ("s3:PutBucketVersioning", b"", 200),
        ("s3:PutObject", b"", 200),
        ("s3:RestoreObject", b"", 202),
        ("cloudfront:DeleteDistribution", b"", 204),
        ("events:DisableRule", b"", 200),
        ("logs:DeleteLogGroup", b"", 200),
        ("lambda:DeleteFunction", b"", 204),
        ("iam:DeleteUser", b'<DeleteUserResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"/>', 200),
        ("s3:DeleteObjects", b"<?xml version='1.0'?><DeleteResult/>", 200),
        ("cloudfront:GetDistribution", b"<Distribution/>", 200),
        ("s3:CopyObject", b" \n \n<?xml version='1.0'?><CopyObjectResult/>", 200),
        ("eventbridgev2:ListEventBuses", b"\xa0", 200),
        ("eventbridgev2:ListEventBuses", b"\xbf\xff", 200),
    ],
)
def test_what_a_service_may_answer_is_whole(name: str, body: bytes, status: int) -> None:
    """What somebody stored or a function returned has any form, and many a call answers with nothing."""
    whole(name, body, status)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("dynamodb:DeleteTable", b""),
        ("dynamodb:DeleteTable", b"{"),
        ("dynamodb:DescribeTable", b""),
        ("lambda:GetFunctionConfiguration", b""),
        ("lambda:UpdateFunctionConfiguration", b'{"FunctionName'),
        ("rds:DescribeDBInstances", b""),
        ("ec2:TerminateInstances", b""),
        ("s3:GetPublicAccessBlock", b""),
        ("route53:ChangeResourceRecordSets", b""),
        # Another service's page where AWS's answer should be, and forms that the protocol does not have.
        ("iam:DeleteUser", b"<html><body>Sign in</body></html>"),
        ("s3:DeleteBucketPolicy", b"<!DOCTYPE html><html><body>Sign in</body></html>"),
        ("s3:PutBucketPolicy", b"<Error><Code>SlowDown</Code></Error>"),
        ("s3:DeleteObject", b"Sign in"),
        ("ec2:DeleteVpc", b"<Anything/>"),
        ("route53:DeleteHostedZone", b'<ErrorResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"/>'),
        ("dynamodb:DeleteTable", b"[]"),
        ("cloudwatch:DeleteAlarms", b'"done"'),
        ("eventbridgev2:ListEventBuses", b"<html/>"),
    ],
)
def test_what_says_less_than_it_must_is_garbled(name: str, body: bytes) -> None:
    """An answer that is to say something and says nothing, or ends in the middle, is none."""
    with pytest.raises(GarbledAnswer):
        whole(name, body)


def test_the_form_of_every_protocol_is_known() -> None:
    """Of each service that botocore knows: a new protocol fails here, and not in the answer to a call."""
    session = botocore.session.get_session()
    spoken = {session.get_service_model(name).resolved_protocol for name in session.get_available_services()}
    assert spoken <= bodies._FORMS.keys()


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (103, {}, b""),
        (199, {"content-length": "0"}, b""),
        (200, {"content-length": "3", "x-amzn-requestid": "R"}, b"{}"),
        # Of somebody who stands between: AWS's answers have a request id.
        (200, {"content-length": "26"}, b'{"error":"login required"}'),
        (400, {"content-length": "500"}, b'{"__type":"ValidationException"'),
        (400, {"x-amzn-errortype": "ValidationExcep"}, b""),
    ],
)
def test_what_is_not_final_or_was_cut_is_garbled(status: int, headers: dict[str, str], body: bytes) -> None:
    """An informational status, a no that did not come whole: none of them says what became of the call."""
    with pytest.raises(GarbledAnswer):
        answered(status, headers, body)


@pytest.mark.parametrize(
    ("status", "headers"),
    [(400, {"content-length": "2"}), (400, {"transfer-encoding": "chunked"}), (503, {"content-length": "2"}), (301, {})],
)
def test_a_no_that_came_whole_is_heard(status: int, headers: dict[str, str]) -> None:
    """Of the length that it said, or in chunks to the last; where another place is named, whatever its length."""
    answered(status, headers, b"{}")


class _InFront(Wire):
    """What answers instead of AWS: a page with 200, or an early hint before AWS's no."""

    hint = False

    def _break(self, handler: Any, kind: str, answer: Any) -> None:
        handler.close_connection = True
        if self.hint:
            handler.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
            refusal = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
            self._send(handler, 403, {"content-type": "application/xml"}, refusal)
        else:
            self._send(handler, 200, {"content-type": "text/html"}, b"<html><head><title>Sign in</title></head></html>")


@pytest.mark.parametrize("hint", [False, True], ids=["a page", "an early hint"])
def test_no_step_follows_one_that_was_never_made(stage: Stage, *, hint: bool) -> None:
    """What stands between us and AWS answers in its place: the call's outcome is unknown, and what was to come after it stays."""
    bucket = DEMO.buckets[0]
    with client(stage, "s3") as s3:
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", ChecksumAlgorithm="SHA256")
    execution = approved(
        stage,
        Step("s3", "PutBucketVersioning", {"Bucket": bucket, "VersioningConfiguration": {"Status": "Suspended"}}),
        Step("s3", "DeleteObject", {"Bucket": bucket, "Key": "k"}),
    )
    wire = _InFront(stage.aws.endpoint_url, f"PUT /{bucket}", "yes before")
    wire.hint = hint
    with wire:
        stage.endpoint = wire.url
        stage.execute()
        stage.sweep()
        stage.endpoint = ""
    assert (fresh(execution).state, attempts(execution), wire.received) == ("unknown", ["unknown"], 1)
    with client(stage, "s3") as s3:
        assert s3.head_object(Bucket=bucket, Key="k")


# --- where a call's endpoint is asked for first (Timestream) ---

SPOKEN = {"content-type": "application/x-amz-json-1.0", "x-amzn-requestid": "R"}


class _Body:
    def __init__(self, text: str) -> None:
        self._text = text.encode()

    def stream(self, **_: Any) -> Any:
        yield self._text


class Cells:
    """A session's client for Timestream over a wire that answers as it is told; what was sent, by operation."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, said: dict[str, tuple[int, str]], *, once: bool = True) -> None:
        # With an endpoint given, botocore would ask for none.
        monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
        self.session = Session(Keys("AKIAX", "y", "z"), "us-east-1", "arn:aws:sts::111122223333:assumed-role/r/n")
        self.sent: list[str] = []
        self._said = said
        client: Any = self.session._client("timestream-write", once=once)
        client.meta.events.register("before-send", self._answer)

    def _answer(self, request: Any, **_: Any) -> AWSResponse:
        name = request.headers["X-Amz-Target"]
        name = (name.decode() if isinstance(name, bytes) else name).rpartition(".")[2]
        self.sent.append(name)
        status, body = self._said[name]
        headers: Any = {**SPOKEN, "content-length": str(len(body))}
        return AWSResponse(request.url, status, headers, _Body(body))

    def delete(self) -> Accepted | Rejected | Unknown:
        return self.session.mutate("timestream-write", "DeleteTable", {"DatabaseName": "d", "TableName": "t"})


QUERY = "arn:aws:timestream:us-east-1:111122223333:scheduled-query/q"
FOUND = (200, json.dumps({"Endpoints": [{"Address": "cell.example", "CachePeriodInMinutes": 5}]}))


@pytest.mark.parametrize("status", [400, 421])
def test_a_wrong_endpoint_is_no_reason_to_send_it_again(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """botocore would ask for another and send the call there, for as long as it is told so: here that is a new attempt's."""
    cells = Cells(monkeypatch, {"DescribeEndpoints": FOUND, "DeleteTable": (status, '{"__type":"InvalidEndpointException"}')})
    found = cells.delete()
    assert cells.sent == ["DescribeEndpoints", "DeleteTable"]
    assert isinstance(found, Rejected)
    assert (found.code, found.passing) == ("InvalidEndpointException", True)


@pytest.mark.parametrize(
    ("status", "code", "passing"),
    [(400, "AccessDeniedException", False), (400, "ThrottlingException", True), (500, "InternalServerException", True)],
)
def test_what_is_asked_first_and_refused_keeps_the_call_from_being_sent(
    monkeypatch: pytest.MonkeyPatch, status: int, code: str, *, passing: bool
) -> None:
    """The answer is another call's: this one was not sent, and whatever that was, it had no effect."""
    cells = Cells(monkeypatch, {"DescribeEndpoints": (status, json.dumps({"__type": code}))})
    found = cells.delete()
    assert isinstance(found, Rejected)
    assert (cells.sent, found.code, found.passing) == (["DescribeEndpoints"], "NotConnected", passing)
    assert "DescribeEndpoints" in found.message


@pytest.mark.parametrize("body", ["<html>Sign in</html>", "", "{}"])
def test_what_is_asked_first_and_not_answered_keeps_the_call_from_being_sent(monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """A page, nothing, or no endpoint at all: the call was not sent, and is tried again as any that found no connection."""
    cells = Cells(monkeypatch, {"DescribeEndpoints": (200, body)})
    found = cells.delete()
    assert isinstance(found, Rejected)
    assert (cells.sent, found.code, found.passing) == (["DescribeEndpoints"], "NotConnected", True)


def test_a_reading_is_not_sent_elsewhere_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """What reads has its own few attempts, and no more."""
    said = {"DescribeEndpoints": FOUND, "DescribeTable": (421, '{"__type":"InvalidEndpointException"}')}
    cells = Cells(monkeypatch, said, once=False)
    with pytest.raises(AwsRefused, match="InvalidEndpointException"):
        cells.session.read("timestream-write", "DescribeTable", {"DatabaseName": "d", "TableName": "t"})
    assert cells.sent == ["DescribeEndpoints", "DescribeTable"]


@pytest.mark.parametrize(
    ("step", "acting"),
    [
        (Step("timestream-write", "DeleteTable", {"DatabaseName": "d", "TableName": "t"}), True),
        (Step("timestream-write", "DeleteTable", {"DatabaseName": "d", "TableName": "t"}), False),
        # Of which no row says what it needs besides.
        (Step("timestream-query", "DeleteScheduledQuery", {"ScheduledQueryArn": QUERY}), True),
    ],
)
def test_a_session_may_ask_for_the_endpoint(step: Step, *, acting: bool) -> None:
    """Whether it changes or reads: without that no call of these services can be sent."""
    policy = json.loads(rights.policy(step, Where("111122223333", "us-east-1", "aws"), acting=acting))
    asking = [one for one in policy["Statement"] if one["Action"] == ["timestream:DescribeEndpoints"]]
    assert [one["Resource"] for one in asking] == [["*"]]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("lambda:UpdateFunctionConfiguration", b'{"status": "blocked", "requestId": "abc"}'),
        ("dynamodb:DeleteTable", b'{"RequestId": "abc"}'),
        ("lambda:Invoke", b"<html>requestId</html>"),
        ("iam:DeleteUser", b"<DeleteUserResponse>requestId</DeleteUserResponse>"),
    ],
)
def test_a_page_that_speaks_of_a_request_id_has_none(name: str, body: bytes) -> None:
    """JSON's protocols write it in a header, and XML's in an element."""
    with pytest.raises(GarbledAnswer, match="no request id"):
        answered(200, {"content-length": str(len(body))}, body, name)


class _Endless:
    """An answer whose body must not be read."""

    status_code, headers = 200, {"x-amz-request-id": "R", "content-length": "5"}

    @property
    def content(self) -> bytes:
        raise AssertionError("what somebody stored was read")


def test_what_somebody_stored_is_not_read() -> None:
    """An object of any size fills no worker's memory: AWS's yes stands in the headers."""
    must_be_whole(_Endless(), catalog.get("s3:GetObject").model)
