from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from executor.sandbox.signing import Signature, is_genuine, read_signature
from executor.sandbox.wire import HttpRequest

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


def signed_request(secret: str = SECRET, body: bytes = b"Action=GetCallerIdentity", target: str = "/?b=2&a=1%2F3") -> HttpRequest:
    original = AWSRequest("POST", f"http://localhost:4566{target}", {"X-Amz-Meta": " two  words "}, body)
    SigV4Auth(Credentials("AKIAIOSFODNN7EXAMPLE", secret), "sts", "eu-west-1").add_auth(original)
    headers = {name.lower(): value for name, value in original.headers.items()} | {"host": "localhost:4566", "user-agent": "x"}
    return HttpRequest("POST", target, headers, body, "127.0.0.1")


def changed(request: HttpRequest, **changes: object) -> HttpRequest:
    return HttpRequest(**{**request.__dict__, **changes})


def genuine(request: HttpRequest, secret: str = SECRET) -> bool:
    signature = read_signature(request)
    assert signature is not None
    return is_genuine(request, signature, secret)


def test_what_botocore_signs_is_genuine() -> None:
    """A request signed with the caller's secret is accepted, and its scope is read."""
    request = signed_request()
    signature = read_signature(request)
    assert isinstance(signature, Signature)
    assert (signature.access_key_id, signature.region, signature.service) == ("AKIAIOSFODNN7EXAMPLE", "eu-west-1", "sts")
    assert genuine(request)


def test_another_secret_is_not() -> None:
    """Whoever knows only the access key id cannot sign."""
    assert not genuine(signed_request("another secret"))


@pytest.mark.parametrize(
    "changes",
    [
        {"body": b"Action=AssumeRole"},
        {"method": "GET"},
        {"target": "/?b=2&a=1%2F4"},
        {"target": "/other?b=2&a=1%2F3"},
    ],
)
def test_a_changed_request_is_not(changes: dict[str, object]) -> None:
    """Method, path, query and body are signed."""
    assert not genuine(changed(signed_request(), **changes))


@pytest.mark.parametrize("header", ["host", "x-amz-date", "x-amz-meta"])
def test_a_changed_header_is_not(header: str) -> None:
    """Every header that the client signed must be the one that came; others may change on the way."""
    request = signed_request()
    later = (datetime.now(UTC) + timedelta(seconds=2)).strftime("%Y%m%dT%H%M%SZ")
    assert not genuine(changed(request, headers={**request.headers, header: later}))
    assert genuine(changed(request, headers={**request.headers, "user-agent": "proxy"}))


@pytest.mark.parametrize(("minutes", "accepted"), [(0, True), (14, True), (16, False), (-16, False)])
def test_a_signature_is_good_for_a_quarter_of_an_hour(minutes: int, accepted: bool) -> None:
    """AWS takes 15 minutes between the two clocks."""
    request = signed_request()
    signature = read_signature(request)
    assert signature is not None
    assert is_genuine(request, signature, SECRET, datetime.now(UTC) + timedelta(minutes=minutes)) is accepted


def test_a_stated_hash_must_be_the_hash_of_the_body() -> None:
    """A client that signs the hash of one body cannot send another."""
    body = b"Action=GetCallerIdentity"
    original = AWSRequest("POST", "http://localhost/", {"X-Amz-Content-SHA256": sha256(body).hexdigest()}, body)
    SigV4Auth(Credentials("AKIAIOSFODNN7EXAMPLE", SECRET), "sts", "eu-west-1").add_auth(original)
    headers = {name.lower(): value for name, value in original.headers.items()} | {"host": "localhost"}
    request = HttpRequest("POST", "/", headers, body, "127.0.0.1")
    assert genuine(request)
    assert not genuine(changed(request, body=b"Action=AssumeRole"))


@pytest.mark.parametrize("value", ["", "Bearer x", "AWS4-HMAC-SHA256 Credential=only", "AWS AKIA:old"])
def test_what_is_no_signature(value: str) -> None:
    """Other kinds of authorization count as none."""
    assert read_signature(HttpRequest("POST", "/", {"authorization": value}, b"", "")) is None
