"""The one door to AWS: nothing else imports boto3.

A *mutation* goes out exactly once (`total_max_attempts=1`; botocore would resend it) and its answer is named: Accepted,
Rejected (definitely no effect) or Unknown. Reads, sessions, queue and topic are repeated by botocore's standard retries and
raise AwsError. No call is made while a database transaction is open: a rollback could not take it back, and a slow answer
would hold its locks.

Works unchanged against AWS_ENDPOINT_URL. Keys and session tokens are never logged and never part of an error's text.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import boto3
from botocore import xform_name
from botocore.config import Config
from botocore.loaders import Loader
from botocore.session import Session as BotocoreSession

from approvals.authority import KnownAccount
from approvals.operations import regions
from executor.answers import (
    NO_SUCH_CREDENTIALS,
    Accepted,
    Answer,
    Unknown,
    no_open_transaction,
    of_error,
    request_id_of,
    translated,
)
from executor.bodies import must_be_whole
from executor.errors import AwsRefused, AwsUnavailable, PolicyTooLarge, WrongAccount
from executor.kept import Kept

if TYPE_CHECKING:
    from mypy_boto3_sts import STSClient

log = logging.getLogger(__name__)

# Seconds. A mutation's answer that takes longer than READ_TIMEOUT is no answer. What may be repeated is asked again sooner, so
# that all of its attempts together stay below a claim's lease (executor.claim.LEASE).
CONNECT_TIMEOUT: Final = 5
READ_TIMEOUT: Final = 30
REPEATED_TIMEOUT: Final = 10
SESSION_SECONDS: Final = 900
_TIMES: Final = 3
# Seconds that a reading call with all of its attempts can take; botocore waits up to 20 seconds between two.
LONGEST_READ: Final = _TIMES * (CONNECT_TIMEOUT + REPEATED_TIMEOUT) + (_TIMES - 1) * 20
# Seconds before its expiry in which a reading session is used no more, and how many sessions are kept at most.
READING_MARGIN: Final = 60
MOST_READINGS: Final = 64
# Characters of a session policy as it is written. Packed it may be too large well below that; only AWS can tell.
LONGEST_POLICY: Final = 2048
TOO_LARGE: Final = (
    "The session policy that holds the call down to its targets is larger than AWS takes. Split the plan: name fewer targets in "
    "one call, in several steps or in several requests."
)
READER: Final = "countersign-read"
_ONCE: Final = Config(
    connect_timeout=CONNECT_TIMEOUT, read_timeout=READ_TIMEOUT, retries={"total_max_attempts": 1, "mode": "standard"}
)
_AGAIN: Final = Config(
    connect_timeout=CONNECT_TIMEOUT, read_timeout=REPEATED_TIMEOUT, retries={"total_max_attempts": _TIMES, "mode": "standard"}
)


@dataclass(frozen=True, slots=True)
class Keys:
    """Credentials. Only the id may be shown."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


@dataclass
class Session:
    """The executor's role in one account and region, for 900 seconds. Close it, or use it as a context manager."""

    keys: Keys
    region: str
    arn: str
    expires: float = 0.0
    _clients: dict[tuple[str, bool], Any] = field(default_factory=dict, repr=False)
    _begun: set[str] = field(default_factory=set, repr=False)

    @property
    def access_key_id(self) -> str:
        """What CloudTrail writes beside every call of this session."""
        return self.keys.access_key_id

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the credentials simply run out."""
        for one in self._clients.values():
            one.close()
        self._clients.clear()

    def mutate(self, service: str, operation: str, parameters: Mapping[str, Any]) -> Answer:
        """Make the call once, on one wire attempt, and name the answer. Never raises for what AWS or the network does."""
        no_open_transaction()
        call = getattr(self._client(service, once=True), xform_name(operation))
        self._begun.discard(operation)
        try:
            found = call(**parameters)
        except Exception as error:
            # Whatever it is: never sent, or by its code, or unknown. Nothing is ever tried again here.
            answer = of_error(error, was_begun=operation in self._begun)
            if isinstance(answer, Unknown):
                log.exception("a call has no answer that can be used", extra={"operation": f"{service}:{operation}"})
            return answer
        metadata = found.pop("ResponseMetadata", {})
        return Accepted(found, request_id_of(metadata))

    def _note_that_it_begins(self, event_name: str, **_: Any) -> None:
        """Right before the bytes of a request go out, whatever request it is."""
        self._begun.add(event_name.rpartition(".")[2])

    def ready_for(self, service: str) -> None:
        """Make the client of a mutation, so that nothing but the call is left. Raises WrongAccount, AwsUnavailable."""
        with translated():
            self._client(service, once=True)

    def must_be_itself(self, account: KnownAccount, *, ready_for: str) -> None:
        """Ask AWS who this session is before anything is done with it, and make the client of the mutation while it answers.

        Raises WrongAccount unless it is the session that was assumed, of that account; AwsRefused, AwsUnavailable.
        """
        self._client("sts", once=False)  # before the other: one is made at a time, and this one is waited for
        with ThreadPoolExecutor(max_workers=1) as beside:
            ready = beside.submit(self.ready_for, ready_for)
            found = self.read("sts", "GetCallerIdentity", {})
        if not found:
            raise AwsUnavailable("AWS did not say whose session it is.")
        if (found.get("Account"), found.get("Arn")) != (account.id, self.arn):
            raise WrongAccount(f"The session is {found.get('Arn')} of {found.get('Account')}, not {self.arn}. Nothing was sent.")
        ready.result()

    def read(self, service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Make a reading call. Raises AwsRefused with AWS's code, AwsUnavailable."""
        with translated():
            found: dict[str, Any] = getattr(self._client(service, once=False), xform_name(operation))(**parameters)
        found.pop("ResponseMetadata", None)
        return found

    def _client(self, service: str, *, once: bool) -> Any:
        if (known := self._clients.get((service, once))) is not None:
            return known
        with _making:
            if (service, once) not in self._clients:
                made = client(service, self.region, keys=self.keys, config=_ONCE if once else _AGAIN)
                must_be_of(made.meta.partition, made.meta.region_name, self.arn.split(":")[1], self.region)
                made.meta.events.register("after-call", must_be_whole)
                made.meta.events.register_last("request-created", _not_sent_elsewhere)
                if once:
                    made.meta.events.register("before-call.s3", _not_redirected)
                    made.meta.events.register("before-send", self._note_that_it_begins)
                self._clients[service, once] = made
            return self._clients[service, once]


class Reads(Protocol):
    """What can make reading calls."""

    def read(self, service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Raises AwsRefused with AWS's code, and what else an AwsError is."""


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """Reading calls under one session policy, by a session that whoever reads the same shares. It can change nothing.

    The session is assumed when it is needed, renewed before it runs out and closed when nobody needs it any more.
    """

    account: KnownAccount
    policy: str
    region: str

    def read(self, service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Make a reading call. Raises AwsRefused with AWS's code, AwsUnavailable, PolicyTooLarge, WrongAccount."""
        session = self._session()
        try:
            return session.read(service, operation, parameters)
        except AwsRefused as error:
            if error.code not in NO_SUCH_CREDENTIALS:
                raise
        # They were taken back before their time; what only reads may be asked once more.
        _readings.drop(session)
        return self._session().read(service, operation, parameters)

    def _session(self) -> Session:
        one = self.account
        key = (one.id, one.partition, one.executor_role_arn, one.external_id, self.region, self.policy)
        return _readings.get(key, self._assumed)

    def _assumed(self) -> tuple[Session, float]:
        # The SourceIdentity is that of no execution, so that no record of these calls is ever taken for a proof.
        source = f"read-{sha256(self.policy.encode()).hexdigest()[:32]}"
        found = assume(self.account, source, self.policy, region=self.region, name=READER)
        return found, found.expires - READING_MARGIN


def reading(account: KnownAccount, policy: str, *, region: str) -> Reading:
    """What reads in the account as its executor role, held down to `policy`. Makes no call by itself."""
    return Reading(account, policy, region)


def must_be_of(partition: str, region: str, wanted_partition: str, wanted_region: str) -> None:
    """Raise WrongAccount when what is about to be called lies in another partition or region than what was signed."""
    if partition != wanted_partition or region not in {wanted_region, f"{wanted_partition}-global"}:
        raise WrongAccount(f"It is in {region} of {partition}, not in {wanted_region} of {wanted_partition}. Nothing was sent.")


def _not_redirected(context: dict[str, Any], **_: Any) -> None:
    """Tell botocore that it followed S3's redirection already: it would send the call again, to a region that nobody signed."""
    context.setdefault("s3_redirect", {})["redirected"] = True


def _not_sent_elsewhere(request: Any, **_: Any) -> None:
    """Take from a request how it found its endpoint: told that it was wrong, botocore would find another and send it there.

    It does so whatever number of attempts it was told, and without an end (`botocore.discovery.EndpointDiscoveryHandler`).
    """
    request.context.pop("discovery", None)


_base: dict[tuple[str, str], Any] = {}
_boto: list[boto3.Session] = []
# A boto3 session is not safe to make clients with from two threads; the clients it makes are.
_making = threading.RLock()


def client(service: str, region: str, *, keys: Keys | None = None, config: Config | None = None) -> Any:
    """A new boto3 client, with the given keys or this process's own."""
    given = (
        {
            "aws_access_key_id": keys.access_key_id,
            "aws_secret_access_key": keys.secret_access_key,
            "aws_session_token": keys.session_token or None,
        }
        if keys
        else {}
    )
    with _making:
        if not _boto:
            _boto.append(_session())
        make: Any = _boto[0].client  # typed for services written out, which these are not
        return make(service, region_name=region, config=config or _AGAIN, **given)


def _session() -> boto3.Session:
    """A boto3 session over botocore's own models alone: a file in a home directory must not change what a call is."""
    core = BotocoreSession()
    core.register_component("data_loader", _models())
    return boto3.Session(botocore_session=core)


@lru_cache(maxsize=1)
def _models() -> Loader:
    """What every session loads models by. Not the catalog's: clients change the models that they are made of (S3's paths)."""
    return Loader(include_default_search_paths=False, extra_search_paths=[Loader.BUILTIN_DATA_PATH])


# Sessions that only read: an assumption of the role for every look would be most of what a look costs.
_readings: Kept[Session] = Kept(Session.close, most=MOST_READINGS)


def forget() -> None:
    """Close every client and forget every credential; the next call reads the environment again."""
    with _making:
        for one in _base.values():
            one.close()
        _base.clear()
        _boto.clear()
    _readings.clear()


def own(service: str, region: str) -> Any:
    """A client with this process's own keys, kept until `forget`."""
    with _making:
        if (service, region) not in _base:
            _base[service, region] = client(service, region)
        return _base[service, region]


# --- the executor's role ---


class Allowed(NamedTuple):
    """One statement of a session policy: these actions on these ARNs, under a condition of IAM's if there is one."""

    actions: Sequence[str]
    arns: Sequence[str]
    condition: Mapping[str, Any] | None = None


def session_policy(statements: Sequence[Allowed]) -> str:
    """The inline policy that allows exactly this. What looks like a policy variable in a name (`${aws:UserAgent}`) is a name."""
    found = [
        {"Effect": "Allow", "Action": list(one.actions), "Resource": _literally(one.arns)}
        | ({"Condition": _literally(one.condition)} if one.condition else {})
        for one in statements
        if one.actions
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": found}, separators=(",", ":"))


def _literally(value: Any) -> Any:
    # Source: IAM User Guide, "IAM policy elements: Variables and tags": `${$}` is the character itself.
    if isinstance(value, str):
        return value.replace("${", "${$}{")
    if isinstance(value, Mapping):
        return {key: _literally(inner) for key, inner in value.items()}
    return [_literally(one) for one in value]


def must_fit(policy: str) -> None:
    """Raise PolicyTooLarge for a session policy that AWS takes in no case."""
    if len(policy) > LONGEST_POLICY:
        raise PolicyTooLarge(f"{TOO_LARGE} It has {len(policy)} characters, and AWS takes {LONGEST_POLICY}.")


def assume(
    account: KnownAccount,
    source_identity: str,
    policy: str,
    *,
    region: str,
    name: str,
    tags: Mapping[str, str] | None = None,
) -> Session:
    """A fresh session of the account's executor role, held down to `policy`.

    `source_identity` is the execution's id, which CloudTrail then writes beside every call; `name` the session's name. Tags are
    dropped when policy and tags together are too large. Raises AwsRefused, AwsUnavailable, PolicyTooLarge, WrongAccount.
    """
    wanted: dict[str, Any] = {
        "RoleArn": account.executor_role_arn,
        "RoleSessionName": name,
        "ExternalId": account.external_id,
        "SourceIdentity": source_identity,
        "DurationSeconds": SESSION_SECONDS,
        "Policy": policy,
    }
    if tags:
        wanted["Tags"] = [{"Key": key, "Value": value} for key, value in tags.items()]
    must_fit(policy)
    must_be_of(regions.partition_of(region), region, account.partition, region)
    sts: STSClient = own("sts", region)
    try:
        with translated():
            found: dict[str, Any] = dict(sts.assume_role(**wanted))
    except AwsRefused as error:
        if error.code != "PackedPolicyTooLarge":
            raise
        if tags:
            return assume(account, source_identity, policy, region=region, name=name)
        raise PolicyTooLarge(f"{TOO_LARGE} {error}") from error
    if "AssumedRoleUser" not in found or "Credentials" not in found:
        raise AwsUnavailable("AWS answered without a session.")
    arn = found["AssumedRoleUser"]["Arn"]
    role = account.executor_role_arn.rsplit("/", 1)[-1]
    expected = f"arn:{account.partition}:sts::{account.id}:assumed-role/{role}/{name}"
    if arn != expected:
        raise WrongAccount(f"The session is {arn}, not {expected}. Nothing was done with it.")
    given = found["Credentials"]
    keys = Keys(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    return Session(keys, region, arn, given["Expiration"].timestamp())
