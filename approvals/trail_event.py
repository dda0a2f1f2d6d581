"""A frozen, typed view of one CloudTrail record. Reads hostile bytes; knows no Django."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import orjson

from approvals.caller import Caller, free_text, from_identity, text
from approvals.errors import BadTrailEvent

LARGEST_MESSAGE: Final = 1024 * 1024
DETAIL_TYPE: Final = "AWS API Call via CloudTrail"
# How services call a denial by IAM, beside the wording that most of them share.
_DENIALS: Final = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "AuthorizationErrorException",
        "Client.UnauthorizedAccess",
        "Client.UnauthorizedOperation",
        "ForbiddenException",
        "NotAuthorized",
        "NotAuthorizedException",
        "UnauthorizedException",
        "UnauthorizedOperation",
    }
)
_DENIED: Final = "is not authorized to perform: "
# CloudTrail nests a dozen levels at most; what is deeper is meant to exhaust a reader.
DEEPEST: Final = 64
# Codes of a service that broke, or waited too long, while it was at it; each service has its own spelling, EC2 in CloudTrail a
# prefix (`Server.InternalError`). They are written also for calls that had an effect before they failed.
_BROKE: Final = re.compile(
    r"(?i)^server\.|^(kms)?internal|internal(server|service|error)|^server(internal)?(error|exception)|time(d)?-?out"
    r"|(^|service)unavailable|badgateway|^service(exception|failure)|^unknown(error|exception)?$"
    # CodePipeline's for whatever it does not know; Cognito's for a function that runs after the change was made.
    r"|^requestfailed|lambda(validation)?exception$"
)
_ACCOUNT: Final = re.compile(r"\d{12}")
# A number of 1e16 and above, as orjson writes it; a text that looks like it costs only the strict reading.
_LARGE_NUMBER: Final = re.compile(rb"e\+?[0-9]{2,3}(?:[,\]}]|$)")


def decides_nothing(code: str) -> bool:
    """Whether an error of this code leaves open if the call had an effect."""
    return _BROKE.search(code) is not None


class Outcome(StrEnum):
    """What AWS answered."""

    DENIED = "denied"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class TrailEvent:
    """One CloudTrail record. `record` is all of it, parsed; the rest is read from it. Nobody changes it."""

    event_id: str
    account: str
    region: str
    event_source: str
    event_name: str
    event_time: datetime
    read_only: bool
    error_code: str
    error_message: str
    request_parameters: dict[str, Any] | None
    request_id: str
    user_agent: str
    source_ip: str
    caller: Caller
    record: dict[str, Any]

    @property
    def raw(self) -> str:
        """The record's JSON text, compact. Written when it is asked for: most records concern nobody."""
        return json.dumps(self.record, ensure_ascii=True, separators=(",", ":"))

    @property
    def sha256(self) -> str:
        """The digest of the sorted form: the same record may come with its keys in another order."""
        return hashlib.sha256(json.dumps(self.record, ensure_ascii=True, sort_keys=True).encode()).hexdigest()

    @property
    def outcome(self) -> Outcome:
        """Denied, succeeded, or failed for another reason."""
        if not self.error_code:
            return Outcome.SUCCEEDED
        denied = self.error_code in _DENIALS or (_DENIED in self.error_message and not decides_nothing(self.error_code))
        return Outcome.DENIED if denied else Outcome.FAILED


def from_message(body: str | bytes) -> TrailEvent:
    """Read a queue message: an EventBridge envelope around a CloudTrail record.

    Raises BadTrailEvent with the reason for the quarantine: too large, not JSON, no envelope, no record.
    """
    data = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    if len(data) > LARGEST_MESSAGE:
        raise BadTrailEvent(f"The message has {len(data)} bytes; the most that is read is {LARGEST_MESSAGE}.")
    envelope = _quickly(data)
    if envelope is None:
        envelope = _json(body)
    if not isinstance(envelope, dict) or "detail" not in envelope or "detail-type" not in envelope:
        raise BadTrailEvent("The message is JSON but no EventBridge envelope (no detail-type and detail).")
    if envelope["detail-type"] != DETAIL_TYPE:
        raise BadTrailEvent(f"The envelope is of type {str(envelope['detail-type'])[:80]!r}, not {DETAIL_TYPE!r}.")
    event = from_record(envelope["detail"])
    account = envelope.get("account")
    if account is not None and account != event.account:
        raise BadTrailEvent(f"The envelope is of account {str(account)[:20]!r}, the record in it of {event.account!r}.")
    return event


def from_record(record: Any) -> TrailEvent:
    """Read one CloudTrail record (parsed JSON). Raises BadTrailEvent naming what it lacks."""
    if not isinstance(record, dict):
        raise BadTrailEvent("The envelope's detail is no CloudTrail record (not an object).")
    wanted = ("eventID", "eventSource", "eventName", "eventTime", "awsRegion", "userIdentity")
    if lacking := [name for name in wanted if not record.get(name)]:
        raise BadTrailEvent(f"No CloudTrail record: it lacks {', '.join(lacking)}.")
    identity = record["userIdentity"]
    if not isinstance(identity, dict):
        raise BadTrailEvent("No CloudTrail record: its userIdentity is no object.")
    caller = from_identity(identity)
    account = text(record, "recipientAccountId") or caller.account
    if not _ACCOUNT.fullmatch(account):
        raise BadTrailEvent("No CloudTrail record: it names no recipientAccountId of 12 digits.")
    parameters = record.get("requestParameters")
    if parameters is not None and not isinstance(parameters, dict):
        raise BadTrailEvent("No CloudTrail record: its requestParameters are no object.")
    return TrailEvent(
        event_id=text(record, "eventID", 64),
        account=account,
        region=text(record, "awsRegion", 64),
        event_source=text(record, "eventSource", 128),
        event_name=text(record, "eventName", 128),
        event_time=_time(record["eventTime"]),
        read_only=record.get("readOnly") in (True, "true"),
        error_code=text(record, "errorCode", 256),
        error_message=free_text(record, "errorMessage", 8192),
        request_parameters=parameters,
        request_id=text(record, "requestID", 256),
        user_agent=free_text(record, "userAgent", 1024),
        source_ip=free_text(record, "sourceIPAddress", 256),
        caller=caller,
        record=record,
    )


def _time(value: Any) -> datetime:
    if not isinstance(value, str):
        raise BadTrailEvent("No CloudTrail record: its eventTime is no string.")
    try:
        found = datetime.fromisoformat(value)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise BadTrailEvent(f"No CloudTrail record: its eventTime is {value[:40]!r}.") from error


def _quickly(data: bytes) -> Any:
    """The message as a parser six times as fast reads it, or None where that might not be what the strict one would say.

    It keeps the last of two equal keys. Written again, such an object has fewer quotation marks than the text it came from, since
    each key has two and no other character stands for one (`\\u0022` apart). Integers beyond 64 bits it makes floats, which are
    written with an exponent. What may be either, and everything that it refuses, is left to the strict reader.
    """
    try:
        found = orjson.loads(data)
        again = orjson.dumps(found)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None
    if data.count(b'"') != again.count(b'"') or b"\\u0022" in data or _LARGE_NUMBER.search(again):
        return None
    if data.count(b"{") + data.count(b"[") >= DEEPEST:
        _not_too_deep(found)
    return found


def _json(body: str | bytes) -> Any:
    try:
        found = json.loads(body, object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BadTrailEvent(f"The message is no JSON: {str(error)[:200]}.") from error
    _not_too_deep(found)
    return found


def _not_too_deep(value: Any) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise BadTrailEvent(f"The message is nested deeper than {DEEPEST} levels.")
        inner = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list)]
        level = [item for items in inner for item in items]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice in one object")
    return found


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")
