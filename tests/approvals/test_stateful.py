"""The real verbs on the real PostgreSQL against the model: random persons, logins, rights, clocks, replays and claims.

Each rule asks the model (`tests/approvals/model`) what must happen, does it, and compares: the same refusal, the same state.
After each step the rows are compared with the model and the invariants are asserted from the stored signatures alone.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import hypothesis
import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.db.models import Max
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from approvals import audit, decisions, ingest, permissions
from approvals.authority import chain
from approvals.ceremonies import Ceremony
from approvals.errors import BadSignature, CountersignError, WrongState
from approvals.models import (
    Alert,
    ApprovalRequest,
    Execution,
    Guardrail,
    GuardrailUserPermission,
    Person,
    Signature,
)
from approvals.signatures import Assertion
from approvals.states import RequestState, Verdict
from executor import claim, inspect
from tests.approvals import company
from tests.approvals.model import request as model
from tests.approvals.model import search
from tests.approvals.model.guards import (
    ADOPT,
    APPROVE,
    CONFIRM,
    EDIT,
    GLASS,
    RETURN,
    REVIEW,
    SIGN,
    STOP,
    TABLE,
    Guards,
)
from tests.approvals.model.people import LOGINS, RIGHTS, human_behind
from tests.approvals.model.request import Request, Rule, Scope
from tests.cast import ACCOUNT, REGION, Cast, envelope, trail_record
from tests.executor import stage

# Of each guardrail.
EXAMPLES = int(os.environ.get("SOAK_STATEFUL", "8"))
RULES = {
    "prod-one": Rule(),
    "prod-two": Rule(approvals=2),
    "prod-open": Rule(unconfirmed=True),
    "prod-owned": Rule(approvals=2, owners=1),
    "prod-glass": Rule(break_glass=True),
}
GUARDS = Guards()
ROWS = """
SELECT q.state, q.revision_number, coalesce(p.handle, ''),
    ARRAY(SELECT DISTINCT a.handle::text FROM approvals_revision v JOIN approvals_person a ON a.id = v.author_id
          WHERE v.request_id = q.id ORDER BY 1),
    ARRAY(SELECT a.handle || ' ' || w.verdict FROM approvals_review w JOIN approvals_person a ON a.id = w.person_id
          WHERE w.revision_id = r.id ORDER BY 1),
    coalesce((SELECT a.handle FROM approvals_signature s JOIN approvals_person a ON a.id = s.person_id
              WHERE s.revision_id = r.id AND s.verdict = 'confirm'), ''),
    coalesce((SELECT e.state FROM approvals_execution e WHERE e.revision_id = r.id), '')
FROM approvals_approvalrequest q JOIN approvals_revision r ON r.request_id = q.id AND r.number = q.revision_number
LEFT JOIN approvals_person p ON p.id = q.requester_id WHERE q.id = %(request)s
"""
logins = st.sampled_from(LOGINS)
reviewers = st.sampled_from(["bob", "carol", "erin"])
verdicts = st.sampled_from([Verdict.APPROVE, Verdict.DENY])
# Of four times that something may end or a clock may run out it does once: else nothing would ever be carried out.
seldom = st.integers(1, 4)


@dataclass
class Opened:
    """A ceremony that somebody's passkey has answered, and how often it was handed in."""

    login: str
    ceremony: Ceremony
    assertion: Assertion
    used: bool = False


class OneRequest(RuleBasedStateMachine):
    """One request of the company's, by the product and by the model. `expected` is the model's."""

    cast: Cast
    table: str

    def __init__(self) -> None:
        super().__init__()
        # The example is one transaction that is never committed. Django knows of none: nothing of ours calls AWS within one.
        transaction.set_autocommit(False)
        self.opened: list[Opened] = []
        self.differs: set[str] = set()  # whose right the tables alone gave or took
        self.execution = ""  # of the current revision, as the model has it: "", ready, claimed, aborted
        self.seen_at: datetime | None = None  # when the executor read the target for the current revision

    def teardown(self) -> None:
        try:
            with transaction.atomic():
                assert audit.verify().holds
        finally:
            transaction.rollback()
            transaction.set_autocommit(True)
        # The next example's world is this one's former state: to a process that walked the newer chain that is a lie.
        chain.forget()

    @initialize(how=st.sampled_from(["filed", "alice", "robo", "mallory"]), far=st.integers(0, 4), chance=seldom)
    def begins(self, how: str, far: int, chance: int) -> None:
        """Filed by alice, or a denied call of hers, of a bot's or of nobody's that is known; and how far it has come already."""
        self.rule = RULES[self.table]
        self.scope = Scope(self.table, self.rule)
        if how == "filed" or self.rule.break_glass:
            how = "filed"
            self.pk = decisions.file(Person.objects.get(handle="alice"), **self._plan()).pk
        else:
            record = trail_record("DeleteTable", self.table, how)
            ingest.ingest([ingest.Message(str(uuid4()), envelope(record))])
            self.pk = ApprovalRequest.objects.get(records__event_id=record["eventID"]).pk
        requester = {"filed": "alice", "mallory": ""}.get(how, how)
        self.expected: Request = model.begun("filed" if how == "filed" else "event", requester, self.rule)
        if chance < 4:
            self._is_read()
        for login in ("erin", "bob", "carol", "bob")[:far]:
            self._goes_on(login)

    # --- who signs what ---

    @rule(login=logins, verdict=st.sampled_from(list(Verdict)))
    def opens_a_ceremony(self, login: str, verdict: Verdict) -> None:
        self._open(login, verdict, self._signing_refused(login, verdict))

    @precondition(lambda self: self.opened)
    @rule(data=st.data(), late=st.integers(0, 9))
    def hands_a_signature_in(self, data: st.DataObject, late: int) -> None:
        """Any of those that were ever made: the newest, one over an earlier revision, one that was used."""
        one = data.draw(st.sampled_from(self.opened[::-1]), "signature")
        self._hand_in(one, too_late=late == 9)

    @rule(login=logins, verdict=verdicts)
    def reviews_at_once(self, login: str, verdict: Verdict) -> None:
        """A ceremony and its answer, as most people sign."""
        if self._open(login, verdict, self._signing_refused(login, verdict)):
            self._hand_in(self.opened[-1])

    @rule()
    def is_confirmed_at_once(self) -> None:
        login = self.expected.requester or "alice"
        if self._open(login, Verdict.CONFIRM, self._signing_refused(login, Verdict.CONFIRM)):
            self._hand_in(self.opened[-1])

    @rule(login=reviewers)
    def goes_on(self, login: str) -> None:
        """What most people would do next, so that requests get far."""
        self._goes_on(login)

    # Drawn as often as several others together.
    goes_on_then = goes_on_still = goes_on

    def _goes_on(self, login: str) -> None:
        state = self.expected.state
        if state is RequestState.DRAFT and self.expected.requester in ("", "robo"):
            self.adopts(login)
        elif state is RequestState.DRAFT and self.rule.break_glass and login == "bob":
            if self._open("alice", Verdict.BREAK_GLASS, self._signing_refused("alice", Verdict.BREAK_GLASS)):
                self._hand_in(self.opened[-1])
        elif state is RequestState.DRAFT:
            self.is_confirmed_at_once()
        elif state is RequestState.PENDING:
            self.reviews_at_once(login, Verdict.APPROVE)
        elif self.execution:
            self.a_worker_comes()

    # --- what needs no signature ---

    @rule(login=logins)
    def edits(self, login: str) -> None:
        refused = GUARDS.refused("only_the_requester", self.expected, self._who(login)) or GUARDS.refused(
            EDIT, self.expected, self._who(login)
        )
        number, (step,) = self.expected.revision, self._steps()
        if self._same(refused, login, lambda who: decisions.complete(self.pk, who, parameters=step[1], number=number)):
            self._become(model.next_revision(self.expected, GUARDS, human_behind(login)), "")

    @rule(login=logins)
    def adopts(self, login: str) -> None:
        refused = GUARDS.refused(ADOPT, self.expected, self._who(login))
        if self._same(refused, login, lambda who: decisions.adopt(self.pk, who)):
            self._become(model.adopted(self.expected, human_behind(login)), self.execution)

    @rule(login=logins)
    def sends_back(self, login: str) -> None:
        refused = GUARDS.refused(RETURN, self.expected, self._who(login))
        if self._same(refused, login, lambda who: decisions.send_back(self.pk, who, message="say why")):
            self._become(model.next_revision(self.expected, GUARDS), "")

    @rule(login=logins, chance=seldom)
    def stops(self, login: str, chance: int) -> None:
        if chance < 4:
            return
        refused = GUARDS.refused(STOP, self.expected, self._who(login))
        if self._same(refused, login, lambda who: decisions.stop(self.pk, who, reason="not this one")):
            self._end(RequestState.DENIED)

    @rule(login=logins, end=st.sampled_from([RequestState.WITHDRAWN, RequestState.DISOWNED]), chance=seldom)
    def ends(self, login: str, end: RequestState, chance: int) -> None:
        if chance < 4:
            return
        refused: Any = GUARDS.refused("only_the_requester claimed_is_settled", self.expected, self._who(login))
        open_ = self.expected.state in (RequestState.DRAFT, RequestState.PENDING, RequestState.APPROVED)
        if not refused and ((end is RequestState.DISOWNED and self.expected.source == "filed") or not open_):
            refused = WrongState
        verb = decisions.withdraw if end is RequestState.WITHDRAWN else decisions.disown
        if self._same(refused, login, lambda who: verb(self.pk, who)):
            self._end(end)

    @rule()
    def is_swept(self) -> None:
        """The beat of expiry ends what is over, and nothing else."""
        over = self.expected.late and self.expected.state.value in {"draft", "pending", "approved"} and not self._claimed
        # What is approved expires by the sweep once it has an execution that nobody claimed.
        assert decisions.expire() == int(over)
        if over:
            self._end(RequestState.EXPIRED)

    # --- what asks nobody ---

    @precondition(lambda self: not self.expected.late and self.expected.state.value in {"draft", "pending", "approved"})
    @rule(chance=seldom)
    def time_passes(self, chance: int) -> None:
        """The clock of the state that it is in runs out, whatever the sweep does."""
        if chance < 4:
            return
        column = f"{self.expected.state}_until"
        ApprovalRequest.objects.filter(pk=self.pk).update(**{column: timezone.now() - timedelta(seconds=1)})
        self.expected = self.expected._replace(late=True)

    @rule(login=reviewers, lawful=st.booleans())
    def a_right_changes(self, login: str, lawful: bool) -> None:
        """Taken away, or given back: by a change that two administrators signed, or in the tables alone."""
        taken = login in self.expected.rights
        name = f"on-{self.table}"
        if lawful and not self.differs:
            try:
                edit = "revoke" if taken else "grant"
                self.cast.changed({"edit": edit, "guardrail": name, "login": login}, signers=("dana", "frank"))
            except CountersignError:
                return  # too few would be left
        else:
            user, guardrail = get_user_model().objects.get(username=login), Guardrail.objects.get(name=name)
            if taken:
                GuardrailUserPermission.objects.filter(user=user, content_object=guardrail).delete()
            else:
                known = GuardrailUserPermission.objects.filter(content_object=guardrail).first()
                GuardrailUserPermission.objects.create(user=user, permission=known.permission, content_object=guardrail)
            self.differs ^= {login}
        self.expected = self.expected._replace(rights=self.expected.rights ^ {login})

    @rule(person=st.sampled_from(["alice", "bob", "erin"]))
    def somebody_is_switched(self, person: str) -> None:
        """Every login of a person goes off, or on again."""
        on = person not in self.expected.active
        for user in get_user_model().objects.filter(login__person__handle=person):
            user.is_active = on
            user.save(update_fields=["is_active"])
        self.expected = self.expected._replace(active=self.expected.active ^ {person})

    # --- the executor reads ---

    @precondition(lambda self: not self.seen_at)
    @rule()
    def is_read_late(self) -> None:
        """What was not read yet, or could not be because the tables were forged."""
        self._is_read()

    def _is_read(self) -> None:
        """The target in AWS, for the current revision. A draft that nobody has signed becomes the next revision, with what holds.

        Of forged rows nothing is read.
        """
        revision = ApprovalRequest.objects.get(pk=self.pk).current_revision()
        found = inspect.observe(revision)
        inspect.freeze(revision, found)
        self.seen_at = found[0].taken_at if all(one.text for one in found) else None
        assert bool(self.seen_at) is not bool(self.differs)
        number = ApprovalRequest.objects.get(pk=self.pk).revision_number
        assert number == revision.number or (self.seen_at and self.expected.state is RequestState.DRAFT)
        self.expected = self.expected._replace(revision=number)

    @property
    def _was_seen(self) -> bool:
        """Whether the target was read before the last signature that counts now."""
        seen = self.expected
        counted = {login for login, vote in zip(LOGINS, seen.votes, strict=True) if vote and login in seen.rights & seen.active}
        if self.rule.unconfirmed:
            counted.add(seen.confirmed)
        signed = Signature.objects.filter(revision__request=self.pk, revision__number=seen.revision)
        last = signed.filter(person__handle__in=counted).aggregate(at=Max("created_at"))["at"]
        return self.seen_at is not None and self.seen_at <= last

    # --- the claim ---

    @precondition(lambda self: self.execution)
    @rule()
    def a_worker_comes(self) -> None:
        """It claims what the model clears, ends what the model ends, and opens again what is lost."""
        execution = Execution.objects.get(revision__request=self.pk, revision__number=self.expected.revision)
        found = claim.take(execution.pk)
        if self.execution != "ready":
            assert found is None
            return
        verdict = search.judged(self.scope, GUARDS, self.expected, self.expected.revision)
        if verdict == "clear" and not (self.expected.glass or self._was_seen):
            verdict = "lost"  # nobody had seen what it acts on
        execution.refresh_from_db()
        if isinstance(found, claim.Cleared):
            assert verdict == "clear"
            assert not self.differs
            assert (execution.state, execution.token) == ("claimed", 1)
            self.execution = "claimed"
            return
        assert (found, execution.state) == (None, "aborted")
        self.execution = "aborted"
        if self.differs:
            # The tables differ from the signed chain, whoever is concerned: a forgery, and nothing is opened again.
            assert Alert.objects.filter(kind="forgery", request=self.pk).exists()
            return
        assert verdict in ("ended", "lost")
        if verdict == "lost":
            self._become(model.next_revision(self.expected, GUARDS), "")

    @rule()
    def a_worker_comes_for_a_former_revision(self) -> None:
        """What was sent back after its approval left a promise behind: it is worth nothing and changes nothing."""
        former = Execution.objects.filter(revision__request=self.pk, revision__number__lt=self.expected.revision)
        for execution in former.exclude(state="claimed"):
            assert claim.take(execution.pk) is None
            execution.refresh_from_db()
            assert execution.state == "aborted"

    # --- after each step ---

    @invariant()
    def the_rows_are_as_expected(self) -> None:
        """State, revision, requester, editors, reviews and execution are what the model says."""
        if not hasattr(self, "expected"):
            return
        seen = self.expected
        votes = {human_behind(login): vote for login, vote in zip(LOGINS, seen.votes, strict=True) if vote}
        with connection.cursor() as cursor:
            cursor.execute(ROWS, {"request": self.pk})
            (row,) = cursor.fetchall()
        assert tuple(row) == (
            seen.state,
            seen.revision,
            seen.requester,
            sorted(seen.authors),
            sorted(f"{person} {'approve' if vote == 'a' else 'deny'}" for person, vote in votes.items()),
            seen.confirmed,
            self.execution,
        )

    @invariant()
    def what_was_claimed_was_signed_by_two(self) -> None:
        """I1, I12 from the stored signatures alone: a quorum over this digest, nobody who asked, no denial."""
        if not self._claimed:
            return
        for execution in Execution.objects.filter(state="claimed").select_related("revision__request__requester"):
            request = execution.revision.request
            assert request.state == "approved"
            signed = list(Signature.objects.filter(revision=execution.revision).values_list("person", "verdict"))
            approvers = {person for person, verdict in signed if verdict == "approve"}
            assert not approvers & request.editors()
            assert not any(verdict == "deny" for _, verdict in signed)
            assert Person.objects.filter(pk__in=approvers, is_human=True).count() == len(approvers)
            if not request.break_glass:
                assert len(approvers) >= self.rule.approvals
                assert len({person for person, _ in signed}) >= 2
            assert Execution.objects.filter(revision__request=request, state="claimed").count() == 1

    # --- how it is compared ---

    @property
    def _claimed(self) -> bool:
        return self.execution == "claimed"

    def _who(self, login: str) -> Any:
        return GUARDS.who(self.expected, login, claimed=self._claimed)

    def _plan(self) -> dict[str, Any]:
        return {"account_id": ACCOUNT, "region": REGION, "steps": self._steps()}

    def _steps(self) -> list[tuple[str, dict[str, Any]]]:
        if self.rule.break_glass:
            return [("dynamodb:UpdateTable", {"TableName": self.table, "DeletionProtectionEnabled": False})]
        return [("dynamodb:DeleteTable", {"TableName": self.table})]

    def _same(self, refused: Any, login: str, verb: Any) -> bool:
        """Do it as this login; the product and the model refuse alike. True when it was done.

        Nothing is rolled back around a refusal: what `consume` used up stays used, as it does in a request of the web's.
        """
        due = TABLE[refused].refusal if isinstance(refused, str) and refused else refused or None
        person = permissions.person_of(get_user_model().objects.get(username=login))
        if person is None:
            # Nobody who is switched off gets as far as a verb.
            assert human_behind(login) not in self.expected.active
            return False
        try:
            verb(person)
        except CountersignError as refusal:
            said: CountersignError | None = refusal
        else:
            said = None
        assert (type(said) if said else None) is due, f"{type(said).__name__}: {said}; the model says {refused or 'done'}"
        return said is None

    def _open(self, login: str, verdict: Verdict, refused: Any) -> bool:
        made: list[Ceremony] = []
        if not self._same(refused, login, lambda who: made.append(decisions.begin(self.pk, who, verdict))):
            return False
        self.opened.append(Opened(login, made[0], self.cast.assertion(human_behind(login), made[0])))
        return True

    def _signing_refused(self, login: str, verdict: Verdict) -> str:
        who = self._who(login)
        if verdict in (Verdict.APPROVE, Verdict.DENY):
            return GUARDS.refused(REVIEW, self.expected, who)
        refused = GUARDS.refused(CONFIRM, self.expected, who)
        if verdict is Verdict.BREAK_GLASS:
            refused = refused or GUARDS.refused(GLASS, self.expected, self.rule)
        return refused

    def _hand_in(self, one: Opened, *, too_late: bool = False) -> None:
        verdict, digest = one.ceremony.verdict, one.ceremony.digest
        ceremony = "o" if digest == ApprovalRequest.objects.get(pk=self.pk).current_revision().digest else "x"
        refused = self._signature_refused(one, ceremony, too_late=too_late)
        now = timezone.now() + timedelta(minutes=6) if too_late else None
        signed: dict[str, Any] = {
            "digest": digest,
            "nonce": one.ceremony.nonce,
            "assertion": one.assertion,
            "reason": "looked at it",
            "now": now,
        }
        verb = {
            Verdict.CONFIRM: partial(decisions.confirm, self.pk, **signed),
            Verdict.BREAK_GLASS: partial(decisions.break_glass, self.pk, **signed),
        }.get(verdict, partial(decisions.review, self.pk, verdict=verdict, **signed))
        done = self._same(refused, one.login, verb)
        one.used = one.used or human_behind(one.login) in self.expected.active
        if not done:
            return
        if verdict is Verdict.CONFIRM:
            move = model.confirmed(self.rule, GUARDS, self.expected)
        elif verdict is Verdict.BREAK_GLASS:
            move = model.glass_broken(self.expected)
        elif verdict is Verdict.DENY:
            move = model.denied(GUARDS, self.expected, one.login)
        else:
            move = model.approved(self.rule, GUARDS, self.expected, one.login)
        self._become(move.request, move.execution or self.execution)

    def _signature_refused(self, one: Opened, ceremony: str, *, too_late: bool) -> Any:
        if one.used:
            return BadSignature
        verdict = one.ceremony.verdict
        refused = self._signing_refused(one.login, verdict)
        refused = refused or GUARDS.refused("digest_is_compared", self.expected, ceremony)
        if verdict is Verdict.APPROVE:
            refused = refused or GUARDS.refused(APPROVE, self.expected, ceremony)
        if too_late:
            return refused or BadSignature
        if verdict in (Verdict.APPROVE, Verdict.DENY):
            refused = refused or GUARDS.refused(SIGN, self.expected, self._who(one.login))
        return refused

    def _become(self, request: Request, execution: str) -> None:
        is_another = request.revision != self.expected.revision
        self.expected, self.execution = request, execution
        if is_another:
            self._is_read()

    def _end(self, state: RequestState) -> None:
        self.expected = self.expected._replace(state=state)


@pytest.mark.slow
@pytest.mark.parametrize("table", RULES)
def test_the_product_does_what_the_model_says(tmp_path, settings, cloned_database, table):
    """Whatever people do in whatever order, each verb refuses, and each row stands, as the searched model says."""
    settings.OUTBOX_NUDGE = ""
    sealed = company.seal(tmp_path, settings, grants=sorted(RIGHTS - {"al"}))
    machine = type("OneRequest", (OneRequest,), {"cast": sealed, "table": table})
    with stage.reading_tables([table]):
        run_state_machine_as_test(
            machine,
            settings=hypothesis.settings(
                max_examples=EXAMPLES,
                stateful_step_count=40,
                deadline=None,
                # Making a failure small takes minutes on a database; the steps that failed are printed as they were.
                phases=[hypothesis.Phase.explicit, hypothesis.Phase.reuse, hypothesis.Phase.generate],
                suppress_health_check=list(hypothesis.HealthCheck),
                print_blob=True,
            ),
        )
