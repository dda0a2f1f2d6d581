"""Quorums of groups, reasons and tickets, as they are decided and as the claim judges them again."""

from __future__ import annotations

import pytest
from django.utils import timezone

from approvals import authority, clearance, decisions
from approvals.errors import Refused
from approvals.models import ApprovalRequest, Execution
from tests.approvals.test_clearance import clear
from tests.cast import seal, with_carol

OWNERS = {"groups": {"Owners": 1}}


@pytest.fixture
def world(db, tmp_path, settings):
    """Seal a world under these rules, in which bob and carol may review, and carol alone is of the group Owners."""
    return lambda **rules: seal(tmp_path, settings, change=with_carol, **rules)


def state_of(request):
    return ApprovalRequest.objects.get(pk=request.pk).state


class TestGroups:
    def test_an_approver_of_the_named_group_is_waited_for(self, world):
        """One approval is asked for, and it has to be an owner's: bob's leaves it pending, carol's settles it."""
        cast = world(**OWNERS)
        request = cast.pending()
        cast.sign_review(request, "bob")
        assert state_of(request) == "pending"
        cast.sign_review(request, "carol")
        assert state_of(request) == "approved"
        clear(cast, Execution.objects.get())

    def test_one_person_counts_for_the_number_and_for_the_group(self, world):
        """carol alone is enough where one approval is asked for, and it is an owner's."""
        cast = world(**OWNERS)
        cast.sign_review(cast.pending(), "carol")
        clear(cast, Execution.objects.get())

    def test_who_left_the_group_counts_no_more_at_once(self, world):
        """Between ceremony and signature, and between approval and claim: the group is read again each time."""
        cast = world(**OWNERS)
        first = cast.pending()
        cast.sign_review(first, "carol")
        execution = Execution.objects.get()
        walked = authority.walk(cast.genesis)
        cast.person("carol").logins.get().user.groups.clear()
        with pytest.raises(Refused, match="0 of 1 from Owners"):
            clearance.clear(execution, walked, decisions.relying_party(), now=timezone.now())
        second = cast.pending(TableName="prod-customers")
        cast.sign_review(second, "carol")
        assert state_of(second) == "pending"

    def test_a_group_that_the_tables_alone_know_is_none_at_the_claim(self, world):
        """Whoever writes bob into the group without the chain's signatures gains nothing: tables and authority must agree."""
        from django.contrib.auth.models import Group

        cast = world(**OWNERS)
        request = cast.pending()
        walked = authority.walk(cast.genesis)
        cast.person("bob").logins.get().user.groups.add(Group.objects.get(name="Owners"))
        cast.sign_review(request, "bob")
        assert state_of(request) == "approved"
        with pytest.raises(Refused, match="0 of 1 from Owners"):
            clearance.clear(Execution.objects.get(), walked, decisions.relying_party(), now=timezone.now())


class TestReasons:
    def test_where_no_reason_is_asked_for_none_is_needed_but_for_a_denial(self, world):
        """The guardrail may leave it out; whoever is denied still learns why."""
        from approvals.states import Verdict

        cast = world(reason=False)
        request = cast.sign_confirm(cast.filed(), reason="")
        with pytest.raises(Refused, match="Give a reason"):
            cast.sign_review(request, "bob", Verdict.DENY, reason=" ")
        cast.sign_review(request, "bob", reason="")
        assert state_of(request) == "approved"

    @pytest.mark.parametrize("reason", ["because", "OPS-", "DEVOPS-12", "ops 12"])
    def test_a_reason_without_its_ticket_is_refused(self, world, reason):
        """The message says what a ticket looks like here; nothing was signed."""
        cast = world(ticket="OPS-#")
        request = cast.filed()
        with pytest.raises(Refused, match="OPS-#"):
            cast.sign_confirm(request, reason=reason)
        assert (state_of(request), request.current_revision().signatures.count()) == ("draft", 0)

    def test_a_reason_with_its_ticket_is_taken(self, world):
        """Anywhere in the reason, as a word of its own; the approver's own reason needs none."""
        cast = world(ticket="OPS-#")
        request = cast.sign_confirm(cast.filed(), reason="emptied, see ops-77.")
        cast.sign_review(request, "bob", reason="looked")
        assert state_of(request) == "approved"


class TestASecondQuorum:
    """What was signed and what the authority asks for now must both be met."""

    def test_a_newer_version_that_asks_for_more_holds_at_the_claim(self, world):
        """A group that the guardrail names by now is demanded, although nobody signed that version."""
        from dataclasses import replace

        cast = world()
        cast.sign_review(cast.pending(), "bob")
        walked = authority.walk(cast.genesis)
        name, (number, text_hash, rules) = next(iter(walked.guardrails.items()))
        newer = replace(rules, groups=(("Owners", 1),))
        later = replace(walked, guardrails={name: (number + 1, text_hash, newer)})
        with pytest.raises(Refused, match="0 of 1 from Owners"):
            clearance.clear(Execution.objects.get(), later, decisions.relying_party(), now=timezone.now())
        clearance.clear(Execution.objects.get(), walked, decisions.relying_party(), now=timezone.now())
