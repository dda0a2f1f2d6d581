"""AWS Signature Version 4: reads the Authorization header and verifies it with botocore's own signer.

Source: IAM User Guide, "AWS Signature Version 4 for API requests": S3 signs its paths as they are, all others normalise and
encode them once more. Presigned URLs and SigV4a are not read: such a request
counts as unsigned.
"""

import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

from executor.sandbox.wire import HttpRequest

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=(?P<key>[^/\s]+)/(?P<date>\d{8})/(?P<region>[a-z0-9-]+)/(?P<service>[a-z0-9.-]+)/aws4_request"
    r",\s*SignedHeaders=(?P<headers>[^,\s]+),\s*Signature=(?P<signature>[0-9a-f]{64})",
)
_CLOCK_SKEW = timedelta(minutes=15)
_AS_IT_IS = frozenset({"s3", "s3-outposts", "s3-object-lambda"})
_UNSIGNED_PAYLOADS = ("UNSIGNED-PAYLOAD", "STREAMING-")


@dataclass(frozen=True)
class Signature:
    """The Authorization header of a request: who signed which headers for which service and region, and how."""

    access_key_id: str
    date: str
    region: str
    service: str
    headers: tuple[str, ...]
    value: str


def read_signature(request: HttpRequest) -> Signature | None:
    """The signature of a request, or None where it has none that this module reads."""
    match = _AUTHORIZATION.match(request.headers.get("authorization", ""))
    if not match:
        return None
    names = tuple(match["headers"].split(";"))
    return Signature(match["key"], match["date"], match["region"], match["service"], names, match["signature"])


def is_genuine(request: HttpRequest, signature: Signature, secret: str, now: datetime | None = None) -> bool:
    """Whether the request was signed with `secret`, covers its body and host, and is no more than 15 minutes off."""
    timestamp = request.headers.get("x-amz-date", "")
    if not _is_current(timestamp, now or datetime.now(UTC)) or not timestamp.startswith(signature.date):
        return False
    if "host" not in signature.headers or not _covers_body(request):
        return False
    kind = _S3Signer if signature.service in _AS_IT_IS else _Signer
    signer = kind(Credentials(signature.access_key_id, secret), signature.service, signature.region)
    signer.names = signature.headers
    replica = AWSRequest(
        method=request.method,
        url=f"http://{request.headers.get('host', '')}{request.target}",
        headers=dict(request.headers),
        data=request.body,
    )
    replica.context["timestamp"] = timestamp
    expected = signer.signature(signer.string_to_sign(replica, signer.canonical_request(replica)), replica)
    return hmac.compare_digest(expected, signature.value)


class _Signer(SigV4Auth):
    """botocore's signer, told which headers the client signed instead of choosing them itself."""

    names: tuple[str, ...] = ()

    def headers_to_sign(self, request: AWSRequest) -> HTTPHeaders:
        chosen = HTTPHeaders()
        for name in self.names:
            chosen[name] = request.headers.get(name, "")
        return chosen


class _S3Signer(_Signer):
    """Two slashes or a dot in the key of an object mean themselves."""

    def _normalize_url_path(self, path: str) -> str:
        return path


def _is_current(timestamp: str, now: datetime) -> bool:
    try:
        signed = datetime.strptime(timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return False
    return abs(now - signed) <= _CLOCK_SKEW


def _covers_body(request: HttpRequest) -> bool:
    """A stated payload hash is part of what is signed, so it must be the hash of the body that came."""
    stated = request.headers.get("x-amz-content-sha256")
    return stated is None or stated.startswith(_UNSIGNED_PAYLOADS) or stated == sha256(request.body).hexdigest()
