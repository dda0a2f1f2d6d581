"""What AWS's denial messages say, in all the wordings that its services use.

`User: <ARN> is not authorized to perform: <action> on resource: <resource>`, then why: `because no identity-based policy allows
the <action> action`, `with an explicit deny in a service control policy: <policy ARN>`. EC2 puts a sentence before it and an
encoded message behind it. Sources: AWS's guide to access denied messages, and public records.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

# STS and others name nobody: `Not authorized to perform sts:AssumeRoleWithWebIdentity`.
_WHO: Final = re.compile(
    r"(?:User:? (?P<user>\S+) is )?\b[Nn]ot authorized to perform:? (?P<action>[\w-]+:\w+)(?P<rest>.*)", re.DOTALL
)
_ENCODED: Final = re.compile(r"(?P<rest>.*?)[.;]?\s*Encoded authorization failure message:\s*(?P<encoded>\S+)\s*", re.DOTALL)
# A name that somebody chose may hold the words of a reason: the last reason that reaches to the end is AWS's own.
_REASON: Final = re.compile(
    r"(?P<rest>.*)\s(?:"
    r"with an explicit deny(?: in (?:an?|the) (?P<deny>[\w -]{1,60}?)(?: policy)?)?"
    r"(?: transitively through an? (?P<through>[\w -]{1,60}?)(?: policy)?)?"
    r"|because no (?P<allow>[\w -]{1,60}?)(?: polic(?:y|ies))? allows? (?:the )?(?:[\w-]+:\w+ action|access)"
    r"|because (?P<other>[^:\n]{1,200})"
    r")(?:: (?P<policy>arn:[^\s\"]+))?",
    re.DOTALL,
)
_RESOURCE: Final = re.compile(r"on(?: the)? resource: (?P<resource>.*)", re.DOTALL)
_GENERAL: Final = re.compile(r"You are not authorized to perform this operation\.?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Denial:
    """What AWS's denial message says; empty where it does not.

    `resource` is as AWS wrote it without quotes: an ARN, a mask, `user alice`. `explicit` tells a Deny statement from a missing
    Allow. `policy_kind` is `identity-based`, `resource-based`, `session`, `service control`, `resource control`, `permissions
    boundary`, `VPC endpoint`, `role trust` or what else AWS says. `encoded` is what `sts decode-authorization-message` reads.
    """

    user: str = ""
    action: str = ""
    resource: str = ""
    explicit: bool = False
    policy_kind: str = ""
    policy_arn: str = ""
    encoded: str = ""


@lru_cache(maxsize=4096)
def parse(message: str) -> Denial | None:
    """Read a denial message, or None when it is none that names an action or holds an encoded message."""
    rest, encoded = message.strip(), ""
    if found := _ENCODED.fullmatch(rest):
        rest, encoded = found["rest"], found["encoded"]
    who = _WHO.search(rest)
    if who is None:
        return Denial(encoded=encoded) if encoded and _GENERAL.match(rest) else None
    user, action, rest = who["user"] or "", who["action"], who["rest"].rstrip(".").rstrip()
    explicit, kind, policy = False, "", ""
    if reason := _REASON.fullmatch(rest):
        rest = reason["rest"]
        explicit = "with an explicit deny" in reason[0][len(rest) :]
        kind = reason["deny"] or reason["allow"] or ""
        policy = reason["policy"] or ""
    resource = _RESOURCE.fullmatch(rest.strip())
    return Denial(
        user=user,
        action=action,
        resource=resource["resource"].strip().strip('"') if resource else "",
        explicit=explicit,
        policy_kind=kind,
        policy_arn=policy.rstrip("."),
        encoded=encoded,
    )
