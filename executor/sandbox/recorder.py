"""The recorder: every request is recognised, verified, judged and recorded before and after moto answers it."""

import base64
import json
import logging
import re
import secrets
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from botocore.model import ServiceModel

from approvals.operations.catalog import Operation
from executor.sandbox.addressing import is_signed_chunkwise
from executor.sandbox.answer import read_answer
from executor.sandbox.assume import fault, is_assume_role, opened_session, with_source_identity
from executor.sandbox.deliver import Delivery, Faults
from executor.sandbox.identity import Caller, Sessions, find_caller
from executor.sandbox.judge import denial
from executor.sandbox.models import services_signed_as
from executor.sandbox.naming import is_data_event
from executor.sandbox.passing import for_moto
from executor.sandbox.polling import is_receive, wait_for_message, without_waiting
from executor.sandbox.recognise import Call, recognise, spoken_protocol
from executor.sandbox.record import Record, answered_record, denied_record
from executor.sandbox.refuse import Refusal, refused
from executor.sandbox.settling import Settling
from executor.sandbox.signing import Signature, is_genuine, read_signature
from executor.sandbox.trail_bucket import TrailBucket
from executor.sandbox.wire import BodyTooLargeError, HttpRequest, HttpResponse, call_app, read_request
from executor.sandbox.wording import worded
from executor.sandbox.world import DemoWorldFacts

log = logging.getLogger(__name__)

_KEPT_ARRIVALS = 2_000
_KEPT_RECORDS = 10_000
_REQUEST_ID = re.compile(rb"(<(?P<tag>RequestI[dD]|requestId)>)[^<]*(?=</(?P=tag)>)")
# An operation that moto does not have: Flask's page, or moto's own exception.
_NO_PAGE = b"<title>404 Not Found</title>"
_LOOPBACK = ("127.0.0.1", "::1")
# Response headers that are about the bytes which moto wrote, or that the server writes itself.
_REWRITTEN = frozenset({"content-length", "connection", "transfer-encoding", "x-amzn-requestid", "x-amz-crc32", "date", "server"})


@dataclass(frozen=True)
class _Verified:
    """A request of which it is known what it asks for and who asks."""

    request: HttpRequest
    signature: Signature
    call: Call
    caller: Caller
    request_id: str


class Recorder:
    """A WSGI application in front of moto's.

    1. Recognise the call. 2. Verify its signature. 3. Judge it by IAM. 4. Let moto answer. 5. Record and deliver.
    What fails at one of the first three is refused in the service's own format and never reaches moto.
    """

    def __init__(
        self, moto: Callable[[str], Any], faults: Faults, settle_seconds: float, facts: DemoWorldFacts, log_every: float
    ) -> None:
        self._moto = moto  # the WSGI application of a service
        self._state = threading.RLock()
        self._sessions = Sessions()
        self.settling = Settling(settle_seconds)
        self._records: deque[Record] = deque(maxlen=_KEPT_RECORDS)
        self._arrivals: deque[tuple[float, str, str]] = deque(maxlen=_KEPT_ARRIVALS)
        self._delivery = Delivery(self._state, faults)
        self.trail = TrailBucket(self._state, facts, log_every)
        self._stopping = threading.Event()

    def start(self) -> None:
        self._delivery.start()
        self.trail.start()

    def stop(self) -> None:
        self._stopping.set()
        self._delivery.stop()
        self.trail.stop()

    def wait_until_delivered(self) -> None:
        """Returns when every record so far is where EventBridge takes it."""
        self._delivery.wait()

    def records(self) -> list[Record]:
        """The newest CloudTrail records of management events, oldest first, whether delivered or not."""
        with self._state:
            return list(self._records)

    def arrivals(self) -> list[tuple[float, str, str]]:
        """When the newest requests came in (seconds since 1970), for what and of whom, oldest first; reads and data too."""
        return list(self._arrivals)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        try:
            response = self._respond(read_request(environ), environ)
        except BodyTooLargeError:
            response = HttpResponse(413, {"connection": "close"}, b"")
        headers = [(name, value) for name, value in response.headers.items() if name not in ("content-length", "connection")]
        length = str(len(response.body))
        if environ["REQUEST_METHOD"] == "HEAD":
            # The length of what GET would answer, which moto states and does not send.
            length, response = response.headers.get("content-length", length), HttpResponse(response.status, {}, b"")
        start_response(f"{response.status} -", [*headers, ("content-length", length)])
        return [response.body]

    def _respond(self, request: HttpRequest, environ: dict[str, Any]) -> HttpResponse:
        began = time.time()
        shown = {"/_sandbox/records": self.records, "/_sandbox/arrivals": self.arrivals}.get(request.path)
        if shown and request.peer in _LOOPBACK and request.method == "GET":
            return HttpResponse(200, {"content-type": "application/json"}, json.dumps(shown()).encode())
        verified = self._verify(request)
        if isinstance(verified, _Verified):
            self._arrivals.append((began, f"{verified.call.service}:{verified.call.operation}", verified.caller.arn))
        return verified if isinstance(verified, HttpResponse) else self._carry_out(verified, environ)

    def _verify(self, request: HttpRequest) -> _Verified | HttpResponse:
        """Who asks for what, or the refusal of a request of which that cannot be told."""
        signature = read_signature(request)
        protocol = spoken_protocol(request, signature)
        if signature is None:
            return refused(Refusal("unsigned", "Request is missing Authentication Token"), protocol, None, str(uuid.uuid4()))
        call = recognise(request, signature)
        if call is None:
            message = f"The local AWS does not know this operation of {signature.service}; nothing was done."
            if is_signed_chunkwise(request.headers):
                message = "The local AWS does not verify bodies that are signed chunk by chunk; nothing was done."
            log.warning("refused an unknown request for %s: %s", signature.service, request.headers.get("x-amz-target", ""))
            return refused(Refusal("unknown operation", message), protocol, _likely(signature), str(uuid.uuid4()))
        request_id = _new_request_id(call)
        caller = find_caller(signature.access_key_id, self._sessions)
        refusal = _untrusted(request, caller)
        if caller and not refusal and not is_genuine(request, signature, caller.secret):
            refusal = Refusal(
                "wrong signature",
                "The request signature we calculated does not match the signature you provided. "
                "Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
            )
        if refusal or caller is None:
            return refused(refusal or _UNKNOWN_KEY, call.protocol, call.model.service_model, request_id)
        return _Verified(request, signature, call, caller, request_id)

    def _carry_out(self, asked: _Verified, environ: dict[str, Any]) -> HttpResponse:
        """Judges a call and, when it is allowed, lets moto answer; either way it is recorded in the same breath."""
        service = asked.call.model.service_model
        if is_receive(asked.call):
            # Judged before the wait, since a refusal is not worth waiting for, and after it, since rights may have gone.
            with self._state:
                message = self._denial(asked, environ)
            if message is None:
                wait_for_message(asked.call, asked.caller, self._state, self._stopping.is_set)
        with self._state:
            message = self._denial(asked, environ)
            if message is not None:
                message = worded(asked.call, message)
                log.info("denied: %s", message)
                self._record(asked.call, denied_record(asked.call, asked.caller, asked.request, asked.request_id, message))
                return refused(Refusal("denied", message), asked.call.protocol, service, asked.request_id)
            response = self._answer(asked, environ)
            answer = read_answer(asked.call, response)
            if is_assume_role(asked.call) and not answer.error_code:
                self._sessions.remember(opened_session(asked.call, asked.caller, answer))
            record = answered_record(asked.call, asked.caller, asked.request, asked.request_id, answer)
            self._record(asked.call, record)
            return response

    def _denial(self, asked: _Verified, environ: dict[str, Any]) -> str | None:
        return denial(asked.call, asked.caller, asked.request, datetime.now(UTC), partial(self._told, asked, environ))

    def _told(
        self, asked: _Verified, environ: dict[str, Any], reading: Operation, parameters: dict[str, Any]
    ) -> Mapping[str, Any] | None:
        """What moto says to a reading call in the caller's account, which nobody judges and nothing records."""
        service = reading.model.service_model
        call = Call(reading.service, reading.name, str(service.resolved_protocol), parameters, asked.call.region, reading.model)
        signature = replace(asked.signature, service=str(service.signing_name))
        answer = read_answer(call, self._ask_moto(replace(asked, call=call, signature=signature), call, environ, b""))
        return None if answer.error_code else answer.output

    def _answer(self, asked: _Verified, environ: dict[str, Any]) -> HttpResponse:
        call, caller = asked.call, asked.caller
        wrong = fault(call, caller) or _only_rehearsed(call)
        if wrong:
            return refused(wrong, call.protocol, call.model.service_model, asked.request_id)
        passed, body = without_waiting(call, asked.request.body) if is_receive(call) else (call, asked.request.body)
        response = self.settling.answer(call, caller)
        if response is None:
            response = self.settling.begun(call, caller, self._ask_moto(asked, passed, environ, body))
        if is_assume_role(call) and response.status == 200:
            inherited = caller.session.source_identity if caller.session else None
            response = with_source_identity(response, call.parameters.get("SourceIdentity") or inherited)
        length = {"content-length"} if asked.request.method == "HEAD" else set()
        headers = {name: value for name, value in response.headers.items() if name not in _REWRITTEN - length}
        body = response.body
        if call.protocol in ("query", "ec2", "rest-xml") and not call.model.has_streaming_output:
            body = _REQUEST_ID.sub(rb"\g<1>" + asked.request_id.encode(), body)
            if call.protocol == "rest-xml" and response.status < 300 and call.model.output_shape is None:
                body = b""  # where AWS has nothing to say, moto repeats a bucket's policy
        name = "x-amz-request-id" if call.service == "s3" else "x-amzn-requestid"
        return HttpResponse(response.status, headers | {name: asked.request_id}, body)

    def _ask_moto(self, asked: _Verified, passed: Call, environ: dict[str, Any], body: bytes) -> HttpResponse:
        """moto's answer; what moto cannot do is an error of the service, as a client understands it."""
        service = asked.call.model.service_model
        missing = Refusal("unknown operation", f"The local AWS has no {asked.call.service}:{asked.call.operation}.")
        try:
            response = call_app(self._moto(asked.call.service), for_moto(environ, passed, asked.signature, body))
            without = response.status == 404 and _NO_PAGE in response.body
            return refused(missing, asked.call.protocol, service, asked.request_id) if without else response
        except (NotImplementedError, ImportError):  # without the packages that moto wants for some services
            return refused(missing, asked.call.protocol, service, asked.request_id)
        except Exception as error:  # moto raises whatever its code stumbles over; the client must get an answer
            log.exception("moto failed at %s:%s", asked.call.service, asked.call.operation)
            refusal = Refusal("broken", f"The local AWS failed at {asked.call.operation}: {type(error).__name__}")
            return refused(refusal, asked.call.protocol, service, asked.request_id)

    def _record(self, call: Call, record: Record) -> None:
        if not is_data_event(call.model):
            self._records.append(record)
            self._delivery.accept(record)
            self.trail.accept(record)


def _only_rehearsed(call: Call) -> Refusal | None:
    """EC2's answer to a permitted call with DryRun, for every operation alike; moto knows it for some."""
    if call.service == "ec2" and call.parameters.get("DryRun") is True:
        return Refusal("rehearsed", "Request would have succeeded, but DryRun flag is set.")
    return None


def _likely(signature: Signature) -> ServiceModel | None:
    """The service that a request is signed for, where there is one, for the format of an error."""
    return next(services_signed_as(signature.service), None)


_UNKNOWN_KEY = Refusal("unknown key", "The security token included in the request is invalid.")


def _untrusted(request: HttpRequest, caller: Caller | None) -> Refusal | None:
    """Why the credentials cannot be trusted, whatever the signature says."""
    if caller is None:
        return _UNKNOWN_KEY
    token = request.headers.get("x-amz-security-token")
    if token != (caller.session.token if caller.session else None):
        return _UNKNOWN_KEY
    if caller.session and caller.session.expires <= datetime.now(UTC):
        return Refusal("expired session", "The security token included in the request is expired")
    return None


def _new_request_id(call: Call) -> str:
    """DynamoDB's request ids are 52 capitals and digits, those of the other services are UUIDs."""
    if call.service in ("dynamodb", "dynamodbstreams"):
        return base64.b32encode(secrets.token_bytes(33)).decode()[:52]
    return str(uuid.uuid4())
