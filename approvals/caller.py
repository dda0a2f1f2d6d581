"""Who made a call, as CloudTrail's `userIdentity` tells. Reads hostile bytes; knows no Django."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from approvals.canonical import is_storable, storable
from approvals.errors import BadTrailEvent

_SSO_ROLE: Final = re.compile(r"arn:[^:]+:iam::\d{12}:role/aws-reserved/sso\.amazonaws\.com/(?:[^/]+/)?AWSReservedSSO_[^/]+")


_ISSUED_BY_USER: Final = re.compile(r"arn:[^:]+:iam::\d{12}:user/.+")
# `md/command#rds.delete-db-instance` of version 2, `command/rds.delete-db-instance` before it.
_COMMAND: Final = re.compile(r"(?:^| )(?:md/command#|command/)([a-z0-9-]{1,64})\.([a-z0-9.-]{1,128})(?= |$)")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who made the call, as CloudTrail's `userIdentity` tells; empty strings where it does not.

    `provider` and `subject` are what an identity provider vouched for, `on_behalf_of` the Identity Center user's id.
    """

    type: str
    arn: str
    account: str
    access_key_id: str
    session_issuer_arn: str
    source_identity: str
    invoked_by: str
    user_name: str = ""
    provider: str = ""
    subject: str = ""
    on_behalf_of: str = ""

    @property
    def by_service(self) -> bool:
        """Whether an AWS service made the call on its own account; `signin.amazonaws.com` is a human at the console."""
        return self.invoked_by.endswith(".amazonaws.com") and self.invoked_by != "signin.amazonaws.com"

    @property
    def human(self) -> str:
        """The name of the person, as far as it can be trusted; empty where it cannot. It maps nobody: `principals` does."""
        return self._named()[0]

    @property
    def why(self) -> str:
        """Where `human` comes from, or why there is none: a sentence without its full stop."""
        return self._named()[1]

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
        elif self.session_issuer_arn:
            # For a role that one person, or one bot, alone may assume; the session's name is never looked at.
            found.append(("role", self.session_issuer_arn))
        return tuple(found)

    def _named(self) -> tuple[str, str]:
        if self.by_service:
            return "", f"the service {self.invoked_by} made the call"
        if self.type == "AssumedRole":
            return self._of_session()
        vouched = f"the subject that the identity provider {self.provider or '(not named)'} vouches for"
        named = {
            "IAMUser": (self.user_name or _last(self.arn), "the name of the IAM user"),
            "WebIdentityUser": (self.subject, vouched),
            "SAMLUser": (self.subject, vouched),
            "IdentityCenterUser": (self.on_behalf_of, "the user id in IAM Identity Center"),
            "Directory": (self.user_name, "the name in the directory"),
        }
        name, why = named.get(self.type, ("", ""))
        if name:
            return name, why
        return "", f"the record does not say {why}" if why else self._nobody()

    def _nobody(self) -> str:
        if self.type == "Root":
            return "root stands for nobody in particular"
        if self.type == "FederatedUser":
            issuer = f"the IAM user {_last(self.session_issuer_arn)}" if self._issued_by_user else "whoever asked for it"
            return f"the name of a federated session ({_last(self.arn) or 'none'}) is chosen by {issuer}"
        if self.type == "AWSService":
            return "an AWS service made the call"
        if self.type == "AWSAccount":
            return f"another AWS account ({self.account or 'not named'}) made the call, and says nothing of its people"
        return f"CloudTrail calls the caller {self.type or 'nothing'} and says no more"

    @property
    def _issued_by_user(self) -> bool:
        return _ISSUED_BY_USER.fullmatch(self.session_issuer_arn) is not None

    def _of_session(self) -> tuple[str, str]:
        if self.source_identity:
            return self.source_identity, "the source identity of the session, which nobody can change along a chain of roles"
        if _SSO_ROLE.fullmatch(self.session_issuer_arn):
            return _last(self.arn), "the session name of an IAM Identity Center role"
        if self.on_behalf_of:
            return self.on_behalf_of, "the user id in IAM Identity Center"
        if self.subject:
            return self.subject, f"the subject that the identity provider {self.provider or '(not named)'} vouches for"
        role = _last(self.session_issuer_arn) or "the role"
        return "", f"the session name ({_last(self.arn) or 'none'}) can be chosen by whoever may assume {role}"


def from_identity(identity: dict[str, Any]) -> Caller:
    """Read a record's `userIdentity`. Raises BadTrailEvent naming a member that AWS would not have written."""
    context = _object(identity, "sessionContext")
    issuer = _object(context, "sessionIssuer")
    federation = _object(context, "webIdFederationData")
    return Caller(
        type=text(identity, "type", 64),
        arn=text(identity, "arn"),
        account=text(identity, "accountId", 12) or text(issuer, "accountId", 12),
        access_key_id=text(identity, "accessKeyId", 128),
        session_issuer_arn=text(issuer, "arn"),
        source_identity=text(context, "sourceIdentity", 256),
        invoked_by=text(identity, "invokedBy", 256),
        user_name=text(identity, "userName", 256),
        provider=text(identity, "identityProvider") or text(federation, "federatedProvider"),
        subject=_subject(identity, federation),
        on_behalf_of=text(_object(identity, "onBehalfOf"), "userId", 256),
    )


def command(user_agent: str) -> str:
    """The AWS CLI command that the user agent names, such as `aws rds delete-db-instance`; empty when it names none.

    What the caller's program says of itself: shown, never trusted.
    """
    found = _COMMAND.search(user_agent)
    return f"aws {found[1]} {found[2].replace('.', ' ')}" if found else ""


def _subject(identity: dict[str, Any], federation: dict[str, Any]) -> str:
    """The subject of a web identity: of a caller with a token, the end of principalId (`provider:audience:subject`)."""
    if identity.get("type") in ("WebIdentityUser", "SAMLUser"):
        return text(identity, "userName", 256) or text(identity, "principalId").rsplit(":", 1)[-1]
    attributes = _object(federation, "attributes")
    return next((text(attributes, key) for key in sorted(attributes) if key.endswith(":sub")), "")


def _last(arn: str) -> str:
    return arn.rsplit("/", 1)[-1] if "/" in arn else ""


def _object(value: dict[str, Any], key: str) -> dict[str, Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def text(value: dict[str, Any], key: str, longest: int = 2048) -> str:
    """A record's member as text, empty when absent.

    Raises BadTrailEvent when it is no text, too long, or holds what cannot be stored (a NUL, half a surrogate).
    """
    if key not in value:
        return ""
    found = value[key]
    if type(found) is str and len(found) <= longest and is_storable(found):
        return found
    if found is None:
        return ""
    if not isinstance(found, str):
        raise BadTrailEvent(f"No CloudTrail record: its {key} is a {type(found).__name__}, not a string.")
    if len(found) > longest:
        raise BadTrailEvent(f"No CloudTrail record: its {key} has {len(found)} characters; AWS writes at most {longest}.")
    raise BadTrailEvent(f"No CloudTrail record: its {key} holds a NUL character or half a surrogate.")


def free_text(value: dict[str, Any], key: str, longest: int) -> str:
    """A member in which the caller's own words may stand, cut to its longest and with escapes for what cannot be stored.

    Whoever makes a call chooses them: they may not decide that nobody hears of it.
    """
    found = value.get(key)
    if isinstance(found, str) and (len(found) > longest or not is_storable(found)):
        return text({key: storable(found)[: longest - 1] + ("\u2026" if len(found) > longest else "")}, key, longest)
    return text(value, key, longest)
