"""Changing authority: by administrators who sign, never by one; refused where the chain would not hold; applied as a whole."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from approvals import audit, authority, changes, permissions
from approvals.errors import (
    AlreadyReviewed,
    BadChange,
    BadSignature,
    Expired,
    NotAllowed,
    Refused,
    StaleChange,
    StaleRevision,
    WrongState,
)
from approvals.models import (
    Account,
    Alert,
    AuditEntry,
    AuthorityChange,
    AuthorityLink,
    AuthoritySettings,
    GuardrailVersion,
    OutboxMessage,
    Passkey,
    Person,
)
from approvals.policies import rules_from_text
from approvals.states import Verdict
from tests.cast import forged, noise

CAROL_REVIEWS = {"edit": "grant", "guardrail": "dynamodb-production", "login": "carol"}
BOBS_USER = "arn:aws:iam::111122223333:user/bob"


def reviewable(cast, handle):
    return permissions.reviewable_by(cast.person(handle))


class TestTwoAdministrators:
    """Who may change what, and how many it takes."""

    def test_nothing_changes_before_the_second_signature(self, cast):
        """A proposal alone is inert, and so is one signature under it."""
        change = cast.proposed(CAROL_REVIEWS)
        assert not reviewable(cast, "carol")
        cast.sign_change(change, "dana")
        assert not OutboxMessage.objects.filter(kind="apply").exists()
        assert changes.apply(change.pk) is False
        assert not reviewable(cast, "carol")
        # Whoever can write the outbox can promise too early: that ends nothing and alarms nobody.
        assert (AuthorityChange.objects.get().state, Alert.objects.count()) == ("open", 0)
        cast.sign_change(change, "erin")
        assert changes.apply(change.pk)
        authority.walk(cast.genesis)

    def test_two_signatures_change_it(self, cast):
        """What two administrators signed is applied, and the chain from the pinned genesis says so."""
        change = cast.changed(CAROL_REVIEWS)
        assert change.state == "applied"
        assert reviewable(cast, "carol") == {"dynamodb-production"}
        walked = authority.walk(cast.genesis)
        assert walked.rights_at(str(cast.person("carol").pk), timezone.now()) == {"dynamodb-production"}
        assert AuthorityLink.objects.count() == 2

    def test_a_right_that_was_given_decides(self, cast):
        """Carol approves under her new right, and the executor's own judgement agrees."""
        from approvals.clearance import clear
        from approvals.decisions import relying_party
        from approvals.models import Execution

        cast.changed(CAROL_REVIEWS)
        request = cast.sign_review(cast.pending(), "carol")
        execution = Execution.objects.get(revision__request=request)
        assert clear(execution, authority.walk(cast.genesis), relying_party(), now=timezone.now()).steps

    @pytest.mark.parametrize("handle", ["alice", "bob", "carol", "olivia"])
    def test_others_propose_and_do_not_sign(self, cast, handle):
        """Whoever is no administrator may propose; his signature is refused, so two administrators decide all the same."""
        change = cast.proposed(CAROL_REVIEWS, by=handle)
        with pytest.raises(NotAllowed, match="Administrators sign"):
            cast.sign_change(change, handle)

    def test_nobody_signs_twice(self, cast):
        """One person is one signature, however often he asks."""
        change = cast.proposed(CAROL_REVIEWS)
        cast.sign_change(change, "dana")
        with pytest.raises(AlreadyReviewed):
            cast.sign_change(change, "dana")
        assert changes.apply(change.pk) is False

    def test_whoever_gains_does_not_sign(self, cast):
        """A grant, passkey or flag for an administrator is signed by two others."""
        change = cast.proposed({**CAROL_REVIEWS, "login": "erin"})
        with pytest.raises(NotAllowed, match="gain something"):
            cast.sign_change(change, "erin")
        cast.sign_change(change, "dana")
        cast.sign_change(change, "frank")
        assert changes.apply(change.pk)
        assert reviewable(cast, "erin") == {"dynamodb-production"}

    def test_a_denial_ends_it(self, cast):
        """One administrator who denies ends a change for good, whoever signed before."""
        change = cast.proposed(CAROL_REVIEWS)
        cast.sign_change(change, "dana")
        cast.sign_change(change, "erin", Verdict.DENY, "carol left the team")
        with pytest.raises(WrongState, match="carol left the team"):
            cast.sign_change(change, "frank")
        assert changes.apply(change.pk) is False
        assert not reviewable(cast, "carol")

    def test_the_proposer_takes_it_back(self, cast):
        """A proposal is withdrawn by who made it, and by nobody else."""
        change = cast.proposed(CAROL_REVIEWS)
        with pytest.raises(NotAllowed):
            changes.withdraw(change.pk, cast.person("erin"))
        assert changes.withdraw(change.pk, cast.person("dana")).state == "withdrawn"

    def test_more_signers_can_be_asked_for(self, cast):
        """The number of signatures is itself authority: raised to three (with a fourth administrator), two no longer do."""
        with pytest.raises(BadChange, match="lock everybody out"):
            cast.proposed({"edit": "set_settings", "signers": 3})
        cast.changed(
            {"edit": "set_person", "person": "olivia", "administrator": True},
            {"edit": "set_settings", "signers": 3},
        )
        change = cast.proposed(CAROL_REVIEWS)
        cast.sign_change(change, "dana")
        cast.sign_change(change, "erin")
        assert changes.apply(change.pk) is False
        change = cast.proposed(CAROL_REVIEWS)
        for handle in ("dana", "erin", "frank"):
            cast.sign_change(change, handle)
        assert changes.apply(change.pk)

    def test_a_second_change_that_was_signed_meanwhile_is_stale(self, cast):
        """Signatures are over (new state, state before): what follows an older link is not applied; it can be proposed again."""
        first, second = cast.proposed(CAROL_REVIEWS), cast.proposed({"edit": "set_settings", "checkpoint_every": 600})
        for change in (second, first):
            cast.sign_change(change, "dana")
            cast.sign_change(change, "erin")
        assert changes.apply(first.pk)
        assert changes.apply(second.pk) is False
        second.refresh_from_db()
        assert second.state == "stale"
        again = changes.propose_again(second.pk, cast.person("dana"))
        for handle in ("dana", "erin"):
            cast.sign_change(again, handle)
        assert changes.apply(again.pk)
        assert AuthoritySettings.objects.get().checkpoint_every == 600

    def test_a_proposal_has_a_clock(self, cast):
        """After its time a change is neither signed nor applied, whether or not the sweep came."""
        change = cast.proposed(CAROL_REVIEWS)
        cast.sign_change(change, "dana")
        cast.sign_change(change, "erin")
        late = timezone.now() + timedelta(days=8)
        with pytest.raises(Expired):
            changes.begin(change.pk, cast.person("frank"), Verdict.APPROVE, now=late)
        assert changes.apply(change.pk, now=late) is False
        change.refresh_from_db()
        assert (change.state, reviewable(cast, "carol")) == ("expired", frozenset())

    def test_a_reason_is_wanted(self, cast):
        """Nobody signs what nobody explains."""
        with pytest.raises(Refused, match="reason"):
            changes.propose(cast.person("dana"), [CAROL_REVIEWS], reason="  ")

    def test_what_happened_is_in_the_trail(self, cast):
        """Proposal, signatures and application are audited, with the edits and the new link's hash."""
        change = cast.changed(CAROL_REVIEWS)
        kinds = list(AuditEntry.objects.filter(kind__startswith="change.").order_by("sequence").values_list("kind", flat=True))
        assert kinds == ["change.proposed", "change.signed", "change.signed", "change.applied"]
        assert change.digest in AuditEntry.objects.get(kind="change.applied").body
        assert audit.verify().holds


class TestSignatures:
    """What is signed, and with what."""

    def ceremony(self, cast, change, handle="dana", verdict=Verdict.APPROVE):
        opened = changes.begin(change.pk, cast.person(handle), verdict)
        fields = {"digest": opened.digest, "verdict": verdict, "nonce": opened.nonce, "reason": "r"}
        return opened, fields

    def test_another_person_s_passkey_does_not_sign(self, cast):
        """Erin's key over dana's challenge is nobody's signature."""
        change = cast.proposed(CAROL_REVIEWS)
        opened, fields = self.ceremony(cast, change)
        with pytest.raises(BadSignature, match="not one of yours"):
            changes.sign(change.pk, cast.person("dana"), assertion=cast.assertion("erin", opened), **fields)

    def test_a_forged_answer_is_refused_and_its_challenge_used_up(self, cast):
        """A signature that does not verify cannot be tried again with the same challenge."""
        change = cast.proposed(CAROL_REVIEWS)
        opened, fields = self.ceremony(cast, change)
        real = cast.assertion("dana", opened)
        with pytest.raises(BadSignature, match="not made by the registered passkey"):
            changes.sign(change.pk, cast.person("dana"), assertion=forged(real, signature=noise()), **fields)
        with pytest.raises(BadSignature, match="used already"):
            changes.sign(change.pk, cast.person("dana"), assertion=real, **fields)

    def test_an_approval_is_no_denial(self, cast):
        """The verdict is part of what is signed."""
        change = cast.proposed(CAROL_REVIEWS)
        opened, fields = self.ceremony(cast, change)
        with pytest.raises(BadSignature):
            changes.sign(
                change.pk, cast.person("dana"), assertion=cast.assertion("dana", opened), **{**fields, "verdict": Verdict.DENY}
            )

    def test_a_signature_for_one_change_is_none_for_another(self, cast):
        """A challenge belongs to one change."""
        one, other = cast.proposed(CAROL_REVIEWS), cast.proposed({"edit": "set_settings", "checkpoint_every": 600})
        opened, fields = self.ceremony(cast, one)
        with pytest.raises((BadSignature, StaleRevision)):
            changes.sign(other.pk, cast.person("dana"), assertion=cast.assertion("dana", opened), **fields)

    def test_a_decision_s_signature_is_no_change_s(self, cast):
        """The two kinds have domains of their own: bytes that approve a request never change authority."""
        from approvals import signatures

        nonce, digest = b"n" * 32, "ab" * 32
        assert signatures.challenge(digest, Verdict.APPROVE, nonce) != signatures.challenge(
            digest, Verdict.APPROVE, nonce, domain=signatures.AUTHORITY
        )

    def test_a_ceremony_lapses(self, cast):
        """Five minutes, then it is begun again."""
        change = cast.proposed(CAROL_REVIEWS)
        opened, fields = self.ceremony(cast, change)
        with pytest.raises(BadSignature, match="five minutes"):
            changes.sign(
                change.pk,
                cast.person("dana"),
                assertion=cast.assertion("dana", opened),
                now=timezone.now() + timedelta(minutes=6),
                **fields,
            )


class TestEdits:
    """Each kind of edit changes the tables to exactly what was signed."""

    def test_a_new_person_comes_with_a_login_and_an_identity(self, cast):
        """A person who joins: handle, login, principal, group, right; nothing of it was there before."""
        cast.changed(
            {"edit": "add_person", "handle": "gina", "name": "Gina Gray", "email": "gina@example.com"},
            {"edit": "add_sign_on", "person": "gina", "login": "gina", "provider": "oidc", "subject": "s-1"},
            {"edit": "add_principal", "person": "gina", "kind": "iam_user", "value": "arn:aws:iam::111122223333:user/gina"},
            {"edit": "add_member", "group": "Approvers", "login": "gina"},
            {**CAROL_REVIEWS, "login": "gina"},
        )
        gina = Person.objects.get(handle="gina")
        assert reviewable(cast, "gina") == {"dynamodb-production"}
        assert not gina.logins.get().user.has_usable_password()
        assert permissions.groups_of([gina.pk])[gina.pk] == {"Approvers"}
        authority.walk(cast.genesis)

    def test_a_person_who_leaves_counts_nowhere(self, cast):
        """Switched off by a change: no right, no login that gets in."""
        cast.changed(
            {"edit": "set_person", "person": "carol", "active": False},
            {"edit": "remove_login", "person": "carol", "login": "carol"},
        )
        assert not reviewable(cast, "carol")
        assert not cast.person("carol").logins.exists()
        authority.walk(cast.genesis)

    def test_a_guardrail_gets_a_version_and_the_old_one_stays(self, cast):
        """A changed guardrail is a new version; the one that plans pin stays as it was."""
        rules = rules_from_text(GuardrailVersion.objects.get().text)
        from approvals import canonical

        said = canonical.loads(rules.text()) | {"description": "stricter"}
        cast.changed({"edit": "put_guardrail", "rules": said})
        assert list(GuardrailVersion.objects.order_by("number").values_list("number", flat=True)) == [1, 2]
        assert authority.walk(cast.genesis).guardrails["dynamodb-production"][0] == 2

    def test_an_account_is_added_with_its_tags(self, cast):
        """Accounts are authority: role, external id, regions and tags are signed."""
        cast.changed(
            {
                "edit": "put_account",
                "id": "444455556666",
                "alias": "Staging",
                "partition": "aws",
                "regions": ["eu-west-1"],
                "executor_role_arn": "arn:aws:iam::444455556666:role/CountersignExecutor",
                "external_id": "another",
                "environment": "staging",
                "tags": {"tier": "two"},
            }
        )
        assert Account.objects.get(pk="444455556666").tags == {"tier": "two"}
        assert authority.walk(cast.genesis).accounts["444455556666"].tags == {"tier": "two"}

    @pytest.mark.parametrize(
        ("edit", "says"),
        [
            ({"edit": "grant", "guardrail": "no-such", "login": "carol"}, "no guardrail 'no-such'"),
            ({"edit": "grant", "guardrail": "dynamodb-production", "login": "nobody"}, "no login 'nobody'"),
            ({"edit": "grant", "guardrail": "dynamodb-production"}, "one login or to one group"),
            ({"edit": "revoke", "guardrail": "dynamodb-production", "login": "carol"}, "no such right"),
            ({"edit": "revoke", "guardrail": "dynamodb-production", "login": "bob"}, "asks for 1 approval"),
            ({"edit": "set_person", "person": "nobody", "active": False}, "no person 'nobody'"),
            ({"edit": "set_person", "person": "bob", "active": "no"}, "yes or no"),
            ({"edit": "set_person", "person": "bob"}, "Nothing is changed"),
            ({"edit": "set_person", "person": "dana", "administrator": False}, "lock everybody out"),
            ({"edit": "add_person", "handle": "bob", "name": "Another Bob"}, "bob already"),
            ({"edit": "add_person", "handle": "Bob!", "name": "x"}, "handle"),
            ({"edit": "add_principal", "person": "carol", "kind": "iam_user", "value": BOBS_USER}, "belongs to one"),
            ({"edit": "add_principal", "person": "carol", "kind": "sso_user", "value": "*"}, "stars alone"),
            ({"edit": "add_principal", "person": "carol", "kind": "root", "value": "x"}, "kind"),
            ({"edit": "remove_passkey", "person": "dana", "credential_id": "nonsense"}, "no such passkey"),
            ({"edit": "put_guardrail", "rules": {"name": "x"}}, "Guardrail x"),
            ({"edit": "put_account", "id": "12"}, "12 digits"),
            ({"edit": "set_settings", "signers": 1}, "from 2"),
            ({"edit": "conquer"}, "no edit 'conquer'"),
            ({"edit": "grant", "login": "carol"}, "lacks guardrail"),
            ({"edit": "add_login", "person": "carol", "login": "bob"}, "belongs to one"),
            ({"edit": "invite", "person": "nobody"}, "no person"),
        ],
    )  # fmt: skip
    def test_what_does_not_fit_is_refused_with_the_reason(self, cast, edit, says):
        """An edit that cannot be, or would leave authority that nobody could live with, says why; nothing is kept."""
        with pytest.raises(BadChange, match=says):
            cast.proposed(edit)
        assert not AuthorityChange.objects.exists()

    def test_a_lost_key_does_not_lock_everybody_out(self, cast):
        """Dana's passkeys are taken away and she is invited anew by the other two: a reset by two persons."""
        key = Passkey.objects.get(person__handle="dana")
        change = cast.changed(
            {"edit": "remove_passkey", "person": "dana", "credential_id": key.credential_id},
            {"edit": "invite", "person": "dana"},
            by="erin",
            signers=("erin", "frank"),
        )
        assert change.state == "applied"
        assert not Passkey.objects.filter(person__handle="dana").exists()
        with pytest.raises(NotAllowed, match="no registered passkey"):
            cast.sign_change(cast.proposed(CAROL_REVIEWS, by="erin"), "dana")


class TestDatedRights:
    """Rights between two dates, and rights that somebody lent."""

    def dated(self, cast, **more):
        return cast.changed({**CAROL_REVIEWS, **more})

    def test_a_right_holds_between_its_dates(self, cast):
        """Before its beginning and from its end on a right is none, in the tables and in the chain alike."""
        now = timezone.now()
        self.dated(cast, starts=(now + timedelta(hours=1)).isoformat(), ends=(now + timedelta(hours=2)).isoformat())
        carol = cast.person("carol")
        walked = authority.walk(cast.genesis)
        for hours, holds in ((0, False), (1.5, True), (2.5, False)):
            moment = now + timedelta(hours=hours)
            assert bool(permissions.rights_of([carol.pk], at=moment)[carol.pk]) is holds, hours
            assert bool(walked.rights_at(str(carol.pk), moment)) is holds, hours

    def test_a_delegation_is_dated(self, cast):
        """Nobody lends a right for ever."""
        with pytest.raises(BadChange, match="has an end"):
            cast.proposed({**CAROL_REVIEWS, "delegated_by": "bob"})

    def test_nobody_delegates_the_right_of_somebody_else(self, cast):
        """The proposal stands in the name of who lends; an administrator may write it down for him."""
        edit = {**CAROL_REVIEWS, "delegated_by": "bob", "ends": (timezone.now() + timedelta(days=2)).isoformat()}
        for handle in ("alice", "carol"):
            with pytest.raises(NotAllowed, match="bob proposes this"):
                cast.proposed(edit, by=handle)
        assert cast.proposed(edit, by="bob").state == cast.proposed(edit, by="dana").state == "open"

    def test_a_delegation_holds_while_its_lender_holds(self, cast):
        """Carol reviews for bob; when bob's own right goes, hers goes with it at once."""
        until = (timezone.now() + timedelta(days=1)).isoformat()
        self.dated(cast, delegated_by="bob", ends=until)
        assert reviewable(cast, "carol") == {"dynamodb-production"}
        walked = authority.walk(cast.genesis)
        assert walked.rights_at(str(cast.person("carol").pk), timezone.now())
        Person.objects.filter(handle="bob").update(is_active=False)
        assert not reviewable(cast, "carol")

    def test_whoever_asks_does_not_choose_his_reviewer_by_delegation(self, cast):
        """Bob files a request and carol holds only what bob lent her: she does not decide it."""
        until = (timezone.now() + timedelta(days=1)).isoformat()
        self.dated(cast, delegated_by="bob", ends=until)
        request = cast.sign_confirm(cast.filed(by="bob"), "bob")
        with pytest.raises(NotAllowed, match="no right"):
            cast.sign_review(request, "carol")
        bob, carol = str(cast.person("bob").pk), str(cast.person("carol").pk)
        walked = authority.walk(cast.genesis)
        assert not walked.rights_at(carol, timezone.now(), apart_from=frozenset({bob}))
        assert cast.sign_review(cast.pending(), "carol").state == "approved"

    def test_what_was_lent_is_not_lent_on(self, cast):
        """A delegation of a delegation gives nothing."""
        until = (timezone.now() + timedelta(days=1)).isoformat()
        self.dated(cast, delegated_by="bob", ends=until)
        cast.changed({**CAROL_REVIEWS, "login": "olivia", "delegated_by": "carol", "ends": until})
        assert not reviewable(cast, "olivia")
        assert not authority.walk(cast.genesis).rights_at(str(cast.person("olivia").pk), timezone.now())


class TestBehindIt:
    """What the database itself refuses."""

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE approvals_authoritychange SET next_state = '{}'",
            "UPDATE approvals_authoritychange SET digest = repeat('0', 64)",
            "UPDATE approvals_authoritychange SET state = 'applied'",
            "DELETE FROM approvals_authoritychange",
            "UPDATE approvals_changesignature SET verdict = 'approve'",
            "DELETE FROM approvals_changesignature",
            "UPDATE approvals_changechallenge SET consumed_at = NULL",
            "UPDATE approvals_authoritylink SET state = '{}'",
            "DELETE FROM approvals_authoritylink",
        ],
    )
    def test_what_was_proposed_and_signed_stays(self, cast, statement):
        """A change, its signatures and the chain are never edited or deleted, not even by the tables' owner with triggers on."""
        change = cast.proposed(CAROL_REVIEWS)
        cast.sign_change(change, "dana")
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)

    def test_what_ended_stays_ended(self, cast):
        """A withdrawn change is not opened again."""
        change = changes.withdraw(cast.proposed(CAROL_REVIEWS).pk, cast.person("dana"))
        with pytest.raises(IntegrityError), transaction.atomic():
            AuthorityChange.objects.filter(pk=change.pk).update(state="open")

    def test_a_tampered_table_is_built_on_by_nobody(self, cast):
        """With a forged row in the tables nothing is applied on top of it, and the alarm is the gravest."""
        change = cast.proposed({"edit": "set_settings", "checkpoint_every": 600})
        cast.sign_change(change, "dana")
        cast.sign_change(change, "erin")
        Passkey.objects.create(person=cast.person("bob"), credential_id="x", public_key="x", label="mine")
        assert changes.apply(change.pk) is False
        assert Alert.objects.get().kind == "forgery"
        assert AuthorityLink.objects.count() == 1

    def test_a_stale_form_says_so(self, cast):
        """Another change was applied while somebody read this one: he is told, and what he signed is not counted."""
        open_one = cast.proposed({"edit": "set_settings", "checkpoint_every": 600})
        opened = changes.begin(open_one.pk, cast.person("frank"), Verdict.APPROVE)
        cast.changed(CAROL_REVIEWS)
        with pytest.raises((StaleChange, WrongState)):
            changes.sign(
                open_one.pk,
                cast.person("frank"),
                digest=opened.digest,
                verdict=Verdict.APPROVE,
                nonce=opened.nonce,
                assertion=cast.assertion("frank", opened),
            )

    def test_an_unknown_change_is_nothing(self, cast):
        """A promise that names no change is kept by doing nothing."""
        assert changes.apply(UUID(int=7)) is False


def test_nobody_floods_the_proposals(cast):
    """Twenty of one person's are open at a time: another person's are proposed and applied as before."""
    for number in range(20):
        mine = cast.proposed({"edit": "set_person", "person": "carol", "name": f"Carol {number}"}, by="alice")
    with pytest.raises(Refused, match="wait for signatures"):
        cast.proposed(CAROL_REVIEWS, by="alice")
    cast.changed(CAROL_REVIEWS)
    mine.refresh_from_db()
    assert mine.state == "stale"
    cast.proposed({**CAROL_REVIEWS, "edit": "revoke"}, by="alice")
