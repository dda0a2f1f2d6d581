"""A wire between boto3 and the local AWS that counts what passes and breaks, on purpose, for chosen requests."""

from __future__ import annotations

import http.client
import json
import socket
import struct
import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any, ClassVar, Self
from urllib.parse import parse_qs, urlsplit, urlunsplit

from executor.aws import READER
from executor.sandbox.world import DEMO

# What the wire does to the chosen operation. The second word says whether AWS got the request before.
FAULTS = (
    "close before",
    "close after",
    "reset before",
    "reset after",
    "reset in the answer after",
    "hang before",
    "hang after",
    "500 before",
    "500 after",
    "503 after",
    "throttle before",
    "refuse before",
    "malformed after",
    "truncated after",
    "empty after",
    "nothing after",
    "error without code before",
    "blocked after",
)
# Faults after which it is certain that nothing happened: AWS itself says so.
REJECTED = ("throttle before", "refuse before")
# Of these the one that passes.
PASSING = ("throttle before",)
# Of what has no effect "before" and "after" say the same: one of each kind, for every step that only reads or asks.
WITHOUT_EFFECT = (
    "close before",
    "reset in the answer after",
    "hang before",
    "500 before",
    "throttle before",
    "refuse before",
    "malformed after",
    "truncated after",
    "empty after",
    "error without code before",
)
# Seconds after which a hanging wire is let go of by itself; it hangs until its client gives up.
HANGS = 60
Answered = tuple[int, dict[str, str], bytes]


class Wire:
    """`received` counts the requests of the chosen operation that came over the wire, `bodies` are theirs, `seen` counts all.

    The first `times` of them are broken, all where it is 0, but for the first `spared`; where `after` names an operation, only
    those that come after one of it. An operation is chosen by its name; `DryRun` beside it
    ("TerminateInstances/DryRun") chooses EC2's rehearsals, and the bare name then means the calls that are none. So does
    `AssumeRole/Read` for the sessions that only read, and the bare name then means those that act. A star at the end stands for
    any rest. Once a request came whose name begins with `until`, nobody listens there any more.
    """

    until: str = ""
    # The port of the last one in this process, which the next one takes again where it is free.
    last: ClassVar[int] = 0

    def __init__(self, behind: str, operation: str, fault: str, *, times: int = 0, spared: int = 0, after: str = "") -> None:
        self.received = 0
        self._spared = spared
        self._connections: set[socket.socket] = set()
        self.seen: Counter[str] = Counter()
        self.bodies: list[bytes] = []
        self._behind, self._operation, self._fault, self._times = urlsplit(behind), operation, fault, times
        self._after = after
        wire, counting = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle(self) -> None:
                with counting:
                    wire._connections.add(self.connection)
                try:
                    super().handle()
                finally:
                    with counting:
                        wire._connections.discard(self.connection)

            def do_POST(self) -> None:
                wire._answer(self)

            do_DELETE = do_PUT = do_GET = do_HEAD = do_POST  # noqa: N815 - the names that http.server calls

            def log_message(self, *args: Any) -> None:
                return

        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", Wire.last), Handler)
        except OSError:  # another one is in use
            self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        else:
            Wire.last = self._server.server_port
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        # Who keeps a connection would speak to this wire on, although another one is there.
        for one in tuple(self._connections):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._connections)

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("content-length", 0)))
        # Whoever takes it for an HTTP proxy writes the whole address.
        handler.path = urlunsplit(("", "", *urlsplit(handler.path)[2:4], ""))
        name = operation_of(handler.command, handler.path, dict(handler.headers.items()), body)
        begun = not self._after or bool(self.seen[self._after])
        self.seen[name] += 1
        if self.until and name.startswith(self.until):
            self._server.socket.shutdown(socket.SHUT_RDWR)
        named = name.startswith(self._operation[:-1]) if self._operation.endswith("*") else name == self._operation
        chosen = begun and named
        self.bodies += [body] if chosen else []
        past = self._times and self.received >= self._spared + self._times
        if not chosen or self.received < self._spared or past:
            self.received += chosen
            self._send(handler, *self._forward(handler, body))
            return
        self.received += 1
        kind, _, when = self._fault.rpartition(" ")
        answer = self._forward(handler, body) if when == "after" else (200, {}, b"")
        self._break(handler, kind, answer)

    def _forward(self, handler: BaseHTTPRequestHandler, body: bytes) -> Answered:
        connection = http.client.HTTPConnection(self._behind.hostname or "", self._behind.port, timeout=30)
        connection.request(handler.command, handler.path, body, dict(handler.headers.items()))
        response = connection.getresponse()
        found = response.status, dict(response.getheaders()), response.read()
        connection.close()
        return found

    def _send(
        self,
        handler: BaseHTTPRequestHandler,
        status: int,
        headers: dict[str, str],
        body: bytes,
        *,
        cut: int = 0,
        last: bool = False,
    ) -> None:
        handler.send_response_only(status)
        kept = {name.lower(): value for name, value in headers.items()}
        for name, value in (kept | {"content-length": str(len(body))}).items():
            if name not in {"connection", "transfer-encoding", "x-amz-crc32"}:
                handler.send_header(name, value)
        if last:
            handler.send_header("connection", "close")
        handler.end_headers()
        handler.wfile.write(body[: len(body) - cut])

    def _cut(self, handler: BaseHTTPRequestHandler, answer: Answered) -> None:
        body = answer[2]
        # An empty body is whole: that the client might send more before it sees that the wire has ended is no part of the fault.
        self._send(handler, *answer, cut=min(20, len(body)), last=not body)

    def _break(self, handler: BaseHTTPRequestHandler, kind: str, answer: Answered) -> None:
        form = _Form(dict(handler.headers.items()), self._operation.partition("/")[0])
        handler.close_connection = True
        match kind:
            case "close":
                return
            case "hang":
                handler.connection.settimeout(HANGS)
                with suppress(OSError):
                    handler.connection.recv(1)
            case "reset":
                _reset(handler)
            case "reset in the answer":
                self._cut(handler, answer)
                handler.wfile.flush()
                _reset(handler)
            case "truncated":
                self._cut(handler, answer)
            case "empty":
                self._send(handler, 200, form.headers, b"{}     ", cut=7)
            case _:
                self._send(handler, *form.said(kind))


# AWS gives no two answers the same id.
_ANSWERS = count(1)
_WHO = "GetCallerIdentity"
_NAMESAKE = f"<Arn>arn:aws:sts::{DEMO.account}:assumed-role/Other/x</Arn><UserId>A:x</UserId><Account>{DEMO.account}</Account>"
_ELSEWHERE = "<Arn>arn:aws:sts::999988887777:assumed-role/Other/x</Arn><UserId>A:x</UserId><Account>999988887777</Account>"


class _Form:
    """How the protocol of a request writes errors."""

    def __init__(self, headers: Mapping[str, str], operation: str) -> None:
        self._operation = operation
        headers = {name.lower(): value for name, value in headers.items()}
        json_spoken = bool(headers.get("x-amz-target")) or "json" in (headers.get("content-type") or "")
        self._json = json_spoken
        self.throttling = "ThrottlingException" if json_spoken else "Throttling"
        kind = "application/x-amz-json-1.0" if json_spoken else "text/xml"
        self.headers = {"content-type": kind, "x-amzn-requestid": f"WIRE-{next(_ANSWERS)}"}

    def said(self, kind: str) -> Answered:
        """The answer that AWS never gave."""
        if kind == "error without code":
            return 400, {"content-type": "text/html"}, b"<html>a proxy's own page</html>"
        if kind == "blocked":
            # A gateway that says no in AWS's own words once AWS has said yes; it has no request id of AWS's.
            return 429, {"content-type": self.headers["content-type"]}, self.error(self.throttling, "egress: answer dropped")
        if kind == "replay":
            # A cache that tells an old answer again.
            return 400, self.headers | {"x-amzn-requestid": "OLD"}, self.error(self.throttling, "Rate exceeded")
        status, body = {
            "500": (500, self.error("InternalServerError", "try again")),
            "503": (503, self.error("InternalServerError", "try again")),
            "throttle": (400, self.error(self.throttling, "Rate exceeded")),
            "refuse": (400, self.error("ValidationException", "no such thing")),
            "malformed": (200, b'{"TableDescription": {"Table' if self._json else b"<Answer><Result><Tab"),
            "nothing": (200, b""),
            "yes": (200, b"{}" if self._json else f"<{self._operation}Response/>".encode()),
            "namesake": (200, f"<{_WHO}Response><{_WHO}Result>{_NAMESAKE}</{_WHO}Result></{_WHO}Response>".encode()),
            "stranger": (200, f"<{_WHO}Response><{_WHO}Result>{_ELSEWHERE}</{_WHO}Result></{_WHO}Response>".encode()),
        }[kind]
        return status, self.headers, body

    def error(self, code: str, message: str) -> bytes:
        if self._json:
            return json.dumps({"__type": f"com.amazon#{code}", "message": message}).encode()
        # EC2's form and the query protocol's in one: each parser finds its own.
        inner = f"<Code>{code}</Code><Message>{message}</Message>"
        one = f"<Error><Type>Sender</Type>{inner}</Error>"
        return f"<ErrorResponse>{one}<Errors>{one}</Errors></ErrorResponse>".encode()


def operation_of(method: str, path: str, headers: Mapping[str, str], body: bytes) -> str:
    """The operation's name where the protocol writes it down, `METHOD /first/of/path` for REST."""
    target = next((value for name, value in headers.items() if name.lower() == "x-amz-target"), "")
    if target:
        return target.rpartition(".")[2]
    form = parse_qs(body.decode("latin-1"))
    if "Action" in form:
        reads = form.get("RoleSessionName") == [READER]
        return form["Action"][0] + ("/DryRun" if form.get("DryRun") == ["true"] else "/Read" if reads else "")
    return f"{method} {urlsplit(path).path}"


def _reset(handler: BaseHTTPRequestHandler) -> None:
    # No lingering: the kernel answers with RST instead of FIN.
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
