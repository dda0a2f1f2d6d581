"""gunicorn in front of the pages, started as a deployment starts it."""

import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.config.test_settings import PRODUCTION, PROJECT


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """gunicorn with config.server on a port of its own. There is no database: its probe answers 503."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    command = ["-m", "gunicorn", "--config", "python:config.server", "--bind", f"127.0.0.1:{number}", "config.wsgi"]
    server = subprocess.Popen([sys.executable, *command], env=PRODUCTION, cwd=PROJECT, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while True:
            try:
                get(number, "/healthz")
                break
            except OSError:
                assert server.poll() is None, "gunicorn did not start"
                assert time.monotonic() < end, "gunicorn does not answer"
                time.sleep(0.1)
        yield number
    finally:
        server.terminate()
        server.wait(timeout=20)


def get(port: int, path: str, **headers: str) -> int:
    """The status of an answer over plain http."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path, headers={"Host": "countersign.example.com", **headers})
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize("header", [{"SCRIPT_NAME": "/elsewhere"}, {"PATH_INFO": "/healthz"}])
def test_a_header_does_not_give_a_request_another_path(port: int, header: dict[str, str]) -> None:
    """Whoever sends SCRIPT_NAME or PATH_INFO as a header is routed by the path of his request line all the same."""
    assert get(port, "/healthz") == 503
    assert get(port, "/elsewhere/healthz") == 301
    assert get(port, "/elsewhere/healthz", **header) == 301
