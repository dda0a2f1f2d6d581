"""The forms that propose: each shows what is now, and turns what was typed into exactly these edits."""

from __future__ import annotations

import json
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse
from django.utils import timezone

from approvals import changes
from approvals.models import Account, AuthorityChange, AuthoritySettings, Guardrail, GuardrailUserPermission, Passkey, Person
from approvals.permissions import reviewable_by
from portal.change_page import url_of
from portal.proposing.fields import in_words
from tests.portal.test_pages import Page, everything_stored

BOBS_USER = "arn:aws:iam::111122223333:user/bob"


class _Form(HTMLParser):
    """The fields of form.proposal as a browser would send them; a name may have several values."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.fields: dict[str, list[str]] = {}
        self._inside, self._area, self._select, self._first = False, "", "", ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        given = {name: value or "" for name, value in attrs}
        has, name = {name for name, _ in attrs}, dict(attrs).get("name") or ""
        if tag == "form":
            self._inside = "proposal" in given.get("class", "")
        if not self._inside:
            return
        if tag == "input" and name:
            if given.get("type") in ("checkbox", "radio"):
                if "checked" in has:
                    self.fields.setdefault(name, []).append(given.get("value", "on"))
            else:
                self.fields[name] = [given.get("value", "")]
        if tag == "textarea":
            self._area, self.fields[name] = name, [""]
        if tag == "select":
            self._select = name
        if tag == "option" and ("selected" in has or self._select not in self.fields):
            self.fields[self._select] = [given.get("value", "")]

    def handle_data(self, data: str) -> None:
        if self._area:
            self.fields[self._area][0] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            # A browser drops the line break behind the opening tag.
            self.fields[self._area][0] = self.fields[self._area][0].removeprefix("\n")
            self._area = ""


def form_of(answer: Any) -> dict[str, list[str]]:
    return _Form(answer.content.decode()).fields


def propose(client: Any, url: str, *, add: tuple[str, ...] = (), **typed: Any) -> Any:
    """Open the form, press the buttons that add rows, type, send. `__` in a name stands for the dash of a row's field."""
    answer = client.get(url)
    assert answer.status_code == 200, answer.content.decode()
    for rows in add:
        answer = client.post(url, form_of(answer) | {"add": rows})
        assert answer.status_code == 200
    fields = form_of(answer) | {"reason": "it is time"}
    return client.post(url, fields | {name.replace("__", "-"): value for name, value in typed.items() if value is not None})


def edits_of(answer: Any) -> list[dict[str, Any]]:
    """The edits of the change that the answer leads to."""
    assert answer.status_code == 302, _problems(answer)
    change = AuthorityChange.objects.latest("created_at")
    assert answer.url == url_of(change)
    assert changes.is_genuine(change)
    return list(json.loads(change.edits))


def _problems(answer: Any) -> str:
    form = answer.context["form"]
    return f"{answer.context['problem']} {form.errors} {[formset.errors for formset in form.formsets.values()]}"


def address(model: str, verb: str, thing: Any = None) -> str:
    return reverse(f"admin:{model}_{verb}", args=[thing.pk] if thing is not None else [])


def person_form(cast: Any, handle: str) -> str:
    return address("approvals_person", "propose", cast.person(handle))


def guardrail() -> Guardrail:
    return Guardrail.objects.get(name="dynamodb-production")


def everywhere(cast: Any) -> list[str]:
    """Every form that proposes, except delegating."""
    return [
        address("approvals_person", "propose_new"),
        person_form(cast, "bob"),
        address("auth_group", "propose_new"),
        address("auth_group", "propose", Group.objects.get(name="Approvers")),
        address("approvals_guardrail", "propose_new"),
        address("approvals_guardrail", "propose", guardrail()),
        address("approvals_guardrail", "rights", guardrail()),
        address("approvals_account", "propose_new"),
        address("approvals_account", "propose", Account.objects.get()),
        address("approvals_authoritychange", "settings"),
    ]


@pytest.mark.slow
class TestEveryForm:
    def test_it_opens_for_administrators_alone_and_changes_nothing(self, cast, browser):
        """Looking proposes nothing; an auditor, a reviewer and a requester are told who proposes."""
        before = everything_stored()
        for url in everywhere(cast):
            answer = browser("dana").get(url)
            page = Page(answer.content.decode())
            assert (answer.status_code, page.inline, page.unlabelled) == (200, [], []), url
            assert len(page.ids) == len(set(page.ids)), url
            for handle in ("olivia", "bob", "alice"):
                assert browser(handle).get(url).status_code == 403, (url, handle)
                assert browser(handle).post(url, {"reason": "mine"}).status_code == 403, (url, handle)
        assert everything_stored() == before

    def test_nothing_typed_is_nothing_proposed(self, cast, browser):
        """A form that is sent as it was opened says that nothing would change: what it shows is what is."""
        dana = browser("dana")
        for url in everywhere(cast):
            if (url.endswith("/propose/") and url.count("/") > 5) or url.endswith(("rights/", "settings/")):
                answer = propose(dana, url)
                assert answer.status_code == 400, url
                said = answer.content.decode()
                assert "Nothing would change" in said or "says exactly this already" in said, (url, _problems(answer))
        assert not AuthorityChange.objects.exists()

    def test_a_reason_is_needed_and_nothing_is_lost_without_it(self, cast, browser):
        """The field says so, and what was typed is still there."""
        answer = propose(browser("dana"), person_form(cast, "bob"), name="Robert Brandt", reason=" ")
        assert answer.status_code == 400
        html = answer.content.decode()
        assert "Give a reason" in html
        assert 'value="Robert Brandt"' in html
        assert not AuthorityChange.objects.exists()

    def test_adding_a_row_keeps_what_was_typed_and_judges_nothing(self, cast, browser):
        """The button is the server's: no script is needed, and no error is shown before the form is sent."""
        dana = browser("dana")
        url = person_form(cast, "bob")
        fields = form_of(dana.get(url)) | {"name": "", "email": "half@", "reason": "soon", "add": "principals"}
        html = dana.post(url, fields).content.decode()
        assert "id_principals-1-value" in html
        assert 'value="half@"' in html
        assert ">soon</textarea>" in html.replace("\n", "")
        assert 'class="error"' not in html

    def test_another_change_meanwhile_is_said_and_nothing_is_taken_back(self, cast, browser):
        """A form that was opened before another change was applied does not propose to undo it unseen."""
        dana = browser("dana")
        url = person_form(cast, "bob")
        fields = form_of(dana.get(url)) | {"name": "Robert Brandt", "reason": "his wish"}
        cast.changed({"edit": "add_principal", "person": "bob", "kind": "sso_user", "value": "bob@example.com"})
        answer = dana.post(url, fields)
        assert answer.status_code == 409
        assert "since you opened this form" in answer.content.decode()
        assert 'value="Robert Brandt"' in answer.content.decode()
        assert not AuthorityChange.objects.filter(state="open").exists()

    def test_whatever_is_posted_is_answered_with_a_page(self, cast, browser):
        """Fields left out, too long, out of range, row counts that are none: refused, never an error of ours."""
        dana = browser("dana")
        for url in everywhere(cast):
            for junk in JUNK:
                answer = dana.post(url, junk)
                assert answer.status_code in (200, 400, 409), (url, junk)
        assert not AuthorityChange.objects.exists()

    def test_what_cannot_be_is_said_on_top(self, cast, browser):
        """A state that nobody could live with is refused with its reason, and the form is still filled in."""
        answer = propose(
            browser("dana"), address("auth_group", "propose_new"), add=("members",), name="Nobody", members__0__login=""
        )
        assert answer.status_code == 400
        answer = propose(browser("dana"), address("approvals_authoritychange", "settings"), signers="9")
        assert answer.status_code == 400
        assert "so that a lost key does not lock everybody out" in answer.content.decode()


JUNK = (
    {},
    {"reason": "x"},
    {"reason": "x", "seen": "nonsense"},
    {"add": "nothing of the kind"},
    {"add": "principals", "principals-TOTAL_FORMS": "a lot"},
    {"add": "windows", "windows-TOTAL_FORMS": "9" * 4000},
    *(
        {f"{rows}-TOTAL_FORMS": total, f"{rows}-INITIAL_FORMS": "-1", "reason": "x"}
        for rows in ("principals", "members", "rights", "windows", "tags")
        for total in ("-1", "100000", "0x10", "")
    ),
    {"reason": "y" * 5000, "name": "n" * 100_000, "handle": "ALICE", "approvals": "9" * 500, "signers": "-1", "id": "12"},
    {
        "hold": "99999999999999 days",
        "checkpoint_every": "9" * 30,
        "ends": "0001-01-01T00:00",
        "starts": "tomorrow",
        "lent": "no:one",
    },
)


class TestPersons:
    def test_a_new_person_with_principal_group_and_invitation_is_one_proposal(self, cast, browser):
        """One form, four edits; applied, the person is there and has an enrolment link."""
        answer = propose(
            browser("dana"),
            address("approvals_person", "propose_new"),
            add=("principals",),
            handle="gina",
            name="Gina Gold",
            email="gina@example.com",
            groups=["Approvers"],
            principals__0__kind="iam_user",
            principals__0__value="arn:aws:iam::111122223333:user/gina",
        )
        edits = edits_of(answer)
        assert [edit["edit"] for edit in edits] == ["add_person", "add_principal", "add_member", "invite"]
        change = AuthorityChange.objects.get()
        for handle in ("dana", "erin"):
            cast.sign_change(change, handle)
        assert changes.apply(change.pk)
        gina = Person.objects.get(handle="gina")
        assert (gina.invitations.count(), gina.principals.get().value) == (1, "arn:aws:iam::111122223333:user/gina")
        assert gina.logins.get().user.groups.get().name == "Approvers"
        html = browser("dana").get(address("approvals_person", "change", gina)).content.decode()
        assert "codes of who signed it" in html

    def test_flags_and_texts_become_one_edit_of_what_differs(self, cast, browser):
        """A box that is not ticked any more is a no."""
        answer = propose(browser("dana"), person_form(cast, "carol"), name="Carol C.", active=[], auditor="on")
        assert edits_of(answer) == [
            {"edit": "set_person", "person": "carol", "name": "Carol C.", "active": False, "auditor": True}
        ]

    def test_a_principal_that_is_changed_is_taken_away_and_given(self, cast, browser):
        """Rows are compared by their values; one that is ticked away is removed."""
        changed = propose(
            browser("dana"),
            person_form(cast, "bob"),
            principals__0__value="arn:aws:iam::*:user/bob",
            principals__0__precedence="5",
        )
        assert edits_of(changed) == [
            {"edit": "remove_principal", "person": "bob", "kind": "iam_user", "value": BOBS_USER},
            {"edit": "add_principal", "person": "bob", "kind": "iam_user", "value": "arn:aws:iam::*:user/bob", "precedence": 5},
        ]
        gone = propose(browser("dana"), person_form(cast, "bob"), principals__0__DELETE="on")
        assert edits_of(gone) == [{"edit": "remove_principal", "person": "bob", "kind": "iam_user", "value": BOBS_USER}]

    def test_logins_and_single_sign_on(self, cast, browser):
        """A second login and the subject that opens it are two edits in an order that works."""
        answer = propose(
            browser("dana"),
            person_form(cast, "bob"),
            add=("logins", "sign_on"),
            logins__1__login="bob.brandt",
            sign_on__0__login="bob.brandt",
            sign_on__0__provider="oidc",
            sign_on__0__subject="42",
        )
        assert edits_of(answer) == [
            {"edit": "add_login", "person": "bob", "login": "bob.brandt"},
            {"edit": "add_sign_on", "person": "bob", "login": "bob.brandt", "provider": "oidc", "subject": "42"},
        ]
        change = AuthorityChange.objects.get()
        for handle in ("dana", "erin"):
            cast.sign_change(change, handle)
        assert changes.apply(change.pk)
        assert form_of(browser("dana").get(person_form(cast, "bob")))["sign_on-0-subject"] == ["42"]

    def test_a_reset_removes_every_passkey_and_invites(self, cast, browser):
        """Whoever lost his keys gets a link, and what he lost signs nothing more."""
        key = Passkey.objects.get(person=cast.person("bob")).credential_id
        answer = propose(browser("dana"), person_form(cast, "bob"), enrolment="reset")
        edits = edits_of(answer)
        assert [edit["edit"] for edit in edits] == ["remove_passkey", "invite"]
        assert edits[0]["credential_id"] == key
        html = browser("dana").get(url_of(AuthorityChange.objects.get())).content.decode()
        assert "invite bob to register passkeys" in html

    @pytest.mark.parametrize(("chosen", "edit"), [("invite", "invite"), ("uninvite", "uninvite")])
    def test_an_enrolment_link_is_issued_or_taken_back(self, cast, browser, chosen, edit):
        """Taking back is offered while there is one."""
        html = browser("dana").get(person_form(cast, "bob")).content.decode()
        assert 'value="uninvite"' not in html
        cast.changed({"edit": "invite", "person": "bob"})
        answer = propose(browser("dana"), person_form(cast, "bob"), enrolment=chosen)
        assert [one["edit"] for one in edits_of(answer)] == [edit]

    def test_a_mistake_stands_beside_its_field(self, cast, browser):
        """The row says it, the top leads to it, nothing is proposed."""
        answer = propose(browser("dana"), person_form(cast, "bob"), principals__0__precedence="many", email="no mail")
        html = answer.content.decode()
        assert answer.status_code == 400
        assert "Enter a whole number" in html
        assert "Enter a valid email address" in html
        assert 'href="#id_principals-0-precedence"' in html


class TestGroups:
    def test_members_come_and_go(self, cast, browser):
        """One form, an edit for each."""
        group = Group.objects.get(name="Approvers")
        answer = propose(
            browser("dana"),
            address("auth_group", "propose", group),
            add=("members",),
            members__0__DELETE="on",
            members__2__login="alice",
        )
        assert edits_of(answer) == [
            {"edit": "remove_member", "group": "Approvers", "login": "bob"},
            {"edit": "add_member", "group": "Approvers", "login": "alice"},
        ]

    def test_a_group_begins_with_its_members(self, cast, browser):
        """There is no group without one."""
        answer = propose(
            browser("dana"), address("auth_group", "propose_new"), add=("members",), name="Night", members__0__login="bob"
        )
        assert edits_of(answer) == [{"edit": "add_member", "group": "Night", "login": "bob"}]


class TestRights:
    def test_a_dated_right_is_given_to_a_login_and_taken_from_another(self, cast, browser):
        """Dates are of the portal's zone; the holder stands in one field."""
        answer = propose(
            browser("dana"),
            address("approvals_guardrail", "rights", guardrail()),
            add=("rights",),
            rights__1__holder="login:carol",
            rights__1__ends="2027-03-01T18:00",
        )
        (edit,) = edits_of(answer)
        assert edit == {
            "edit": "grant",
            "guardrail": "dynamodb-production",
            "login": "carol",
            "ends": "2027-03-01T18:00:00+00:00",
        }
        group = propose(
            browser("dana"),
            address("approvals_guardrail", "rights", guardrail()),
            add=("rights",),
            rights__0__DELETE="on",
            rights__1__holder="group:Approvers",
        )
        assert edits_of(group) == [
            {"edit": "revoke", "guardrail": "dynamodb-production", "login": "bob"},
            {"edit": "grant", "guardrail": "dynamodb-production", "group": "Approvers"},
        ]

    def test_a_reviewer_delegates_his_own_right_until_a_date(self, cast, browser):
        """Bob proposes it himself, administrators sign, carol reviews in his place; his page lists it."""
        bob = browser("bob")
        url = address("approvals_guardrail", "delegate", guardrail())
        assert url in bob.get(address("approvals_guardrail", "change", guardrail())).content.decode()
        ends = (timezone.now() + timedelta(days=3)).strftime("%Y-%m-%dT%H:%M")
        assert propose(bob, url, to="carol").status_code == 400
        (edit,) = edits_of(propose(bob, url, to="carol", ends=ends))
        assert (edit["edit"], edit["login"], edit["delegated_by"]) == ("grant", "carol", "bob")
        change = AuthorityChange.objects.get()
        assert "Withdraw" in bob.get(url_of(change)).content.decode()
        for handle in ("dana", "erin"):
            cast.sign_change(change, handle)
        assert changes.apply(change.pk)
        assert reviewable_by(cast.person("carol")) == {"dynamodb-production"}
        assert GuardrailUserPermission.objects.filter(delegated_by=cast.person("bob")).count() == 1
        for handle, said in (("carol", "delegated by bob"), ("bob", "delegated to carol")):
            html = browser("dana").get(address("approvals_person", "change", cast.person(handle))).content.decode()
            assert said in html
        taken = propose(bob, url, lent=["bob:carol"])
        assert edits_of(taken) == [
            {"edit": "revoke", "guardrail": "dynamodb-production", "login": "carol", "delegated_by": "bob"}
        ]

    def test_who_holds_no_right_delegates_none(self, cast, browser):
        """Neither a stranger to the guardrail nor an administrator without the right."""
        url = address("approvals_guardrail", "delegate", guardrail())
        for handle in ("alice", "carol", "dana"):
            assert browser(handle).get(url).status_code in (403, 404), handle
            assert browser(handle).post(url, {"to": "alice", "reason": "x"}).status_code in (403, 404), handle


WHOLE = {
    "name": "everything",
    "description": "Each field of the rules.",
    "mode": "observe",
    "accounts": ["1111*", "2222*"],
    "account_tags": {"stage": ["prod", "live*"]},
    "regions": ["eu-*"],
    "operations": ["rds:Delete*", "dynamodb:DeleteTable"],
    "resources": ["arn:aws:rds:*"],
    "risk": ["destructive", "exposure"],
    "families": ["rds-instance-loss"],
    "conditions": [
        {"parameter": "SkipFinalSnapshot", "is": True},
        {"parameter": "Engine", "in": ["mysql", "5", 5, "true"]},
        {"parameter": "Name", "matches": "prod-*"},
        {"parameter": "Retention", "at_most": 7},
        {"parameter": "Tags.Key", "present": True},
        {"parameter": "Note", "is_not": "nothing"},
    ],
    "approvals": 1,
    "groups": {"Approvers": 1},
    "reason": False,
    "ticket": "OPS-# | INC#",
    "unconfirmed": True,
    "delegation": False,
    "clocks": {"draft": 86_400, "pending": 5_400, "approval": 3_661},
    "irreversible": {"extra_approvals": 0, "typed_name": False, "hold": 0},
    "windows": [{"days": ["mon", "fri"], "from": "22:00", "to": "06:00", "zone": "Europe/Berlin"}],
    "freezes": [{"from": "2026-12-20T18:00", "until": "2027-01-02T08:00", "zone": "Europe/Berlin", "why": "the holidays"}],
    "break_glass": {"groups": ["Approvers"], "review_within": 86_400},
}


class TestGuardrails:
    def test_every_field_of_the_rules_survives_the_form(self, cast, browser):
        """What a version says is in the form, and one field that is changed is the only difference of the next one."""
        cast.changed({"edit": "put_guardrail", "rules": WHOLE})
        whole = Guardrail.objects.get(name="everything")
        url = address("approvals_guardrail", "propose", whole)
        same = propose(browser("dana"), url)
        assert same.status_code == 400
        assert "says exactly this already" in same.content.decode()
        edits_of(propose(browser("dana"), url, ticket="OPS-#"))
        (change,) = AuthorityChange.objects.filter(state="open")
        assert [(one.field, one.before, one.after) for one in changes.differences(change)] == [
            ("ticket", "OPS-# | INC#", "OPS-#")
        ]
        html = browser("dana").get(address("approvals_guardrail", "change", whole)).content.decode()
        for said in (
            "the holidays",
            "mon, fri from 22:00 to 06:00",
            "1 from Approvers",
            "stage: prod, live*",
            "reviewed within 1 day",
        ):
            assert said in html

    def test_a_new_one_is_written_in_the_form(self, cast, browser):
        """Rows for windows, lines for patterns, spans in words."""
        answer = propose(
            browser("dana"),
            address("approvals_guardrail", "propose_new"),
            add=("windows", "conditions"),
            name="rds-night",
            operations="rds:DeleteDBInstance\r\nrds:ModifyDBInstance",
            accounts="*",
            mode="observe",
            pending_lives="2 days",
            windows__0__days=["sat", "sun"],
            windows__0__begins="20:00",
            windows__0__ends="24:00",
            windows__0__zone="UTC",
            conditions__0__parameter="SkipFinalSnapshot",
            conditions__0__operator="is",
            conditions__0__value="true",
        )
        (edit,) = edits_of(answer)
        rules = edit["rules"]
        assert rules["operations"] == ["rds:DeleteDBInstance", "rds:ModifyDBInstance"]
        assert rules["clocks"]["pending"] == 2 * 86_400
        assert rules["windows"] == [{"days": ["sat", "sun"], "from": "20:00", "to": "24:00", "zone": "UTC"}]
        assert rules["conditions"] == [{"parameter": "SkipFinalSnapshot", "is": True}]

    def test_a_new_one_that_enforces_comes_with_those_who_may_review(self, cast, browser):
        """Guardrail and rights are one change; without rights the form refuses it, since nobody could satisfy it."""
        dana, url = browser("dana"), address("approvals_guardrail", "propose_new")
        typed: dict[str, Any] = {"name": "rds-night", "operations": "rds:DeleteDBInstance", "accounts": "*"}
        refused = propose(dana, url, **typed)
        assert "0 persons may give one" in refused.content.decode()
        answer = propose(dana, url, add=("rights",), **typed, rights__0__holder="group:Approvers")
        put, given = edits_of(answer)
        assert (put["edit"], put["rules"]["mode"]) == ("put_guardrail", "enforce")
        assert given == {"edit": "grant", "guardrail": "rds-night", "group": "Approvers"}
        change = AuthorityChange.objects.get()
        for handle in ("dana", "erin"):
            cast.sign_change(change, handle)
        assert changes.apply(change.pk)
        assert "rds-night" in reviewable_by(cast.person("carol"))

    @pytest.mark.parametrize(
        ("typed", "field"),
        [
            ({"name": "No Name"}, "name"),
            ({"ticket": "*"}, "ticket"),
            ({"families": "Not A Family"}, "families"),
            ({"pending_lives": "1 second"}, "pending_lives"),
            ({"pending_lives": "soon"}, "pending_lives"),
            ({"windows__0__zone": "Mars/Base"}, "windows-0-zone"),
            ({"windows__0__begins": "26:00"}, "windows-0-begins"),
            ({"accounts": ""}, "accounts"),
        ],
    )
    def test_what_is_wrong_stands_beside_its_field(self, cast, browser, typed, field):
        """The path of the rules' own reader leads to the field, in a row too."""
        right = {"name": "x-guard", "operations": "rds:*", "accounts": "*", "mode": "observe"}
        window = {
            "windows__0__days": ["sat"],
            "windows__0__begins": "20:00",
            "windows__0__ends": "22:00",
            "windows__0__zone": "UTC",
        }
        url = address("approvals_guardrail", "propose_new")
        answer = propose(browser("dana"), url, add=("windows",), **(right | window | typed))
        assert answer.status_code == 400
        assert f'href="#id_{field}"' in answer.content.decode(), _problems(answer)
        assert not AuthorityChange.objects.exists()

    def test_a_quorum_out_of_reach_is_refused_with_the_reason(self, cast, browser):
        """More approvals than there are persons who may give one."""
        answer = propose(browser("dana"), address("approvals_guardrail", "propose", guardrail()), approvals="5")
        assert answer.status_code == 400
        assert "asks for 5 approvals" in answer.content.decode()


class TestTheRest:
    def test_an_account_is_changed_in_what_differs(self, cast, browser):
        """Tags are rows, regions are lines."""
        answer = propose(
            browser("dana"),
            address("approvals_account", "propose", Account.objects.get()),
            add=("tags",),
            regions="eu-west-1\r\neu-central-1",
            tags__0__key="stage",
            tags__0__value="prod",
        )
        assert edits_of(answer) == [
            {"edit": "put_account", "id": "111122223333", "regions": ["eu-central-1", "eu-west-1"], "tags": {"stage": "prod"}}
        ]

    def test_a_new_account(self, cast, browser):
        """As a whole."""
        answer = propose(
            browser("dana"),
            address("approvals_account", "propose_new"),
            id="222233334444",
            alias="Staging",
            regions="eu-west-1",
            executor_role_arn="arn:aws:iam::222233334444:role/Executor",
            external_id="random",
        )
        (edit,) = edits_of(answer)
        assert (edit["id"], edit["partition"], edit["tags"]) == ("222233334444", "aws", {})

    def test_settings(self, cast, browser):
        """How often is said in words."""
        answer = propose(
            browser("dana"),
            address("approvals_authoritychange", "settings"),
            checkpoint_bucket="audit-checkpoints",
            checkpoint_every="30 minutes",
        )
        assert edits_of(answer) == [{"edit": "set_settings", "checkpoint_bucket": "audit-checkpoints", "checkpoint_every": 1800}]
        change = AuthorityChange.objects.get()
        for handle in ("dana", "erin"):
            cast.sign_change(change, handle)
        assert changes.apply(change.pk)
        assert AuthoritySettings.objects.get().checkpoint_every == 1800


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 seconds"), (3_600, "1 hour"), (5_400, "1 hour 30 minutes"), (90_061, "1 day 1 hour 1 minute 1 second")],
)
def test_a_span_is_read_as_it_is_written(seconds, said):
    """Seconds to words and back."""
    from portal.proposing.fields import Span

    assert in_words(seconds) == said
    assert Span().clean(said) == seconds
