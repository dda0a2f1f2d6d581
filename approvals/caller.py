"""Who made a call, as CloudTrail's `userIdentity` tells. Reads hostile bytes; knows no Django."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from approvals.errors import BadTrailEvent

_SSO_ROLE: Final = re.compile(r"arn:[^:]+:iam::\d{12}:role/aws-reserved/sso\.amazonaws\.com/(?:[^/]+/)?AWSReservedSSO_[^/]+")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who made the call, as CloudTrail's `userIdentity` tells; empty strings where it does not."""

    type: str
    arn: str
    account: str
    access_key_id: str
    session_issuer_arn: str
    source_identity: str
    invoked_by: str

    @property
    def by_service(self) -> bool:
        """Whether an AWS service made the call on its own account; `signin.amazonaws.com` is a human at the console."""
        return self.invoked_by.endswith(".amazonaws.com") and self.invoked_by != "signin.amazonaws.com"

    def principals(self) -> tuple[tuple[str, str], ...]:
        """What can be trusted to name the human, best first, as (kind, value) of a Principal. Empty: nobody in particular."""
        if self.by_service:
            return ()
        if self.type == "IAMUser":
            return (("iam_user", self.arn),)
        if self.type != "AssumedRole":
            return ()
        found = []
        if self.source_identity:
            found.append(("source_identity", self.source_identity))
        if _SSO_ROLE.fullmatch(self.session_issuer_arn):
            # Any other role's session name can be chosen by whoever may assume it.
            found.append(("sso_user", self.arn.rsplit("/", 1)[-1]))
        return tuple(found)


def from_identity(identity: dict[str, Any]) -> Caller:
    """Read a record's `userIdentity`. Raises BadTrailEvent naming a member that AWS would not have written."""
    context = _object(identity, "sessionContext")
    issuer = _object(context, "sessionIssuer")
    return Caller(
        type=text(identity, "type", 64),
        arn=text(identity, "arn"),
        account=text(identity, "accountId", 12) or text(issuer, "accountId", 12),
        access_key_id=text(identity, "accessKeyId", 128),
        session_issuer_arn=text(issuer, "arn"),
        source_identity=text(context, "sourceIdentity", 256),
        invoked_by=text(identity, "invokedBy", 256),
    )


def _object(value: dict[str, Any], key: str) -> dict[str, Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def text(value: dict[str, Any], key: str, longest: int = 2048) -> str:
    """A record's member as text, empty when absent. Raises BadTrailEvent when it is no text, too long, or holds a NUL."""
    found = value.get(key)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise BadTrailEvent(f"No CloudTrail record: its {key} is a {type(found).__name__}, not a string.")
    if len(found) > longest:
        raise BadTrailEvent(f"No CloudTrail record: its {key} has {len(found)} characters; AWS writes at most {longest}.")
    if "\0" in found:
        raise BadTrailEvent(f"No CloudTrail record: its {key} holds a NUL character.")
    return found
