"""Reading a target that the call names in one of several ways."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from approvals.plan import Step
from executor import aws, target

ARN = "arn:aws:kinesis:eu-west-1:111122223333:stream/orders"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, str]]]:
    """The parameters of every question that reaches AWS."""
    found: list[dict[str, str]] = []

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            body = json.dumps({"StreamDescriptionSummary": {"StreamARN": ARN}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("x-amzn-RequestId", "R")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield found
        server.shutdown()


@pytest.mark.parametrize("named", [{"StreamARN": ARN}, {"StreamName": "orders"}])
def test_a_member_that_the_call_leaves_out_is_left_out_of_the_question(asked, named):
    """A target is read by the name that the call gives it, whichever of AWS's ways to name it that is."""
    with aws.Session(aws.Keys("AKIAEXAMPLE", "secret"), "eu-west-1", "arn:aws:sts::111122223333:assumed-role/x/y") as session:
        assert target.read(session, Step("kinesis", "DeleteStream", named)) == {"StreamARN": ARN}
    assert asked == [named]
