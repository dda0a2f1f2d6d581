"""Fifty threads on one request, round after round: approve, deny, withdraw, edit, send back, stop, expire, claim at once.

SOAK_ROUNDS sets how many rounds (`make soak`: 1,000). A round that fails names its number, which is also its seed.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone

from approvals import audit, decisions
from approvals.models import ApprovalRequest, Execution, OutboxMessage, Review, Signature
from approvals.states import RequestState, Verdict
from executor import claim
from tests.approvals import company
from tests.approvals.crowd import Came, Crowd
from tests.cast import ACCOUNT, REGION, Cast
from tests.executor import stage

ROUNDS = int(os.environ.get("SOAK_ROUNDS", "30"))
# One person may file so many requests a day, however they end: then the rounds go on in a world of their own.
IN_ONE_WORLD = 100
THREADS = 50
QUORUM = 3
TABLE = {"TableName": "prod-crowd"}
REVIEWERS = ("bob", "carol", *company.MORE)
_READY = """
SELECT q.state, (
    SELECT e.id FROM approvals_execution e JOIN approvals_revision r ON r.id = e.revision_id
    WHERE r.request_id = q.id AND e.state = 'ready' ORDER BY e.id LIMIT 1
) FROM approvals_approvalrequest q WHERE q.id = %s
"""
REFUSALS = {"done", "AlreadyReviewed", "BadSignature", "Expired", "StaleRevision", "WrongState"}


@pytest.fixture
def crowded(cloned_database: str, tmp_path: Any, settings: Any) -> Iterator[Cast]:
    """A guardrail that asks for three of eight reviewers, in a database for threads; an executor that reads in a local AWS."""
    settings.OUTBOX_NUDGE = ""
    # What is claimed here never ends, and all of it is alice's: nothing is to wait for a place.
    settings.EXECUTIONS_PER_ACCOUNT = settings.EXECUTIONS_PER_SERVICE = settings.EXECUTIONS_PER_REQUESTER = IN_ONE_WORLD
    cast = company.seal(tmp_path, settings, grants=REVIEWERS, tables={"prod-crowd": {"approvals": QUORUM}})
    cast.before_signing = stage.read
    with stage.reading_tables(["prod-crowd"]):
        yield cast


@pytest.fixture
def fifty(crowded: Cast) -> Iterator[Crowd]:
    with Crowd(THREADS) as crowd:
        yield crowd


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, ROUNDS, IN_ONE_WORLD))
def test_fifty_threads_on_one_request(crowded: Cast, fifty: Crowd, first: int) -> None:
    """Whatever the interleaving: one outcome, distinct persons, no claim without a quorum or after a no, and the trail holds."""
    ends: Counter[str] = Counter()
    for number in range(first, min(first + IN_ONE_WORLD, ROUNDS)):
        ends[_round(crowded, fifty, random.Random(number), number)] += 1  # noqa: S311 - a seed to repeat it by
        if ROUNDS <= 50 or number % 50 == 49:
            assert audit.verify().holds
    assert audit.verify().holds
    print(dict(ends))
    assert ends["claimed"]
    assert ends["denied"] + ends["withdrawn"] + ends["expired"]


def _round(cast: Cast, crowd: Crowd, dice: random.Random, number: int) -> str:
    request = cast.sign_confirm(decisions.file(cast.person("alice"), account_id=ACCOUNT, region=REGION, steps=[_step()]))
    named = _mixed(cast, request.pk, dice)
    dice.shuffle(named)
    came = crowd.at_once([call for _, call in named])
    results = [(name, result) for (name, _), result in zip(named, came, strict=True)]
    try:
        return _holds(request.pk, results)
    except AssertionError as error:
        raise AssertionError(f"round {number}: {error}; {Counter((name, result.what) for name, result in results)}") from error


def _step() -> tuple[str, dict[str, str]]:
    return ("dynamodb:DeleteTable", TABLE)


def _mixed(cast: Cast, pk: UUID, dice: random.Random) -> list[tuple[str, Callable[[], Any]]]:
    """Fifty calls by name. Each reviewer's assertion comes thrice; the rest is drawn, so that every kind wins some rounds."""
    named: list[tuple[str, Callable[[], Any]]] = []
    alice, denials = cast.person("alice"), dice.choice((0, 0, 0, 1, 2))
    number = ApprovalRequest.objects.get(pk=pk).revision_number
    for place, handle in enumerate(dice.sample(REVIEWERS, len(REVIEWERS))):
        verdict = Verdict.DENY if place < denials else Verdict.APPROVE
        named += [(str(verdict), _reviewing(cast, pk, handle, verdict))] * 3
    named += [("claim", partial(_claim, pk))] * 8
    others: list[tuple[str, Callable[[], Any]]] = [
        ("withdraw", partial(decisions.withdraw, pk, alice)),
        ("edit", partial(decisions.complete, pk, alice, parameters=TABLE, number=number)),
        ("expire", partial(_expire, pk)),
        ("send back", partial(decisions.send_back, pk, cast.person(dice.choice(REVIEWERS)), message="say why")),
        ("stop", partial(decisions.stop, pk, cast.person(dice.choice(REVIEWERS)), reason="not now")),
    ]
    # Some rounds are quiet, so that something is carried out too.
    kinds = dice.sample(others, dice.choice((0, 0, 1, 1, 2, 5)))
    while len(named) < THREADS:
        named.append(dice.choice(kinds) if kinds else ("claim", partial(_claim, pk)))
    return named


def _reviewing(cast: Cast, pk: UUID, handle: str, verdict: Verdict) -> Callable[[], Any]:
    person = cast.person(handle)
    ceremony = decisions.begin(pk, person, verdict)
    signed: dict[str, Any] = {"digest": ceremony.digest, "nonce": ceremony.nonce, "assertion": cast.assertion(handle, ceremony)}
    return partial(decisions.review, pk, person, verdict=verdict, reason="at once", **signed)


def _claim(pk: UUID) -> Any:
    """A worker that waits for something to do: what it won, or None."""
    for _ in range(20):
        # Fifty threads share one interpreter: what is only waiting leaves it to those who act.
        with connection.cursor() as cursor:
            cursor.execute(_READY, [pk])
            state, ready = cursor.fetchone()
        if ready is not None:
            return _take(ready)
        if state != RequestState.PENDING:
            return None
        time.sleep(0.05)
    return None


def _take(pk: UUID) -> Any:
    """Claim it. On a busy machine what was read can be too old by the time the row is free: then it is read again, as is due."""
    found = claim.take(pk)
    for _ in range(5):
        if not isinstance(found, claim.Later):
            break
        found = claim.take(pk)
    return found


def _expire(pk: UUID) -> int:
    """The beat on a host whose clock is far ahead: it ends what is open, whatever anybody is about to sign."""
    return decisions.expire(now=timezone.now() + timedelta(days=30))


def _holds(pk: UUID, results: list[tuple[str, Came]]) -> str:
    """Assert every invariant from the rows and from what the threads were told; how the round ended."""
    assert {result.what for _, result in results} <= REFUSALS
    told: Counter[str] = Counter(name for name, result in results if result.what == "done")
    request = ApprovalRequest.objects.get(pk=pk)
    reviews = list(Review.objects.filter(revision__request=pk).select_related("signature"))
    assert len({(one.revision_id, one.person_id) for one in reviews}) == len(reviews) == told["approve"] + told["deny"]
    assert all(one.signature.person_id == one.person_id and one.signature.verdict == one.verdict for one in reviews)
    executions = list(Execution.objects.filter(revision__request=pk).select_related("revision"))
    assert len(executions) <= 1
    assert OutboxMessage.objects.filter(kind="execute", subject__in=[str(one.pk) for one in executions]).count() == len(
        executions
    )
    won = [result.value for name, result in results if name == "claim" and isinstance(result.value, claim.Cleared)]
    claimed = [one for one in executions if one.state == "claimed"]
    assert len(won) == len(claimed)
    said_no = told["deny"] + told["withdraw"] + told["stop"] + told["edit"] + told["send back"]
    assert told["withdraw"] <= 1
    assert told["stop"] <= 1
    if claimed:
        _was_decided(claimed[0], request, said_no)
        return "claimed"
    if told["deny"] or told["stop"]:
        assert request.state == RequestState.DENIED
    return str(request.state)


def _was_decided(execution: Execution, request: ApprovalRequest, said_no: int) -> None:
    signed = list(Signature.objects.filter(revision=execution.revision).values_list("person", "verdict"))
    approvers = {person for person, verdict in signed if verdict == "approve"}
    assert (request.state, execution.token) == (RequestState.APPROVED, 1)
    assert execution.revision.number == request.revision_number
    assert len(approvers) >= QUORUM
    assert request.requester_id not in approvers
    assert not said_no, "somebody was told that it had ended, and it was claimed"


def test_one_of_fifty_workers_wins_a_claim(crowded: Cast, fifty: Crowd) -> None:
    """Fifty workers take the same execution at once: one token is won, and everybody else finds nothing to do."""
    for _ in range(3):
        request = cast_approved(crowded)
        execution = Execution.objects.get(revision__request=request)
        came = fifty.at_once([partial(_take, execution.pk)] * THREADS)
        assert Counter(type(result.value).__name__ for result in came if result.what == "done") == {"Cleared": 1, "NoneType": 49}
        execution.refresh_from_db()
        assert (execution.state, execution.token) == ("claimed", 1)
    assert audit.verify().holds


def test_one_assertion_in_sixteen_threads_is_one_signature(crowded: Cast, fifty: Crowd) -> None:
    """Row 15: the same assertion handed in sixteen times at once is one review, whatever it says; the rest is told so."""
    for verdict in (Verdict.APPROVE, Verdict.DENY) * 3:
        request = crowded.sign_confirm(
            decisions.file(crowded.person("alice"), account_id=ACCOUNT, region=REGION, steps=[_step()])
        )
        came = fifty.at_once([_reviewing(crowded, request.pk, "bob", verdict)] * 16)
        assert Counter(result.what for result in came) == {"done": 1, "BadSignature": 15}
        assert Review.objects.filter(revision__request=request).count() == 1


def cast_approved(cast: Cast) -> ApprovalRequest:
    """A request of alice's that three approved."""
    request = cast.sign_confirm(decisions.file(cast.person("alice"), account_id=ACCOUNT, region=REGION, steps=[_step()]))
    for handle in REVIEWERS[:QUORUM]:
        cast.sign_review(request, handle)
    return request
