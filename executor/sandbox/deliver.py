"""EventBridge: records to the queues and topics of the rules that match them, in order, as AWS delivers them.

Source: EventBridge User Guide, "AWS service events delivered via CloudTrail" (the envelope; reading events are left out
unless a rule asks for all management events). moto matches the patterns and keeps the rules and queues, but its own
delivery leaves `account` out of the envelope and asks no queue policy.
"""

import json
import logging
import random
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from moto.events.models import Rule, events_backends
from moto.sns.models import sns_backends
from moto.sqs.models import Message, sqs_backends

from executor.sandbox.judge import may_send
from executor.sandbox.record import Record

log = logging.getLogger(__name__)

_ALL_EVENTS = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
_READING = ("Get", "List", "Describe")
# The two reading calls that EventBridge delivers all the same.
_DELIVERED_READING = frozenset({"GetFederationToken", "GetSessionToken"})


@dataclass(frozen=True)
class Faults:
    """What delivery does wrong on purpose. Rates are between 0 and 1; `seed` makes the same faults happen again."""

    delay: float = 0.0
    duplicate: float = 0.0
    drop: float = 0.0
    seed: int = 0


class Delivery:
    """One thread that takes records in the order in which they were made and puts them on queues."""

    def __init__(self, state: threading.RLock, faults: Faults) -> None:
        self._state = state
        self._faults = faults
        self._chance = random.Random(faults.seed)  # noqa: S311  # faults, not secrets
        self._waiting: SimpleQueue[tuple[float, Record] | threading.Event | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="sandbox-delivery", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stops after what is being delivered; records still waiting are lost, as the whole state of moto is."""
        self._waiting.put(None)
        self._thread.join(timeout=2 + self._faults.delay)

    def accept(self, record: Record) -> None:
        """Takes a record for delivery and returns at once."""
        self._waiting.put((time.monotonic() + self._faults.delay, record))

    def wait(self) -> None:
        """Returns when everything that was accepted so far has been delivered, or the delivery has stopped."""
        reached = threading.Event()
        self._waiting.put(reached)
        while self._thread.is_alive() and not reached.wait(0.1):
            continue

    def _run(self) -> None:
        while (entry := self._waiting.get()) is not None:
            if isinstance(entry, threading.Event):
                entry.set()
                continue
            due, record = entry
            time.sleep(max(0.0, due - time.monotonic()))
            if self._chance.random() < self._faults.drop:
                continue
            copies = 2 if self._chance.random() < self._faults.duplicate else 1
            with self._state:
                for _ in range(copies):
                    deliver(record)


def deliver(record: Record) -> int:
    """Sends a record to the targets of every rule of its account and region that matches; returns the number of targets."""
    event = envelope(record)
    sent = 0
    for rule in _rules(record):
        if rule.event_pattern.matches_event(event):  # type: ignore[arg-type]  # moto types its own events only
            sent += sum(_send(rule, target["Arn"], event) for target in rule.targets)
    return sent


def envelope(record: Record) -> dict[str, Any]:
    """The EventBridge event that carries a CloudTrail record."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "AWS API Call via CloudTrail",
        "source": f"aws.{record['eventSource'].partition('.')[0]}",
        "account": record["recipientAccountId"],
        "time": record["eventTime"],
        "region": record["awsRegion"],
        "resources": [],
        "detail": record,
    }


def _rules(record: Record) -> Iterator[Rule]:
    """The rules of the default bus that receive this kind of event at all."""
    account, name = record["recipientAccountId"], record["eventName"]
    by_default = name in _DELIVERED_READING or not name.startswith(_READING)
    bus = events_backends[account][record["awsRegion"]].event_buses["default"]
    for rule in list(bus.rules.values()):
        if rule.scheduled_expression is None and (rule.state == _ALL_EVENTS or (rule.state == "ENABLED" and by_default)):
            yield rule


def _send(rule: Rule, target: str, event: dict[str, Any]) -> bool:
    _, _, service, region, account, name = target.split(":", 5)
    topic = sns_backends[account][region].topics.get(target) if service == "sns" else None
    if topic is None and (service != "sqs" or name not in sqs_backends[account][region].queues):
        log.warning("rule %s has a target that the local AWS cannot reach: %s", rule.name, target)
        return False
    if not may_send(target, "events.amazonaws.com", rule.arn, rule.account_id):
        log.warning("the policy of %s does not let rule %s send", target, rule.name)
        return False
    if topic is not None:
        topic.publish(json.dumps(event, separators=(",", ":")))
        return True
    # Not by moto's send_message, which counts the messages of the queue each time, three times over.
    queue = sqs_backends[account][region].queues[name]
    message = Message(str(uuid.uuid4()), json.dumps(event, separators=(",", ":")))
    message.mark_sent(delay_seconds=int(getattr(queue, "delay_seconds", 0)))
    queue.add_message(message)
    return True
