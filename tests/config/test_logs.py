"""One JSON object a line, whatever is logged; ids on every line, secrets on none."""

import json
import logging

import pytest

from approvals import correlation
from config.logs import JsonFormatter

SECRET = "correct horse battery staple"


def line(message: str, *arguments: object, **extra: object) -> str:
    record = logging.getLogger("tests").makeRecord("tests", logging.INFO, __file__, 1, message, arguments, None, extra=extra)
    return JsonFormatter([SECRET], "web").format(record)


@pytest.mark.parametrize(
    "hostile",
    [
        "one\r\n" + '{"time": "2026-01-01", "level": "INFO", "message": "forged"}',
        "\x1b[2J\x1b]0;owned\x07",
        "\u202egnp.exe\u2028\u2029\x85",
        "\ud800 lone surrogate",
        '", "level": "CRITICAL',
    ],
)
def test_a_value_can_neither_forge_a_line_nor_paint_a_terminal(hostile):
    written = line("session %s", hostile, session=hostile)
    assert written.isascii()
    assert written.isprintable()
    entry = json.loads(written)
    assert entry["level"] == "INFO"
    assert entry["session"] == hostile


def test_secrets_are_replaced_wherever_they_stand():
    written = line(
        "connect postgresql://web:hunter2@db/x with %s",
        SECRET,
        password="p1",
        api_token="t1",
        details={"Authorization": "Bearer b1", "note": f"it is {SECRET}"},
    )
    for secret in (SECRET, "hunter2", "p1", "t1", "b1"):
        assert secret not in written.replace("postgresql", "")
    assert "postgresql://[redacted]@db/x" in written


def test_a_secret_in_a_traceback_is_replaced():
    with pytest.raises(ValueError, match=SECRET) as raised:
        int(SECRET)
    record = logging.makeLogRecord({"msg": "failed", "exc_info": (raised.type, raised.value, raised.tb)})
    written = JsonFormatter([SECRET]).format(record)
    assert SECRET not in written
    assert "ValueError: invalid literal for int() with base 10: '[redacted]'" in json.loads(written)["error"]


def test_the_ids_that_are_bound_stand_on_every_line():
    with correlation.bound(request_id="r1", execution_id="e1"), correlation.bound(event_id="v1"):
        entry = json.loads(line("hello"))
    assert (entry["request_id"], entry["execution_id"], entry["event_id"]) == ("r1", "e1", "v1")
    assert "request_id" not in json.loads(line("after"))


def test_a_huge_value_is_cut_and_says_how_long_it_was():
    entry = json.loads(line("%s", "x" * 100_000))
    assert entry["message"].endswith("... (100000 characters)")
