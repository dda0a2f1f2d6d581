"""What a CloudTrail record is and what would become of it, in one value: for `trail_explain`. Reads no database.

Without guardrails it is judged as if one protected every operation that changes something.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from approvals import canonical, trail_event, watch
from approvals.errors import BadTrailEvent
from approvals.operations import denials, iam, inputs, resources
from approvals.operations.catalog import Operation
from approvals.operations.conversion import Conversion
from approvals.operations.regions import partition_of
from approvals.operations.resources import Where
from approvals.policies import Mode, Rules
from approvals.states import Completeness
from approvals.trail_event import Outcome, TrailEvent
from approvals.watch import Watch

SCHEMA: Final = (
    "event_id",
    "account",
    "region",
    "event_source",
    "event_name",
    "service",
    "operation",
    "outcome",
    "read_only",
    "iam_action",
    "resources",
    "caller",
    "completeness",
    "parameters",
    "dropped",
    "redacted",
    "missing",
    "unknown",
    "becomes",
    "why",
)


# What stands for an account and a region that a fragment does not tell; no account has this number.
NO_ACCOUNT: Final = "000000000000"
NO_REGION: Final = "nowhere"


class Becomes(StrEnum):
    """What the feed would make of a record."""

    REQUEST = "request"
    PROOF = "proof"
    ALERT = "alert"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Explanation:
    """One record explained. `event` and `operation` are None for what is no record, or of no public AWS API.

    `resources` are for people, `touched` what guardrails are held against: ARNs, or patterns of what they may be.
    `fragment` says what a record lacks that the feed wants of one; it is explained as if it had that, with empty values for it.
    """

    event: TrailEvent | None
    operation: Operation | None
    conversion: Conversion
    iam_action: str
    resources: tuple[str, ...]
    becomes: Becomes
    why: str
    place: str = ""
    fragment: str = ""
    touched: tuple[str, ...] = ()

    @property
    def read(self) -> bool:
        """Whether it was a CloudTrail record at all."""
        return self.event is not None

    def as_json(self) -> dict[str, Any]:
        """One object with the keys of SCHEMA, as JSON can say it: instants in ISO 8601, bytes in base64."""
        event, operation = self.event, self.operation
        caller = event.caller if event else None
        return {
            "event_id": (event.event_id if event else "") or None,
            "account": (event.account if event and event.account != NO_ACCOUNT else "") or None,
            "region": (event.region if event and event.region != NO_REGION else "") or None,
            "event_source": event.event_source if event else None,
            "event_name": event.event_name if event else None,
            "service": operation.service if operation else None,
            "operation": operation.name if operation else None,
            "outcome": str(event.outcome) if event else None,
            "read_only": self._reads if event else None,
            "iam_action": self.iam_action or None,
            "resources": list(self.resources),
            "caller": (
                {"type": caller.type, "arn": caller.arn or None, "human": caller.human or None, "why": caller.why}
                if caller
                else None
            ),
            "completeness": str(self.conversion.completeness),
            "parameters": _plain(self.conversion.parameters) if self.has_parameters else None,
            "dropped": list(self.conversion.dropped),
            "redacted": list(self.conversion.redacted),
            "missing": list(self.conversion.missing),
            "unknown": list(self.conversion.unknown),
            "becomes": str(self.becomes),
            "why": self.why,
        }

    @property
    def _reads(self) -> bool:
        """What the record says of itself; where it says nothing, what IAM says of the operation."""
        if self.event is None or "readOnly" in self.event.record or self.operation is None:
            return self.event is not None and self.event.read_only
        return iam.only_reads(self.operation)

    @property
    def has_parameters(self) -> bool:
        """Whether anything is known of the call's parameters; a call that takes none is known whole."""
        whole = self.conversion.completeness in (Completeness.EXACT, Completeness.REBUILT)
        return self.operation is not None and (whole or bool(self.conversion.parameters))

    @property
    def clean(self) -> bool:
        """Whether the record converts with no unknown key to what botocore's own validator lets pass."""
        return self.operation is not None and not self.conversion.unknown and not self._misfits()

    @property
    def told(self) -> bool:
        """Whether it is clean, or would be with members that the record does not show and the conversion names as such."""
        if self.operation is None or self.conversion.unknown:
            return False
        named = {*self.conversion.missing, *self.conversion.redacted}
        return all(kind == "missing required field" and path in named for kind, path in self._misfits())

    def _misfits(self) -> list[tuple[str, str]]:
        """What botocore's own validator has against the parameters: its kind of error, and the dotted path."""
        shape = self.operation.model.input_shape if self.operation else None
        return list(inputs.misfits(shape, self.conversion.parameters)) if shape is not None else []


# What stands for the guardrails where none are given.
EVERYTHING: Final = Rules("everything", "", Mode.ENFORCE, ("*",), ("*",), ("*",), ("*",), 1)


@dataclass(frozen=True, slots=True)
class Setting:
    """What a record is judged against: the guardrails, and the executor's role in each account. `roles` of None: any account is
    one of ours, and no role is known."""

    watch: Watch
    roles: Mapping[str, str] | None = None


ASSUMED: Final = Setting(watch.over((EVERYTHING,)))


def explain(value: Any, setting: Setting, place: str = "") -> Explanation:
    """Explain a parsed record. Never raises for what the record holds: what cannot be read is explained as that."""
    fragment = ""
    try:
        event = trail_event.from_record(value)
    except BadTrailEvent as error:
        fragment = str(error)
        try:
            event = replace(trail_event.from_record(_padded(value)), event_id=_text(value, "eventID"))
        except BadTrailEvent:
            return not_a_record(fragment, place)
    return replace(_explained(event, value, setting), place=place, fragment=fragment)


# The least that a record has, for fragments.
_LEAST: Final[Mapping[str, Any]] = {
    "eventID": "none",
    "eventTime": "1970-01-01T00:00:00Z",
    "awsRegion": NO_REGION,
    "userIdentity": {"type": "Unknown"},
    "recipientAccountId": NO_ACCOUNT,
}


# What a fragment has to say readably where it says it at all: without it, it would be another call, or one that went otherwise.
_OF_THE_CALL: Final = ("requestParameters", "errorCode", "errorMessage")


def _padded(value: Any) -> Any:
    """A fragment with the least that a record has; what is no fragment of one stays as it is.

    Whoever publishes or exports a record cuts and rewrites what is around the call (times as numbers, parameters as text): that
    is left out, one thing at a time. What the record says of the call itself stays, and is explained.
    """
    if not (isinstance(value, dict) and _text(value, "eventSource") and _text(value, "eventName")):
        return value
    padded = {**_LEAST, "eventSource": value["eventSource"], "eventName": value["eventName"]}
    parameters = value.get("requestParameters")
    said = value | {"requestParameters": _object(parameters) if isinstance(parameters, str) else parameters}
    for name, item in said.items():
        if item is None or item == "":
            continue
        try:
            trail_event.from_record(padded | {name: item})
        except BadTrailEvent:
            if name in _OF_THE_CALL:
                return value
            continue
        padded[name] = item
    return padded


def _object(text: str) -> Any:
    """The object, or nothing, that a text holds as JSON, as exports to tables write it; else the text."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return found if found is None or isinstance(found, dict) else text


def _text(value: Any, name: str) -> str:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""


def _explained(event: TrailEvent, value: Any, setting: Setting) -> Explanation:
    said = denials.parse(event.error_message)
    action = said.action if said and said.action else ""
    where = Where(event.account, event.region, partition_of(event.region))
    meant, matching = setting.watch.read(event, where)
    if meant is None:
        why = f"{event.event_source} {event.event_name} is no operation of a public AWS API that boto3 knows."
        nothing = Conversion({}, Completeness.UNKNOWN, why)
        return Explanation(event, None, nothing, action, _recorded_arns(value), Becomes.IGNORED, why)
    becomes, why = _becomes(event, matching, setting)
    if becomes is Becomes.REQUEST:
        why = f"{why} {meant.conversion.why}"
    # What AWS might also take an ARN for concerns guardrails, not whoever reads; what is in doubt concerns both.
    touched = meant.resources or resources.arns(meant.operation, meant.conversion.parameters, where)
    shown = (
        resources.said_once(touched)
        or _recorded_arns(value)
        or ((said.resource,) if said and said.resource.startswith("arn:") else ())
    )
    named = action or meant.operation.facts.iam_action
    return Explanation(event, meant.operation, meant.conversion, named, shown, becomes, why, touched=meant.resources)


def not_a_record(why: str, place: str) -> Explanation:
    """What stands in a file and is no CloudTrail record; the feed would put it into quarantine."""
    nothing = Conversion({}, Completeness.UNKNOWN, why)
    return Explanation(None, None, nothing, "", (), Becomes.IGNORED, f"{why} The feed keeps it in quarantine.", place)


def _becomes(event: TrailEvent, matching: tuple[Rules, ...], setting: Setting) -> tuple[Becomes, str]:
    if setting.roles is not None and event.account not in setting.roles:
        return Becomes.IGNORED, f"The account {event.account} is none of ours."
    if not matching:
        assumed = setting.watch.rules == (EVERYTHING,)
        return Becomes.IGNORED, "It only reads." if assumed else "No guardrail protects it."
    becomes, why = fate_of(event, (setting.roles or {}).get(event.account, ""))
    if becomes is Becomes.IGNORED:
        return becomes, why
    if not any(rules.mode is Mode.ENFORCE for rules in matching):
        return Becomes.IGNORED, "Only observing guardrails match."
    if matching == (EVERYTHING,):
        return becomes, f"{why} A guardrail that protects it is assumed."
    return becomes, f"{why} Guardrail {', '.join(rules.name for rules in matching)} protects it."


def fate_of(event: TrailEvent, executor_role_arn: str) -> tuple[Becomes, str]:
    """What a record of a protected call becomes, and why in a sentence. The feed judges by the same function."""
    caller = event.caller
    if executor_role_arn and caller.session_issuer_arn == executor_role_arn:
        return Becomes.PROOF, "The executor's role made this call; an attempt must account for it."
    if event.outcome is Outcome.SUCCEEDED:
        return Becomes.ALERT, "The call succeeded outside the portal."
    if event.outcome is Outcome.FAILED:
        if trail_event.decides_nothing(event.error_code):
            return Becomes.ALERT, f"{event.error_code} is also written for calls that had an effect."
        return Becomes.IGNORED, f"AWS refused the call for another reason than permission: {event.error_code}."
    if caller.type == "Root":
        return Becomes.ALERT, "The root user stands for nobody in particular."
    if caller.type == "AWSService" or caller.by_service:
        return Becomes.IGNORED, "An AWS service made the call; no human stands behind it."
    return Becomes.REQUEST, "IAM denied the call."


def _recorded_arns(value: Any) -> tuple[str, ...]:
    listed = value.get("resources") if isinstance(value, dict) else None
    found = [one.get("ARN") or one.get("arn") for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return tuple(arn for arn in found if isinstance(arn, str))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(bytes(value)).decode("ascii")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return canonical.encode(value)
