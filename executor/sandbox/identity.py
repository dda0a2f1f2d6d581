"""Access key -> caller: IAM users from moto's state, role sessions from our own memory of AssumeRole.

moto drops SourceIdentity and ignores session policies; the sandbox keeps both here. The root user has no keys in the
sandbox, and a key that belongs to nobody is unknown.
"""

import json
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from moto.iam.models import IAMBackend, ManagedPolicy, Role, User, iam_backends

from executor.sandbox.patterns import Context
from executor.sandbox.policy import Kind, Policies, Policy, Principal


@dataclass(frozen=True)
class Session:
    """A role session as AssumeRole made it. `policies` is None where no session policy limits it."""

    role_arn: str
    role_id: str
    role_name: str
    name: str
    token: str
    created: datetime
    expires: datetime
    source_identity: str | None = None
    transitive_tags: tuple[str, ...] = ()
    policies: tuple[Policy, ...] | None = None


@dataclass(frozen=True)
class Caller:
    """Who signed a request. `user_id` is the unique id that CloudTrail calls principalId."""

    account: str
    partition: str
    arn: str
    user_id: str
    access_key_id: str
    secret: str
    name: str
    tags: tuple[tuple[str, str], ...] = ()
    session: Session | None = None

    @property
    def principal(self) -> Principal:
        return Principal(self.account, self.arn, self.session.role_arn if self.session else None)

    @property
    def context(self) -> dict[str, tuple[str, ...]]:
        """The condition keys that follow from the caller alone; aws:PrincipalArn of a session is its role."""
        keys: dict[str, tuple[str, ...]] = {
            "aws:principalarn": (self.session.role_arn if self.session else self.arn,),
            "aws:principalaccount": (self.account,),
            "aws:principaltype": ("AssumedRole" if self.session else "User",),
            "aws:userid": (self.user_id,),
            "aws:principalisawsservice": ("false",),
        }
        keys |= {f"aws:principaltag/{key.lower()}": (value,) for key, value in self.tags}
        if self.session is None:
            return keys | {"aws:username": (self.name,)}
        keys |= {"aws:tokenissuetime": (_stamp(self.session.created),), "aws:multifactorauthpresent": ("false",)}
        if self.session.source_identity:
            keys["aws:sourceidentity"] = (self.session.source_identity,)
        return keys


class Sessions:
    """The role sessions that were given out, by their access key id."""

    def __init__(self) -> None:
        self._callers: dict[str, Caller] = {}
        self._lock = threading.Lock()

    def remember(self, caller: Caller) -> None:
        with self._lock:
            self._callers[caller.access_key_id] = caller

    def find(self, access_key_id: str) -> Caller | None:
        return self._callers.get(access_key_id)


def find_caller(access_key_id: str, sessions: Sessions) -> Caller | None:
    """The caller whom an access key belongs to, or None for an unknown or inactive key."""
    session = sessions.find(access_key_id)
    if session:
        return session
    for backend in _backends():
        key = backend.access_keys.get(access_key_id)
        if key and key.user_name and key.status == "Active":
            return _user(backend.users[key.user_name], backend, access_key_id, key.secret_access_key)
    return None


def policies_of(caller: Caller) -> Policies:
    """The identity-based policies, permissions boundary and session policies that bear on a caller, as they are now."""
    backend = iam_backends[caller.account][caller.partition]
    if caller.session:
        role = find_role(caller.session.role_arn)
        if role is None:
            return Policies()
        return Policies(tuple(_attached(role)), _boundary(role, backend), caller.session.policies)
    user = backend.users.get(caller.name)
    if user is None:
        return Policies()
    groups = [group for group in backend.groups.values() if user in group.users]
    identity = tuple(policy for holder in (user, *groups) for policy in _attached(holder))
    return Policies(identity, _boundary(user, backend))


def find_role(arn: str) -> Role | None:
    """The role with this ARN in any account."""
    parts = arn.split(":", 5)
    if len(parts) < 6 or parts[4] not in iam_backends:
        return None
    roles = list(iam_backends[parts[4]][parts[1]].roles.values())
    return next((role for role in roles if role.arn == arn), None)


def managed_policy(arn: str, kind: Kind) -> Policy | None:
    """A managed policy's default version, or None where there is no such policy."""
    for backend in _backends():
        policy = backend.managed_policies.get(arn)
        if policy:
            return Policy(kind, parsed(_default_document(policy)), arn)
    return None


@lru_cache(maxsize=1024)
def parsed(document: str) -> Mapping[str, Any]:
    """A policy document as JSON; moto has checked it when it was stored. The result is shared: do not change it."""
    content: dict[str, Any] = json.loads(document)
    return content


def _user(user: User, backend: IAMBackend, access_key_id: str, secret: str) -> Caller:
    tags = tuple((tag["Key"], tag["Value"]) for tag in backend.list_user_tags(user.name))
    return Caller(user.account_id, backend.partition, user.arn, user.id, access_key_id, secret, user.name, tags)


def _attached(holder: Any) -> Iterable[Policy]:
    """Inline and managed policies of a user, group or role."""
    for document in list(holder.policies.values()):
        yield Policy(Kind.IDENTITY, parsed(document))
    for managed in list(holder.managed_policies.values()):
        yield Policy(Kind.IDENTITY, parsed(_default_document(managed)), managed.arn)


def _default_document(policy: ManagedPolicy) -> str:
    return next(version.document for version in policy.versions if version.version_id == policy.default_version_id)


def _boundary(holder: Any, backend: IAMBackend) -> tuple[Policy, ...] | None:
    """The permissions boundary of a user or role. One that is gone allows nothing, as in AWS."""
    arn = getattr(holder, "permissions_boundary_arn", None)
    if not arn:
        return None
    policy = managed_policy(arn, Kind.BOUNDARY)
    return (policy,) if policy else ()


def _backends() -> Iterable[IAMBackend]:
    for accounts in list(iam_backends.values()):
        yield from list(accounts.values())


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def request_context(caller: Caller, region: str, peer: str, user_agent: str, now: datetime) -> Context:
    """The condition keys of a request that do not depend on its parameters.

    aws:SecureTransport is true as it always is in AWS, although the sandbox speaks plain HTTP on one machine.
    """
    return caller.context | {
        "aws:requestedregion": (region,),
        "aws:sourceip": (peer,),
        "aws:useragent": (user_agent,),
        "aws:currenttime": (_stamp(now),),
        "aws:epochtime": (str(int(now.timestamp())),),
        "aws:securetransport": ("true",),
        "aws:viaawsservice": ("false",),
    }
