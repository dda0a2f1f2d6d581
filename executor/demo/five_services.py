"""The story once more for five services, each with a protocol and habits of its own: refused, completed, approved, made, proven.

What stays after it: the ledger's database and the invoices' bucket are gone, the payments' key and a password wait out their
time, the web server is terminated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import jmespath
from botocore import xform_name
from botocore.exceptions import ClientError

from executor.demo.teller import Teller, must
from executor.demo.visitor import Page, Visitor
from executor.sandbox.world import DEMO


@dataclass(frozen=True)
class Wish:
    """What alice wants of a service.

    `code` is how the service says no. `told` says whether CloudTrail tells the parameters of what was denied; what it does not,
    alice enters as `typed`, by the names of form fields. `ready` is the button that puts another call in front, `calls` are all
    that the executor makes, `rehearsed` says that AWS is asked first whether it would (DryRun). `after` is how AWS shows the end:
    a reading call, and its error's code or a part of its answer.
    """

    service: str
    operation: str
    parameters: Mapping[str, Any]
    code: str
    told: bool
    sentence: str
    after: tuple[str, Mapping[str, Any], str, str]
    typed: Mapping[str, str] = field(default_factory=dict)
    ready: str = ""
    calls: tuple[str, ...] = ()
    rehearsed: bool = False

    @property
    def name(self) -> str:
        return f"{self.service}:{self.operation}"

    @property
    def made(self) -> tuple[str, ...]:
        return (*self.calls, self.operation)

    @property
    def recorded(self) -> tuple[str, ...]:
        """What CloudTrail has a record of: a rehearsal is a call too."""
        return (self.operation, *self.made) if self.rehearsed else self.made


_BUCKET, _SECRET, _DATABASE = DEMO.buckets[0], DEMO.secrets[0], "prod-ledger"
_KEY, _INSTANCE = DEMO.key_id(DEMO.key_aliases[0]), DEMO.instance_id(DEMO.instances[0])
WISHES: Final = (
    Wish(
        "rds",
        "DeleteDBInstance",
        {"DBInstanceIdentifier": _DATABASE, "SkipFinalSnapshot": True},
        "AccessDenied",
        told=False,
        sentence=f"delete database instance {_DATABASE}",
        typed={"p.FinalDBSnapshotIdentifier": f"{_DATABASE}-last"},
        ready="Switch deletion protection off first, then delete",
        calls=("ModifyDBInstance",),
        after=("describe_db_instances", {"DBInstanceIdentifier": _DATABASE}, "", "DBInstanceNotFound"),
    ),
    Wish(
        "kms",
        "ScheduleKeyDeletion",
        {"KeyId": _KEY, "PendingWindowInDays": 7},
        "AccessDeniedException",
        told=False,
        sentence=f"schedule the deletion of key {_KEY}",
        typed={"p.PendingWindowInDays": "30"},
        after=("describe_key", {"KeyId": _KEY}, "KeyMetadata.KeyState", "PendingDeletion"),
    ),
    Wish(
        "s3",
        "DeleteBucket",
        {"Bucket": _BUCKET},
        "AccessDenied",
        told=True,
        sentence=f"delete bucket {_BUCKET}",
        after=("head_bucket", {"Bucket": _BUCKET}, "", "404"),
    ),
    Wish(
        "ec2",
        "TerminateInstances",
        {"InstanceIds": [_INSTANCE]},
        "UnauthorizedOperation",
        told=True,
        sentence=f"terminate instances {_INSTANCE}",
        rehearsed=True,
        after=(
            "describe_instances",
            {"InstanceIds": [_INSTANCE]},
            "Reservations[].Instances[].State.Name | [0]",
            "terminated",
        ),
    ),
    Wish(
        "secretsmanager",
        "DeleteSecret",
        {"SecretId": _SECRET, "ForceDeleteWithoutRecovery": True},
        "AccessDeniedException",
        told=False,
        sentence="delete secret",
        typed={"p.RecoveryWindowInDays": "7"},
        after=("describe_secret", {"SecretId": _SECRET}, "DeletedDate && 'marked'", "marked"),
    ),
)


class FiveServices:
    """Its points, in order, told by a teller."""

    def __init__(self, teller: Teller) -> None:
        self._teller = teller

    def the_denials(self) -> None:
        """2. Each service refuses alice in its own format."""
        for wish in WISHES:
            operation = xform_name(wish.operation)
            self._teller.denied_by(wish.service, wish.code, "alice", operation, **wish.parameters)
        self._teller.ok(2, "RDS, KMS, S3, EC2 and Secrets Manager deny alice, each in the format of its own protocol")

    def the_records(self) -> None:
        """3. CloudTrail tells some services' parameters and not the others'."""
        for wish in WISHES:
            record = self._teller.wait(f"the record of {wish.operation}", partial(self._teller.record, wish.operation, "request"))
            told = json.loads(record["raw"])["requestParameters"] is not None
            must(told is wish.told, f"the record of {wish.operation} has {'' if told else 'no '}parameters")
            self._teller.requests[wish.name] = str(record["request_id"])
        with_them = " and ".join(wish.operation for wish in WISHES if wish.told)
        self._teller.ok(3, f"their records came: {with_them} with parameters, the other three without")

    def the_drafts(self) -> None:
        """4. Alice completes what CloudTrail does not tell, and signs each."""
        alice = self._teller.person("alice")
        for wish in WISHES:
            request = self._teller.requests[wish.name]
            how = "every parameter is in the record"
            if not wish.told:
                self._complete(alice, wish, request)
                how = f"alice enters {', '.join(name[2:] for name in wish.typed)}"
            if wish.ready:
                self._put_in_front(alice, wish, request)
                how += f" and presses “{wish.ready}”"
            alice.confirm(request, "It is replaced; nobody reads it any more.")
            self._teller.state_is(request, "pending")
            self._teller.ok(4, f"{wish.name}: {how}; signed")

    def _complete(self, alice: Visitor, wish: Wish, request: str) -> None:
        page = alice.get(alice.address(request, "complete"))
        form = page.form(having=next(iter(wish.typed)))
        target = next(iter(wish.parameters))
        must(bool(form.fields[f"p.{target}"]), f"the form of {wish.name} does not know its {target}")
        saved = alice.post(form, page, **wish.typed)
        must(saved.status == 200 and "/change/" in saved.url, f"saving {wish.name} answered {saved.status}: {saved.text[:300]}")

    def _put_in_front(self, alice: Visitor, wish: Wish, request: str) -> None:
        """Once the target was read the page says that AWS would refuse; one button adds the step that is in the way."""
        page = self._teller.wait(f"what AWS would refuse of {wish.name}", partial(self._refusing, alice, request))
        done = alice.press(page, wish.ready)
        must(done.status == 200 and "/change/" in done.url, f"the button answered {done.status}: {done.text[:300]}")
        for operation in wish.made:
            must(operation in done.text, f"the plan has no {operation}")

    def _refusing(self, alice: Visitor, request: str) -> Page | None:
        page = alice.get(alice.address(request))
        return page if "AWS refuses" in page.text else None

    def the_decisions(self) -> None:
        """5. Bob reads one page for each and approves."""
        bob = self._teller.person("bob")
        for wish in WISHES:
            request = self._teller.requests[wish.name]
            page = bob.get(bob.address(request))
            for wanted in (wish.sentence, "cannot be undone", "Approve or deny"):
                must(wanted.lower() in page.text.lower(), f"bob's page of {wish.name} does not say {wanted!r}")
            bob.decide(request, "approve", "Checked that nothing reads it.")
        self._teller.ok(5, f"bob reads one page for each of the {len(WISHES)}, approves and signs")

    def the_executions(self) -> None:
        """6. Each call is made once and settles, and CloudTrail proves it."""
        for wish in WISHES:
            execution = self._teller.wait(f"the end of {wish.name}", partial(self._teller.ended, wish.name))
            must(execution["state"] == "succeeded", f"{wish.name} is {execution['state']}: {execution['outcome']}")
            one = str(execution["id"])
            self._teller.wait(f"the proof of {wish.name}", partial(self._all_proven, one, wish))
            made = tuple(call["eventName"] for call in self._teller.calls_of(one))
            must(made == wish.recorded, f"for {wish.name} the calls {made} were made")
            found = self._seen(wish)
            must(found == wish.after[3], f"after {wish.name} AWS says {found}")
            calls = "one call" if len(wish.made) == 1 else f"{len(made)} calls ({', then '.join(made)})"
            calls += ", rehearsed first" if wish.rehearsed else ""
            self._teller.ok(6, f"{wish.name}: {calls}, settled ({found}), proven by CloudTrail")

    def _all_proven(self, execution: str, wish: Wish) -> bool:
        return self._teller.proven(execution) == len(wish.recorded)

    def _seen(self, wish: Wish) -> str:
        operation, parameters, expression, _ = wish.after
        try:
            answer = getattr(self._teller.aws("alice", wish.service), operation)(**parameters)
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return str(jmespath.search(expression, answer)) if expression else "still there"
