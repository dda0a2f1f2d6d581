"""Long polling of SQS outside moto: moto would wait inside the call, while every other call waits for its lock."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import parse_qsl, urlencode

from moto.sqs.models import sqs_backends

from executor.sandbox.identity import Caller
from executor.sandbox.recognise import Call

_LOOK_EVERY = 0.03
_LONGEST_WAIT = 20


def is_receive(call: Call) -> bool:
    return (call.service, call.operation) == ("sqs", "ReceiveMessage")


def wait_for_message(call: Call, caller: Caller, state: threading.RLock, stopping: Callable[[], bool]) -> None:
    """Returns when the queue has a visible message, when the call's wait time is over, or when the server stops."""
    name = str(call.parameters.get("QueueUrl", "")).rstrip("/").rpartition("/")[2]
    queues = sqs_backends[caller.account][call.region].queues
    if name not in queues:
        return
    wanted = call.parameters.get("WaitTimeSeconds")
    seconds = float(getattr(queues[name], "receive_message_wait_time_seconds", 0) if wanted is None else wanted)
    end = time.monotonic() + min(seconds, _LONGEST_WAIT)
    while time.monotonic() < end and not stopping():
        with state:
            if name not in queues or queues[name].messages:
                return
        time.sleep(_LOOK_EVERY)


def without_waiting(call: Call, body: bytes) -> tuple[Call, bytes]:
    """The same call with no wait time left, for moto, and its body for the old protocol."""
    if call.parameters.get("WaitTimeSeconds", 0) not in range(_LONGEST_WAIT + 1):
        return call, body  # moto answers a wrong wait time with SQS's error
    short = replace(call, parameters={**call.parameters, "WaitTimeSeconds": 0})
    if call.protocol == "json":
        return short, body
    return short, urlencode({**dict(parse_qsl(body.decode(), keep_blank_values=True)), "WaitTimeSeconds": "0"}).encode()
