"""S3's way to address a request: the bucket in the path or in the host, and bodies that are cut into signed-off chunks.

Sources: Amazon S3 User Guide, "Virtual hosting of general purpose buckets"; S3 API Reference, "Signature calculations for
the Authorization header: transferring payload in multiple chunks" and "Including trailing headers".
"""

import base64
import hashlib
import re
import zlib
from collections.abc import Callable, Mapping

from executor.sandbox.values import Unreadable

# `bucket.s3.eu-west-1.amazonaws.com`, `bucket.s3.amazonaws.com`, and `bucket.localhost` for the local AWS itself. Under any
# other name, as under an address, the bucket is the first part of the path.
_HOST = re.compile(
    r"(?P<bucket>[a-z0-9][a-z0-9.-]+)\.(?:s3(?:[.-](?:dualstack\.)?[a-z0-9-]+)?\.amazonaws\.com(?:\.cn)?|localhost)(?::\d+)?"
)
_CHUNKED = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
_STREAMING = "STREAMING-"
_TRAILER = "x-amz-trailer"
_SUMS: Mapping[str, Callable[[bytes], bytes]] = {
    "x-amz-checksum-crc32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
    "x-amz-checksum-sha1": lambda data: hashlib.sha1(data).digest(),  # noqa: S324  # a checksum that S3 offers
    "x-amz-checksum-sha256": lambda data: hashlib.sha256(data).digest(),
}


def path_style(host: str, target: str) -> str:
    """The target as it would be with the bucket in the path."""
    match = _HOST.fullmatch(host.lower())
    return f"/{match['bucket']}{target if target.startswith('/') else '/' + target}" if match else target


def is_signed_chunkwise(headers: Mapping[str, str]) -> bool:
    """Whether every chunk has a signature of its own, which the local AWS does not verify and therefore does not take."""
    stated = headers.get("x-amz-content-sha256", "")
    return stated.startswith(_STREAMING) and stated != _CHUNKED


def unchunked(headers: Mapping[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
    """Headers and body as they would be without chunks: the trailer's checksum among the headers, verified where it can be.

    Raises Unreadable for a body that is cut otherwise, is longer or shorter than stated, or has another checksum.
    """
    if headers.get("x-amz-content-sha256") != _CHUNKED:
        return dict(headers), body
    whole, trailers = _joined(body)
    stated = headers.get("x-amz-decoded-content-length", str(len(whole)))
    if stated != str(len(whole)):
        raise Unreadable("the body has another length than stated")
    announced = {name.strip().lower() for name in headers.get(_TRAILER, "").split(",") if name.strip()}
    if trailers.keys() != announced:
        raise Unreadable("the trailers are not those that were announced")
    for name, value in trailers.items():
        sum_of = _SUMS.get(name)
        if sum_of and base64.b64encode(sum_of(whole)).decode() != value:
            raise Unreadable(f"{name} is not that of the body")
    left = {"x-amz-decoded-content-length", _TRAILER, "content-encoding"}
    plain = {name: value for name, value in headers.items() if name not in left}
    encodings = [one.strip() for one in headers.get("content-encoding", "").split(",")]
    if kept := ",".join(one for one in encodings if one not in ("aws-chunked", "")):
        plain["content-encoding"] = kept
    return plain | trailers, whole


def _joined(body: bytes) -> tuple[bytes, dict[str, str]]:
    """The data of all chunks, and the trailers after the last."""
    data, at = [], 0
    while True:
        end = body.find(b"\r\n", at)
        try:
            length = int(body[at:end].partition(b";")[0], 16) if end >= 0 else -1
        except ValueError:
            length = -1
        at = end + 2
        if length < 0 or at + length > len(body):
            raise Unreadable("the body is cut wrongly")
        if length == 0:
            break
        if body[at + length : at + length + 2] != b"\r\n":
            raise Unreadable("a chunk has another length than stated")
        data.append(body[at : at + length])
        at += length + 2
    trailers = {}
    for line in body[at:].decode("latin-1").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            trailers[name.strip().lower()] = value.strip()
    return b"".join(data), trailers
