"""Every way in which a wire can fail: the state that the execution ends in, and never a second request on the wire."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from approvals import canonical, plan
from approvals.errors import BadCanonicalForm, BadParameters
from approvals.models import Attempt
from executor import answers, aws, reconcile, tasks
from executor.sandbox.world import DEMO
from tests.executor.proxy import Wire
from tests.executor.stage import Stage, attempts, fresh
from tests.executor.test_steps import CHANGE, DELETE, approved

ARN = f"{DEMO.executor_role_arn}/countersign-step-1".replace(":iam:", ":sts:").replace(":role/", ":assumed-role/")


def test_a_request_that_was_never_sent_has_no_effect(stage: Stage) -> None:
    """Nobody listens at the endpoint: the request was not sent, which is a definite no."""
    session = aws.Session(aws.Keys("ASIAX", "secret", "token"), DEMO.region, ARN)
    with stage.acting("execution"), session:
        import os

        os.environ["AWS_ENDPOINT_URL"] = "http://127.0.0.1:9"
        aws.forget()
        answer = session.mutate("dynamodb", "DeleteTable", {"TableName": "prod-orders"})
    assert isinstance(answer, answers.Rejected)
    assert answer.code == "NotConnected"


def answered_by(
    handler: type[BaseHTTPRequestHandler], patch: pytest.MonkeyPatch, service: str, operation: str, parameters: dict[str, Any]
) -> answers.Answer:
    """What a mutation is told by somebody who stands in AWS's place."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        aws.forget()
        with aws.Session(aws.Keys("ASIAX", "secret", "token"), DEMO.region, ARN) as session:
            answer = session.mutate(service, operation, parameters)
        server.shutdown()
    aws.forget()
    return answer


class _ElsewhereInS3(BaseHTTPRequestHandler):
    """S3 where the bucket is in another region."""

    received: ClassVar[list[str]] = []

    def do_DELETE(self) -> None:
        self.received.append(self.path)
        body = b"<Error><Code>PermanentRedirect</Code><Message>Use the specified endpoint</Message></Error>"
        self.send_response(301)
        self.send_header("x-amz-bucket-region", "eu-central-1")
        self.send_header("x-amz-request-id", "R")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        return


def test_a_call_on_a_bucket_of_another_region_is_not_sent_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 says that the bucket is elsewhere, which is a definite no: the call, of one region, is not made in another."""
    answer = answered_by(_ElsewhereInS3, monkeypatch, "s3", "DeleteBucket", {"Bucket": "prod-invoices"})
    assert _ElsewhereInS3.received == ["/prod-invoices"]
    assert isinstance(answer, answers.Rejected)
    assert answer.code == "PermanentRedirect"


def test_secrets_are_in_no_text_of_a_session(stage: Stage) -> None:
    """A session's secret and token appear neither in its repr nor in an error's words."""
    session = aws.Session(aws.Keys("ASIAX", "the-secret", "the-token"), DEMO.region, ARN)
    with stage.acting("execution"), session:
        answer = session.mutate("dynamodb", "DeleteTable", {"TableName": "prod-orders"})
    for text in (repr(session), repr(answer)):
        assert "the-secret" not in text
        assert "the-token" not in text


def test_a_call_that_does_not_settle_in_time_is_unknown(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS said yes and the table is still being deleted hours later: unknown, and an alert."""
    from executor import waiting

    monkeypatch.setattr(waiting, "PATIENCE", waiting.Patience(0.01, 0.02, bound=0.05, to_the_end=0.05, again_after=0.05))
    stage.aws.settle_in(3600)
    execution = stage.cast.approved()
    stage.execute()
    stage.lapse()
    with stage.acting("execution"):
        reconcile.sweep()
    assert (fresh(execution).state, Attempt.objects.get().state, stage.alerts()) == ("unknown", "accepted", ["unknown"])
    assert len(stage.calls()) == 1


def test_a_call_that_takes_long_to_settle_is_waited_for_by_the_sweep(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than a worker waits: nobody calls it unknown, and the plan goes on once it has settled."""
    from executor import waiting

    monkeypatch.setattr(waiting, "PATIENCE", waiting.Patience(0.01, 0.02, bound=0.05, again_after=0.05))
    stage.aws.settle_in(3600)
    execution = approved(stage, DELETE, CHANGE)
    for _ in range(3):
        stage.execute()
        stage.lapse()
        with stage.acting("execution"):
            reconcile.sweep()
        found = fresh(execution)
        assert (found.state, attempts(execution), stage.alerts()) == ("running", ["accepted"], [])
    stage.aws.settled()
    stage.sweep()
    assert (fresh(execution).state, attempts(execution), stage.alerts()) == ("succeeded", ["succeeded"] * 2, [])


@pytest.mark.parametrize(
    ("fault", "state"),
    [("throttle before", "running"), ("500 before", "running"), ("close before", "running"), ("refuse before", "unknown")],
)
def test_one_look_that_decides_nothing_ends_no_long_wait(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, fault: str, state: str
) -> None:
    """AWS is away, or asks us to wait, when a call is looked at that takes hours: it is looked at again. Where AWS will not tell
    when it is asked twice, it is unknown after as long as a worker waits."""
    from executor import waiting

    monkeypatch.setattr(waiting, "PATIENCE", waiting.Patience(0.01, 0.02, bound=0.05, again_after=0.05))
    stage.aws.settle_in(3600)
    execution = approved(stage, DELETE, CHANGE)
    stage.execute()
    stage.lapse()
    with Wire(stage.aws.endpoint_url, "DescribeTable", fault) as wire:
        stage.endpoint = wire.url
        with stage.acting("execution"):
            reconcile.sweep()
        stage.endpoint = ""
        assert wire.received
    assert (fresh(execution).state, attempts(execution)) == (state, ["accepted"])


def test_what_is_refused_once_is_asked_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rights come to all of AWS's places with time: one look that is refused ends no wait."""
    from executor import waiting

    monkeypatch.setattr(waiting, "PATIENCE", waiting.Patience(0.01, 0.02, bound=0.05, again_after=0.05))
    stage.aws.settle_in(3600)
    execution = approved(stage, DELETE, CHANGE)
    stage.execute()
    stage.lapse()
    with Wire(stage.aws.endpoint_url, "DescribeTable", "refuse before", times=1) as wire:
        stage.endpoint = wire.url
        with stage.acting("execution"):
            reconcile.sweep()
        stage.endpoint = ""
        assert wire.received > 1
    assert (fresh(execution).state, attempts(execution)) == ("running", ["accepted"])


def test_a_change_that_does_not_show_yet_is_looked_at_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is at rest as it was, for AWS begins late: only once it shows the change, or after a while, has it settled."""
    from executor import signs, target

    shown = iter([True] * 4)
    really = signs.shows_nothing_yet
    monkeypatch.setattr(signs, "shows_nothing_yet", lambda session, step: next(shown, False) or really(session, step))
    execution = approved(stage, CHANGE)
    stage.execute()
    assert (fresh(execution).state, next(shown, None)) == ("succeeded", None)
    nobody: Any = None
    before = json.dumps({"TableName": "prod-orders", "TableStatus": "ACTIVE", "TableClassSummary": {"TableClass": "STANDARD"}})
    monkeypatch.setattr(target, "read_plain", lambda session, step: json.loads(before))
    assert really(nobody, CHANGE)
    assert not really(nobody, DELETE)


def test_what_aws_says_will_never_settle_is_not_waited_for(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stack whose deletion failed: after as long as a worker waits it is unknown, with an alert, and not after hours."""
    from executor import target, waiting
    from executor.errors import WillNotSettle

    def never(*_: Any) -> bool:
        raise WillNotSettle("AWS says that it failed.")

    monkeypatch.setattr(waiting, "PATIENCE", waiting.Patience(0.01, 0.02, bound=0, again_after=0.05))
    monkeypatch.setattr(target, "_is_complete", never)
    execution = stage.cast.approved()
    stage.execute()
    stage.lapse()
    with stage.acting("execution"):
        reconcile.sweep()
    assert (fresh(execution).state, stage.alerts()) == ("unknown", ["unknown"])


def test_the_role_cannot_be_assumed_for_now(stage: Stage) -> None:
    """STS does not answer: the target cannot be read, so nothing is claimed, until it answers."""
    execution = stage.cast.approved()
    stage.endpoint = "http://127.0.0.1:9"
    stage.execute()
    assert (fresh(execution).state, stage.calls()) == ("ready", [])
    stage.endpoint = ""
    stage.lapse()
    stage.execute()
    found = fresh(execution)
    assert (found.state, found.token, len(stage.calls())) == ("succeeded", 1, 1)


def test_the_process_without_keys_says_so(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without credentials nothing is sent, and nothing is lost."""
    import os

    execution = stage.cast.approved()
    with stage.acting("execution"):
        del os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
        aws.forget()
        tasks.execute_due()
    assert (fresh(execution).state, stage.calls()) == ("ready", [])


def test_a_slow_look_does_not_make_what_has_settled_unknown(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The patience is used up by the first look, which found the target settled: the second look is taken all the same."""
    from executor import waiting

    monkeypatch.setattr(waiting, "PATIENCE", waiting.Patience(0.01, 0.01, bound=0, again_after=0.5))
    execution = stage.cast.approved(
        operation="dynamodb:UpdateTable", TableName="prod-orders", TableClass="STANDARD_INFREQUENT_ACCESS"
    )
    stage.execute()
    assert fresh(execution).state == "succeeded"
    told, settled = Attempt.objects.get().answered_at, Attempt.objects.get().settled_at
    assert told is not None
    assert settled is not None
    assert settled - told >= timedelta(seconds=0.5), "looked at twice"


_NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30)
_CHANGES = st.fixed_dictionaries(
    {"TableName": st.just("prod-orders")},
    optional={
        "DeletionProtectionEnabled": st.booleans(),
        "BillingMode": st.sampled_from(["PROVISIONED", "PAY_PER_REQUEST"]),
        "AttributeDefinitions": st.lists(
            st.fixed_dictionaries({"AttributeName": _NAMES, "AttributeType": st.sampled_from(["S", "N", "B"])}), max_size=3
        ),
        "ProvisionedThroughput": st.fixed_dictionaries(
            {"ReadCapacityUnits": st.integers(1, 2**53), "WriteCapacityUnits": st.integers(1, 2**53)}
        ),
    },
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parameters=_CHANGES)
@example(
    parameters={
        "TableName": "prod-orders",
        "AttributeDefinitions": [{"AttributeName": '\u202e\\"\n\u00e9\U0001f600', "AttributeType": "S"}],
    }
)
def test_row_05_what_was_signed_is_what_goes_over_the_wire(stage: Stage, parameters: dict[str, Any]) -> None:
    """Whatever is asked for and signed: the body that AWS receives has these parameters, those of the bytes that were hashed."""
    try:
        execution = stage.cast.approved(operation="dynamodb:UpdateTable", **parameters)
    except (BadParameters, BadCanonicalForm):
        return
    with Wire(stage.aws.endpoint_url, "UpdateTable", "refuse before") as wire:
        stage.endpoint = wire.url
        stage.execute()
        stage.endpoint = ""
    revision = execution.revision
    assert [json.loads(body) for body in wire.bodies] == [parameters]
    assert canonical.digest(revision.text) == revision.digest
    assert [step.parameters for step in plan.parse(revision.text).steps] == [parameters]
    assert (fresh(execution).state, attempts(execution)) == ("failed", ["rejected"])


class _Gateway(BaseHTTPRequestHandler):
    """Somebody between us and AWS who says no in the form of AWS's own errors."""

    said: ClassVar[tuple[int, bytes]] = (403, b"{}")

    def do_DELETE(self) -> None:
        status, body = self.said
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        return


@pytest.mark.parametrize(
    "said",
    [
        (403, b'{"code": "BLOCKED_BY_DLP"}'),
        (429, b'{"Code": "TooManyRequestsException"}'),
        (503, b'{"code": "Throttling"}'),
        (302, b'{"code": "Login"}'),
    ],
)
def test_a_no_without_a_request_id_is_none_of_aws(said: tuple[int, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway may have let the call through before it said so: nothing is known, and nothing is made again."""
    monkeypatch.setattr(_Gateway, "said", said)
    answer = answered_by(_Gateway, monkeypatch, "lambda", "DeleteFunction", {"FunctionName": "f"})
    assert isinstance(answer, answers.Unknown), answer
