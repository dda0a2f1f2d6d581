"""Matching: what 990 guardrails more cost an event, looked up for the first time and again."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence

from approvals.operations import catalog
from approvals.policies import Call, Index, Mode, Rules, call_of, matches
from approvals.policies.rules import Condition, Operator
from tests.benchmarks.lines import ROUNDS, line

# A round holds every call against the guardrails this often.
_AGAIN = 20
ACCOUNTS = ("111122223333", "444455556666", "777788889999")


def lines() -> Iterator[str]:
    """One line a goal."""
    many, events = guardrails(1_000), calls(400)
    few = many[:10]
    again = _ratios(*(_held(Index(rules), events) for rules in (many, few)))
    first = _ratios(*(lambda rules=rules: _first(rules, events) for rules in (many, few)))
    one_by_one = _ratios(*(lambda rules=rules: _one_by_one(rules, events) for rules in (many, few)))
    more = f"first time {statistics.median(first):.2f}, one by one {statistics.median(one_by_one):.0f}"
    name = "matching 1,000 guardrails against an event"
    yield line(name, again, 10, "times 10 guardrails", at_most=True, digits=2, more=more)


def guardrails(count: int) -> tuple[Rules, ...]:
    """Guardrails as a large company has them: of one operation or of a service's deletions, by account, ARN and condition."""
    chance = random.Random(20261123)  # noqa: S311 - the same guardrails every time
    names = [operation.full_name for operation in catalog.curated()]
    found = []
    for number in range(count):
        name = chance.choice(names)
        service = name.partition(":")[0]
        found.append(
            Rules(
                name=f"guardrail-{number}",
                description="",
                mode=Mode.ENFORCE,
                accounts=(chance.choice((*ACCOUNTS, "*")),),
                regions=(chance.choice(("*", "eu-*", "us-east-1")),),
                operations=(f"{service}:Delete*",) if number % 10 == 0 else (name, chance.choice(names)),
                resources=(f"arn:aws:{service}:*:*:*prod-{number}*", f"arn:aws:*:*:*:*critical-{number}"),
                approvals=1,
                conditions=(Condition("Force", Operator.IS, value=True),) if number % 3 == 0 else (),
            )
        )
    return tuple(found)


def calls(count: int) -> list[Call]:
    """Calls of described operations on resources of all kinds of names."""
    chance = random.Random(20261124)  # noqa: S311 - the same calls every time
    found = []
    for number in range(count):
        operation = chance.choice(catalog.curated())
        account, region = chance.choice(ACCOUNTS), chance.choice(("eu-west-1", "us-east-1"))
        arn = f"arn:aws:{operation.service}:{region}:{account}:thing/prod-{number}"
        found.append(call_of(operation, account=account, region=region, resources=[arn], tags={}, parameters={"Force": True}))
    return found


def _held(index: Index, events: Sequence[Call]) -> Callable[[], object]:
    return lambda: [index.matching(call) for _ in range(_AGAIN) for call in events]


def _first(rules: tuple[Rules, ...], events: Sequence[Call]) -> float:
    """Seconds for calls of operations that were not looked up before; the index itself is built beforehand."""
    taken = 0.0
    for _ in range(3):
        index = Index(rules)
        began = time.process_time()
        for call in events:
            index.matching(call)
        taken += time.process_time() - began
    return taken


def _one_by_one(rules: tuple[Rules, ...], events: Sequence[Call]) -> object:
    return [one for call in events[:40] for one in rules if matches(one, call)]


def _ratios(many: Callable[[], object], few: Callable[[], object]) -> list[float]:
    """How many times as long the first takes, in interleaved rounds; a work that measures itself returns its seconds."""
    _seconds(many), _seconds(few)
    return [_seconds(many) / _seconds(few) for _ in range(ROUNDS)]


def _seconds(work: Callable[[], object]) -> float:
    # Of this process alone: a round takes milliseconds, and whatever else runs here would drown it.
    began = time.process_time()
    said = work()
    return said if isinstance(said, float) else time.process_time() - began
