"""Structured logs: one JSON object a line on standard output.

What an attacker can put into a value (line breaks, terminal escapes, invisible characters) is escaped by JSON's own
ASCII form, so a value can neither forge a line nor paint a terminal. Known secrets never leave the process.
"""

from __future__ import annotations

import json
import logging
import re
import traceback
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from approvals import correlation, unseen

MAXIMUM_VALUE_LENGTH = 8192
REDACTED = "[redacted]"

# What logging itself puts on a record; everything else came through `extra=` and belongs to the line.
_OWN_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "request", "server_time"}
_SECRET_NAMES = re.compile(
    r"passw(or)?d|passphrase|secret|token|authori[sz]ation$|cookie|session_?(key|id)$|private_?key|credential|csrf", re.IGNORECASE
)
_URL_CREDENTIALS = re.compile(r"(?<=://)[^\s/@:]*:[^\s/@]+(?=@)")


class JsonFormatter(logging.Formatter):
    """Formats a record as {time, level, logger, message, process, ids..., extras..., error?}; the message is escaped.

    `secrets`: values that are replaced wherever they occur. `process`: which process of the deployment this is.
    """

    def __init__(self, secrets: Iterable[str] = (), process: str = "") -> None:
        super().__init__()
        # Longest first, so that a secret that contains another is replaced whole.
        self._secrets = sorted({secret for secret in secrets if len(secret) >= 6}, key=len, reverse=True)
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if self._process:
            line["process"] = self._process
        line.update(correlation.current())
        for name, value in vars(record).items():
            if name not in _OWN_ATTRIBUTES and name not in line:
                line[name] = REDACTED if _SECRET_NAMES.search(name) else value
        if record.exc_info:
            line["error"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps({name: self._clean(value) for name, value in line.items()}, ensure_ascii=True)

    def _clean(self, value: Any) -> Any:
        """The value with secrets replaced, bounded in length, made of what JSON can say."""
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, dict):
            return {
                self._text(str(name)): REDACTED if _SECRET_NAMES.search(str(name)) else self._clean(inner)
                for name, inner in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset):
            return [self._clean(inner) for inner in value]
        return self._text(str(value))

    def _text(self, text: str) -> str:
        # Even a short one: while a secret of a person's is open, a line rather says too little.
        for secret in (*self._secrets, *unseen.texts()):
            text = text.replace(secret, REDACTED)
        text = _URL_CREDENTIALS.sub(REDACTED, text)
        # A lone surrogate cannot be written as UTF-8; the ASCII form of JSON keeps it as an escape.
        if len(text) > MAXIMUM_VALUE_LENGTH:
            text = f"{text[:MAXIMUM_VALUE_LENGTH]}... ({len(text)} characters)"
        return text


def configuration(level: str, secrets: Iterable[str], process: str) -> dict[str, Any]:
    """The `LOGGING` dictionary: everything through one handler, libraries that chatter at WARNING."""
    quiet = {"handlers": [], "level": "WARNING", "propagate": True}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "config.logs.JsonFormatter", "secrets": list(secrets), "process": process}},
        "handlers": {"stdout": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "json"}},
        "root": {"handlers": ["stdout"], "level": level},
        "loggers": {
            # Django would add handlers of its own (a mail to admins, a plain console) to these two.
            "django": {"handlers": [], "level": level, "propagate": True},
            "django.server": {"handlers": [], "level": level, "propagate": True},
            "gunicorn.error": {"handlers": [], "level": level, "propagate": True},
            "gunicorn.access": {"handlers": [], "level": "WARNING", "propagate": True},
            "celery": {"handlers": [], "level": level, "propagate": True},
            # One line for each of the sweeps a second would bury everything else.
            "celery.worker.request": quiet,
            "celery.worker.strategy": quiet,
            "celery.app.trace": quiet,
            "celery.beat": quiet,
            "botocore": quiet,
            "boto3": quiet,
            "urllib3": quiet,
        },
    }
