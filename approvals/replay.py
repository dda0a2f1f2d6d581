"""What a draft of guardrails would make of recorded events: what it gates, who would decide, what it no longer gates.

The draft stands for all guardrails there are, as a change to it would. An event is gated whether it was denied or went through:
with the guardrail in force, IAM would have denied it and it would have become a request. Reads no database.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from approvals import watch
from approvals.caller import Caller
from approvals.explanation import Explanation
from approvals.lint.findings import Surroundings
from approvals.operations import protection
from approvals.operations.catalog import Operation
from approvals.policies import Mode, Rules, reach
from approvals.trail_event import TrailEvent
from approvals.watch import Watch

# The handle of the person behind a caller; empty where nobody is.
Who = Callable[[Caller], str]


@dataclass(frozen=True, slots=True)
class Gate:
    """What one guardrail of the draft would ask of one event.

    `deciders` are those who may approve it, None where nothing is known of grants; `lacking` says why no quorum could be reached.
    """

    rules: Rules
    need: int
    deciders: tuple[str, ...] | None
    lacking: str


@dataclass(frozen=True, slots=True)
class Judged:
    """One event that the draft or today's guardrails concern. `requester` is empty where nobody is mapped to the caller."""

    place: str
    event: TrailEvent
    operation: Operation
    resources: tuple[str, ...]
    requester: str
    gates: tuple[Gate, ...]
    today: tuple[str, ...]

    @property
    def enforced(self) -> bool:
        """Whether a guardrail of the draft that enforces gates it."""
        return any(gate.rules.mode is Mode.ENFORCE for gate in self.gates)

    @property
    def lost(self) -> bool:
        """Whether today's guardrails gate it and the draft would not."""
        return bool(self.today) and not self.enforced

    def as_json(self) -> dict[str, Any]:
        """One object for a machine."""
        return {
            "place": self.place,
            "event_id": self.event.event_id,
            "event_time": self.event.event_time.isoformat(),
            "account": self.event.account,
            "region": self.event.region,
            "operation": self.operation.full_name,
            "resources": list(self.resources),
            "outcome": str(self.event.outcome),
            "caller": self.event.caller.arn or None,
            "requester": self.requester or None,
            "draft": [
                {
                    "guardrail": gate.rules.name,
                    "mode": str(gate.rules.mode),
                    "approvals": gate.need,
                    "groups": dict(gate.rules.groups),
                    "deciders": None if gate.deciders is None else list(gate.deciders),
                    "unreachable": gate.lacking or None,
                }
                for gate in self.gates
            ],
            "today": list(self.today),
            "lost": self.lost,
        }


class Replay:
    """A draft beside today's guardrails (None: not known), and what is known of accounts, persons and grants."""

    def __init__(
        self,
        draft: Sequence[Rules],
        today: Sequence[Rules] | None,
        around: Surroundings,
        *,
        roles: Mapping[str, str] | None = None,
        who: Who = lambda _: "",
    ) -> None:
        accounts = around.accounts or {}
        tags = tuple((number, tuple(sorted(place.tags.items()))) for number, place in accounts.items())
        self._draft: Watch = watch.over(tuple(draft), tags)
        self._today: Watch = watch.over(tuple(today or ()), tags)
        self._around = around
        self._roles = roles
        self._who = who

    def judge(self, found: Explanation) -> Judged | None:
        """What the draft and today's guardrails make of a record; None for what concerns neither."""
        event, operation = found.event, found.operation
        if event is None or operation is None or not self._ours(event):
            return None
        draft, today = (one.matching(event, operation, found.touched, found.conversion) for one in (self._draft, self._today))
        enforced = tuple(rules.name for rules in today if rules.mode is Mode.ENFORCE)
        if not draft and not enforced:
            return None
        requester = self._who(event.caller)
        # What is not told may lose something.
        told = found.conversion.parameters if found.has_parameters else None
        final = protection.is_loss(operation.full_name, told)
        gates = tuple(self._gate(rules, operation, requester, final=final) for rules in draft)
        return Judged(found.place, event, operation, found.resources, requester, gates, enforced)

    def _ours(self, event: TrailEvent) -> bool:
        """Whether it was made in one of our accounts, by anybody but the executor."""
        if self._roles is None:
            return True
        role = self._roles.get(event.account)
        return role is not None and event.caller.session_issuer_arn != role

    def _gate(self, rules: Rules, operation: Operation, requester: str, *, final: bool) -> Gate:
        # Where the guardrail demands a backup step, no plan without one comes to be signed.
        demanded = rules.protective_step and bool(protection.protectors(operation.full_name))
        irreversible = final and not demanded
        need = rules.approvals_needed(irreversible=irreversible)
        holders = self._around.holders_of(rules.name)
        if holders is None:
            return Gate(rules, need, None, "")
        lacking = reach.shortfall(rules, holders, without=requester, irreversible=irreversible)
        return Gate(rules, need, tuple(sorted(holders.keys() - {requester})), lacking)


@dataclass(slots=True)
class Tally:
    """What one guardrail of the draft would gate, counted."""

    rules: Rules
    events: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    requesters: Counter[str] = field(default_factory=Counter)
    unmapped: int = 0
    deciders: set[str] | None = None
    unreachable: Counter[str] = field(default_factory=Counter)

    def add(self, judged: Judged, gate: Gate) -> None:
        """Count one."""
        self.events += 1
        self.outcomes[str(judged.event.outcome)] += 1
        self.operations[judged.operation.full_name] += 1
        if judged.requester:
            self.requesters[judged.requester] += 1
        else:
            self.unmapped += 1
        if gate.deciders is not None:
            self.deciders = (self.deciders or set()) | set(gate.deciders)
        if gate.lacking and gate.rules.mode is Mode.ENFORCE:
            self.unreachable[gate.lacking] += 1

    def as_json(self) -> dict[str, Any]:
        """The counts as one object."""
        return {
            "guardrail": self.rules.name,
            "mode": str(self.rules.mode),
            "events": self.events,
            "outcomes": dict(self.outcomes),
            "operations": dict(self.operations.most_common()),
            "requesters": dict(self.requesters.most_common()),
            "unmapped": self.unmapped,
            "deciders": None if self.deciders is None else sorted(self.deciders),
            "unreachable": dict(self.unreachable),
        }


class Summary:
    """Counts over all records, a Tally for each guardrail of the draft in its order."""

    def __init__(self, draft: Sequence[Rules]) -> None:
        self.records = 0
        self.unreadable: list[str] = []
        self.gated = 0
        self.lost = 0
        self.lost_by: Counter[tuple[str, str]] = Counter()
        self.tallies = {rules.name: Tally(rules) for rules in draft}

    def add(self, found: Explanation, judged: Judged | None) -> None:
        """Count one record."""
        if not found.read:
            self.unreadable.append(found.place)
            return
        self.records += 1
        if judged is None:
            return
        self.gated += judged.enforced
        for gate in judged.gates:
            self.tallies[gate.rules.name].add(judged, gate)
        if judged.lost:
            self.lost += 1
            self.lost_by.update((name, judged.operation.full_name) for name in judged.today)

    @property
    def findings(self) -> int:
        """How many events lose their gate or could never be approved, and how many records could not be read."""
        return self.lost + sum(tally.unreachable.total() for tally in self.tallies.values()) + len(self.unreadable)

    def as_json(self) -> dict[str, Any]:
        """The counts as one object."""
        return {
            "records": self.records,
            "unreadable": len(self.unreadable),
            "gated": self.gated,
            "guardrails": [tally.as_json() for tally in self.tallies.values()],
            "lost": self.lost,
            "lost_by": [
                {"guardrail": name, "operation": operation, "events": count}
                for (name, operation), count in self.lost_by.most_common()
            ],
        }
