"""HTTP requests and responses as plain values, between the WSGI server and the rest of the sandbox."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from moto.core.request import PRESERVED_HEADER_NAMES_ENVIRON_KEY

# Real AWS takes at most a few MiB outside S3; the limit keeps a mistake from filling the memory.
LARGEST_BODY = 64 * 1024 * 1024


class BodyTooLargeError(ValueError):
    """The request's body is longer than the sandbox reads."""


@dataclass(frozen=True)
class HttpRequest:
    """One request. Header names are in lower case; `target` is the path and query as they came, percent-encoded."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    peer: str

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]


@dataclass(frozen=True)
class HttpResponse:
    status: int
    headers: Mapping[str, str]
    body: bytes


def read_request(environ: Mapping[str, Any]) -> HttpRequest:
    """The request of a WSGI environment; its body is read once, here. Raises BodyTooLargeError."""
    # WSGI writes `-` as `_`; moto's server keeps the spelling of names that have `_` themselves, as S3's metadata may.
    spelled: Mapping[str, str] = environ.get(PRESERVED_HEADER_NAMES_ENVIRON_KEY) or {}
    headers = {
        spelled.get(name, name[5:].replace("_", "-")).lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.replace("_", "-").lower()] = environ[name]
    return HttpRequest(
        method=environ["REQUEST_METHOD"],
        target=environ.get("RAW_URI") or environ.get("REQUEST_URI") or environ.get("PATH_INFO") or "/",
        headers=headers,
        body=_body(environ),
        peer=environ.get("REMOTE_ADDR", ""),
    )


def _body(environ: Mapping[str, Any]) -> bytes:
    """The body, whose length is stated or which comes in the chunks of HTTP, as streams of unknown length do."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if length > LARGEST_BODY:
        raise BodyTooLargeError(length)
    if length:
        return bytes(environ["wsgi.input"].read(length))
    if "chunked" not in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
        return b""
    body = bytes(environ["wsgi.input"].read(LARGEST_BODY + 1))
    if len(body) > LARGEST_BODY:
        raise BodyTooLargeError(len(body))
    return body


def call_app(app: Any, environ: dict[str, Any]) -> HttpResponse:
    """Runs a WSGI application to its end and returns its whole response, header names in lower case."""
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        started.append((status, headers))
        return lambda data: None

    chunks: Iterable[bytes] = app(environ, start_response)
    try:
        body = b"".join(chunks)
    finally:
        if hasattr(chunks, "close"):
            chunks.close()
    status, headers = started[-1]
    return HttpResponse(int(status.split(" ", 1)[0]), {name.lower(): value for name, value in headers}, body)
