"""A wire between boto3 and the local AWS that breaks S3's answers on purpose and lets every other service through."""

from __future__ import annotations

import http.client
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

Answer = tuple[int, dict[str, str], bytes]
# What happens to a request: whether S3 gets it, and what the client is told (None: what S3 said; "": the connection closes).
Fault = tuple[bool, Answer | str | None]

XML = {"content-type": "application/xml"}


def said(status: int, code: str) -> Answer:
    """An error as S3 writes it."""
    return status, XML, f"<Error><Code>{code}</Code><Message>{code}, it says</Message></Error>".encode()


GONE: Fault = (False, "")
ANSWER_LOST: Fault = (True, "")
BROKEN: Fault = (False, said(500, "InternalError"))
BROKEN_AFTER: Fault = (True, said(500, "InternalError"))
SLOW_DOWN: Fault = (False, said(503, "SlowDown"))
# Seconds after which a hanging wire is let go of by itself.
HANGS_FOR = 60
HANGS: Fault = (False, "hang")
DENIED: Fault = (False, said(403, "AccessDenied"))
LIES_THERE: Fault = (False, said(412, "PreconditionFailed"))
AT_ONCE: Fault = (False, said(409, "ConditionalRequestConflict"))
LIES_DONE: Fault = (False, (200, {"etag": '"0"', "x-amz-version-id": "v1"}, b""))
NO_VERSION: Fault = (True, (200, {"etag": '"0"'}, b""))
MALFORMED: Fault = (True, (200, XML, b"<ListVersionsResult><Vers"))
EMPTY: Fault = (True, (200, XML, b"<ListVersionsResult><IsTruncated>false</IsTruncated></ListVersionsResult>"))


class BrokenS3:
    """`faults` by method (PUT, GET an object, LIST its versions, ASK the bucket); `times` of each are broken, then none is."""

    def __init__(self, behind: str, faults: dict[str, Fault], *, times: int = 1_000) -> None:
        self.left = dict.fromkeys(faults, times)
        self._behind, self._faults = urlsplit(behind), faults
        wire = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                wire._answer(self)

            def do_GET(self) -> None:
                wire._answer(self)

            def do_PUT(self) -> None:
                wire._answer(self)

            def log_message(self, *args: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> BrokenS3:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("content-length", 0)))
        what = _what(handler)
        reaches: bool = True
        told: Answer | str | None = None
        if self.left.get(what, 0) > 0:
            self.left[what] -= 1
            reaches, told = self._faults[what]
        answer: Answer | str | None = self._forward(handler, body) if reaches else None
        if told is not None:
            answer = told
        if not isinstance(answer, tuple):
            if answer == "hang":
                # As long as the client waits, who hangs up first.
                handler.connection.settimeout(HANGS_FOR)
                with suppress(OSError):
                    handler.connection.recv(1)
            handler.close_connection = True
            return
        _send(handler, answer)

    def _forward(self, handler: BaseHTTPRequestHandler, body: bytes) -> Answer:
        connection = http.client.HTTPConnection(self._behind.hostname or "", self._behind.port, timeout=30)
        connection.request(handler.command, handler.path, body, dict(handler.headers.items()))
        response = connection.getresponse()
        found = response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        connection.close()
        return found


def _what(handler: BaseHTTPRequestHandler) -> str:
    """PUT, GET, LIST or ASK for a request to S3; "" for every other service's."""
    if "/s3/aws4_request" not in handler.headers.get("authorization", ""):
        return ""
    query = urlsplit(handler.path).query
    if handler.command == "GET" and ("versioning" in query or "object-lock" in query):
        return "ASK"
    if handler.command == "GET" and "versions" in query:
        return "LIST"
    return handler.command


def _send(handler: BaseHTTPRequestHandler, answer: Answer) -> None:
    status, headers, body = answer
    handler.send_response_only(status)
    for name, value in (headers | {"content-length": str(len(body))}).items():
        if name not in {"connection", "transfer-encoding"}:
            handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)
