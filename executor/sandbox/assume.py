"""AssumeRole beyond moto: what is checked before it, and the session that the sandbox remembers after it.

Source: STS API Reference, "AssumeRole"; IAM User Guide, "Role chaining" and "Monitor and control actions taken with
assumed roles" (SourceIdentity cannot change along a chain).
"""

import json
import re
from datetime import UTC, datetime
from typing import Any

from executor.sandbox.answer import Answer
from executor.sandbox.identity import Caller, Session, find_role, managed_policy
from executor.sandbox.policy import Kind, Policy
from executor.sandbox.recognise import Call
from executor.sandbox.refuse import Refusal
from executor.sandbox.wire import HttpResponse

# Ways to other credentials for which moto gives out constants that belong to nobody.
UNSUPPORTED = frozenset(
    {"GetSessionToken", "GetFederationToken", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "AssumeRoot"}
)
_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_LONGEST_POLICY = 2048
# AWS packs a session's policies and tags into a binary form of a size that it does not tell; it is full before either reaches its
# own limit. Here all their characters together count.
_LARGEST_PACKED = 2048
_MOST_TAGS = 50
_TAG_KEY = re.compile(r"[\w\s.:/=+\-@]{1,128}")
_TAG_VALUE = re.compile(r"[\w\s.:/=+\-@]{0,256}")


def is_assume_role(call: Call) -> bool:
    return (call.service, call.operation) == ("sts", "AssumeRole")


def fault(call: Call, caller: Caller) -> Refusal | None:
    """What is wrong with an AssumeRole that the caller may make otherwise."""
    if call.service == "sts" and call.operation in UNSUPPORTED:
        return Refusal("unknown operation", f"The local AWS gives out credentials by AssumeRole alone, not by {call.operation}.")
    if not is_assume_role(call):
        return None
    return (
        _wrong_name(call, caller) or _wrong_policy(call) or _wrong_tags(call) or _too_large(call) or _wrong_duration(call, caller)
    )


def _wrong_name(call: Call, caller: Caller) -> Refusal | None:
    parameters = call.parameters
    for member in ("RoleSessionName", "SourceIdentity"):
        if parameters.get(member) is not None and not _NAME.fullmatch(str(parameters[member])):
            return Refusal("invalid", f"1 validation error detected: Value at '{member}' failed to satisfy constraint")
    inherited = caller.session.source_identity if caller.session else None
    if inherited and parameters.get("SourceIdentity") not in (None, inherited):
        return Refusal("denied", f"User: {caller.arn} is not authorized to perform: sts:SetSourceIdentity")
    return None


def _wrong_policy(call: Call) -> Refusal | None:
    if len(call.parameters.get("Policy") or "") > _LONGEST_POLICY:
        constraint = f"Member must have length less than or equal to {_LONGEST_POLICY}"
        return Refusal("invalid", f"1 validation error detected: Value at 'policy' failed to satisfy constraint: {constraint}")
    try:
        session_policies(call)
    except ValueError:
        return Refusal("invalid", "Session policy: the policy is not in the valid JSON format.")
    return None


def _wrong_tags(call: Call) -> Refusal | None:
    tags = call.parameters.get("Tags") or []
    for tag in tags:
        if not _TAG_KEY.fullmatch(str(tag.get("Key", ""))) or not _TAG_VALUE.fullmatch(str(tag.get("Value", ""))):
            return Refusal("invalid", "1 validation error detected: Value at 'tags' failed to satisfy constraint")
    keys = [str(tag["Key"]).lower() for tag in tags]
    if len(keys) > _MOST_TAGS or len(set(keys)) < len(keys):
        return Refusal("invalid", f"Tags are {_MOST_TAGS} at most, each key once.")
    return None


def packed_size(call: Call) -> int:
    """How much of the room for a session's policies and tags an AssumeRole takes, in percent."""
    inline = json.dumps(json.loads(call.parameters.get("Policy") or "{}"), separators=(",", ":"))
    arns = sum(len(entry.get("arn", "")) for entry in call.parameters.get("PolicyArns") or [])
    tags = sum(len(tag["Key"]) + len(tag["Value"]) for tag in call.parameters.get("Tags") or [])
    return -(-100 * (len(inline) + arns + tags) // _LARGEST_PACKED)


def _too_large(call: Call) -> Refusal | None:
    if packed_size(call) > 100:
        return Refusal("packed", f"Packed size of session tags consumes {packed_size(call)}% of allotted space.")
    return None


def _wrong_duration(call: Call, caller: Caller) -> Refusal | None:
    seconds = call.parameters.get("DurationSeconds", 3600)
    role = find_role(call.parameters.get("RoleArn", ""))
    longest = int((role.max_session_duration if role else None) or 3600)
    if not isinstance(seconds, int) or seconds < 900:
        return Refusal("invalid", "DurationSeconds must be a number of at least 900")
    if caller.session and seconds > 3600:
        return Refusal(
            "invalid", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
        )
    if seconds > longest:
        return Refusal("invalid", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
    return None


def session_policies(call: Call) -> tuple[Policy, ...] | None:
    """The session policies that an AssumeRole passes, None where it passes none. Raises ValueError for a malformed one."""
    inline = call.parameters.get("Policy")
    arns = [entry.get("arn", "") for entry in call.parameters.get("PolicyArns") or []]
    if not inline and not arns:
        return None
    policies = [managed_policy(arn, Kind.SESSION) for arn in arns]
    if None in policies:
        raise ValueError("a managed session policy does not exist")
    if inline:
        document = json.loads(inline)
        if not isinstance(document, dict) or "Statement" not in document:
            raise ValueError("a session policy is a policy document")
        policies.append(Policy(Kind.SESSION, document))
    return tuple(policy for policy in policies if policy)


def opened_session(call: Call, caller: Caller, answer: Answer) -> Caller:
    """The caller that a successful AssumeRole has brought into being."""
    parameters = call.parameters
    credentials: dict[str, Any] = answer.output["Credentials"]
    role = find_role(parameters["RoleArn"])
    if role is None:
        raise LookupError(parameters["RoleArn"])
    before = caller.session
    inherited = tuple(tag for tag in caller.tags if before and tag[0] in before.transitive_tags)
    tags = {**{tag["Key"]: tag["Value"] for tag in parameters.get("Tags") or []}, **dict(inherited)}
    transitive = (*(before.transitive_tags if before else ()), *(parameters.get("TransitiveTagKeys") or ()))
    session = Session(
        role_arn=role.arn,
        role_id=role.id,
        role_name=role.name,
        name=parameters["RoleSessionName"],
        token=credentials["SessionToken"],
        created=datetime.now(UTC),
        expires=credentials["Expiration"],
        source_identity=parameters.get("SourceIdentity") or (before.source_identity if before else None),
        transitive_tags=transitive,
        policies=session_policies(call),
    )
    partition, account = role.arn.split(":")[1], role.arn.split(":")[4]
    return Caller(
        account=account,
        partition=partition,
        arn=f"arn:{partition}:sts::{account}:assumed-role/{role.name}/{session.name}",
        user_id=f"{role.id}:{session.name}",
        access_key_id=credentials["AccessKeyId"],
        secret=credentials["SecretAccessKey"],
        name=role.name,
        tags=tuple(tags.items()),
        session=session,
    )


def with_source_identity(response: HttpResponse, source_identity: str | None) -> HttpResponse:
    """moto's answer with the SourceIdentity that AWS repeats in it."""
    if not source_identity:
        return response
    end = b"</AssumeRoleResult>"
    body = response.body.replace(end, f"<SourceIdentity>{source_identity}</SourceIdentity>".encode() + end, 1)
    return HttpResponse(response.status, response.headers, body)
