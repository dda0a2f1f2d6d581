"""A wire between boto3 and the local AWS that counts what passes and breaks, on purpose, for one operation."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

# What the wire does to the chosen operation. The second word says whether AWS got the request before.
FAULTS = (
    "close before",
    "close after",
    "reset before",
    "reset after",
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
    "error without code before",
)


class Wire:
    """`received` counts the requests of the chosen operation that came over the wire, whatever became of them."""

    def __init__(self, behind: str, operation: str, fault: str) -> None:
        self.received = 0
        self._behind, self._operation, self._fault = urlsplit(behind), operation, fault
        wire = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                wire._answer(self)

            def do_GET(self) -> None:
                wire._answer(self)

            def do_PUT(self) -> None:
                wire._answer(self)

            def log_message(self, *args: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Wire:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("content-length", 0)))
        if not handler.headers.get("x-amz-target", "").endswith(f".{self._operation}"):
            self._send(handler, *self._forward(handler, body))
            return
        self.received += 1
        kind, _, when = self._fault.rpartition(" ")
        answer = self._forward(handler, body) if when == "after" else (200, {}, b"")
        self._break(handler, kind, answer)

    def _forward(self, handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self._behind.hostname or "", self._behind.port, timeout=30)
        connection.request(handler.command, handler.path, body, dict(handler.headers.items()))
        response = connection.getresponse()
        found = response.status, dict(response.getheaders()), response.read()
        connection.close()
        return found

    def _send(self, handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes, *, cut: int = 0) -> None:
        handler.send_response_only(status)
        kept = {name.lower(): value for name, value in headers.items()}
        for name, value in (kept | {"content-length": str(len(body))}).items():
            if name not in {"connection", "transfer-encoding", "x-amz-crc32"}:
                handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body[: len(body) - cut])

    def _break(self, handler: BaseHTTPRequestHandler, kind: str, answer: tuple[int, dict[str, str], bytes]) -> None:
        headers = {"content-type": "application/x-amz-json-1.0", "x-amzn-requestid": "WIRE"}
        handler.close_connection = True
        match kind:
            case "hang":
                time.sleep(3)
            case "reset":
                # No lingering: the kernel answers with RST instead of FIN.
                handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                handler.connection.close()
            case "500" | "503":
                self._send(handler, int(kind), headers, b'{"__type":"InternalServerError","message":"try again"}')
            case "throttle":
                self._send(handler, 400, headers, b'{"__type":"com.amazon#ThrottlingException","message":"Rate exceeded"}')
            case "refuse":
                self._send(handler, 400, headers, b'{"__type":"com.amazon#ValidationException","message":"no such thing"}')
            case "error without code":
                self._send(handler, 400, {"content-type": "text/html"}, b"<html>a proxy's own page</html>")
            case "malformed":
                self._send(handler, 200, headers, b'{"TableDescription": {"Table')
            case "truncated":
                self._send(handler, *answer, cut=20)
            case "empty":
                self._send(handler, 200, headers, b"{}     ", cut=7)


REJECTED = ("throttle before", "refuse before")
