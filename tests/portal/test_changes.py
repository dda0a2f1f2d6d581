"""Changes of authority on the pages: read, sign, deny, withdraw, propose again; and who sees what of them."""

from __future__ import annotations

import json
import re

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from approvals import changes
from approvals.models import AuthorityChange, ChangeSignature, Passkey, Person
from approvals.permissions import reviewable_by
from approvals.states import Verdict
from portal.change_page import url_of
from tests.portal.hands import fields_of
from tests.portal.test_pages import RLO, ZERO_WIDTH, Page, as_owner, everything_stored

LIST = "admin:approvals_authoritychange_changelist"
CAROL_REVIEWS = {"edit": "grant", "guardrail": "dynamodb-production", "login": "carol"}
INVITE_BOB = {"edit": "invite", "person": "bob"}


def begin(client, change, **fields):
    """The first POST of a signing, with the digest that the page shows."""
    return client.post(url_of(change, "sign"), {"step": "begin", "digest": change.digest, "reason": "", **fields})


def sign(client, change, verdict="approve", reason=""):
    """Both POSTs, as an administrator with a passkey makes them."""
    opened = begin(client, change, verdict=verdict, reason=reason)
    assert opened.status_code == 200, opened.content.decode()
    fields = client.fields_of_ceremony(opened) | client.answer(opened)
    return client.post(url_of(change, "sign"), fields)


def state_of(change) -> str:
    return AuthorityChange.objects.get(pk=change.pk).state


class TestSigning:
    def test_two_administrators_sign_on_the_pages_and_it_is_applied(self, cast, browser):
        """Nothing changes before the second signature; then the authority process applies exactly what was shown."""
        change = cast.proposed(CAROL_REVIEWS)
        dana, erin = browser("dana"), browser("erin")
        html = dana.get(url_of(change)).content.decode()
        assert "let carol review under dynamodb-production" in html
        assert "login carol under dynamodb-production" in html
        assert "2 to come" in html
        done = sign(dana, change)
        assert (done.status_code, done.url) == (302, url_of(change))
        assert "1 to come" in dana.get(url_of(change)).content.decode()
        assert reviewable_by(cast.person("carol")) == set()
        assert sign(erin, change).status_code == 302
        assert "Signed, about to be applied" in erin.get(url_of(change)).content.decode()
        assert changes.apply(change.pk)
        html = dana.get(url_of(change)).content.decode()
        assert "Applied" in html
        assert "What changed" in html
        assert reviewable_by(cast.person("carol")) == {"dynamodb-production"}

    def test_a_denial_ends_it_and_needs_a_reason(self, cast, browser):
        """One administrator who denies is enough, and says why; without a reason what was chosen stays in the form."""
        change = cast.proposed(CAROL_REVIEWS)
        erin = browser("erin")
        silent = begin(erin, change, verdict="deny")
        assert silent.status_code == 400
        assert "Give a reason" in silent.content.decode()
        assert 'value="deny" required checked' in silent.content.decode()
        assert sign(erin, change, "deny", "carol is on leave").status_code == 302
        assert state_of(change) == "denied"
        assert "Denied by erin: carol is on leave" in browser("dana").get(url_of(change)).content.decode()

    @pytest.mark.parametrize("handle", ["alice", "bob", "olivia"])
    def test_nobody_signs_who_is_no_administrator(self, cast, browser, handle):
        """Requesters and reviewers do not see it; an auditor reads it; none of them signs."""
        change = cast.proposed(CAROL_REVIEWS)
        client = browser(handle)
        assert client.get(url_of(change)).status_code == (200 if handle == "olivia" else 403)
        assert client.get(url_of(change, "sign")).status_code == 403
        assert begin(client, change, verdict="approve").status_code == 403
        assert not ChangeSignature.objects.exists()

    def test_whoever_gains_reads_why_he_does_not_sign(self, cast, browser):
        """Dana proposes something for herself: her page has no button and says why; erin's and frank's have one."""
        change = cast.proposed({"edit": "grant", "guardrail": "dynamodb-production", "login": "dana"})
        html = browser("dana").get(url_of(change)).content.decode()
        assert "You gain something by this change" in html
        assert url_of(change, "sign") not in html
        assert browser("dana").get(url_of(change, "sign")).status_code == 403
        assert url_of(change, "sign") in browser("erin").get(url_of(change)).content.decode()

    def test_a_signature_of_another_key_leaves_what_was_typed(self, cast, browser):
        """Erin's challenge answered by dana's key is refused; the form is back with its reason."""
        change = cast.proposed(CAROL_REVIEWS)
        erin = browser("erin")
        opened = begin(erin, change, verdict="approve", reason="read twice")
        answer = erin.post(url_of(change, "sign"), erin.fields_of_ceremony(opened) | erin.answer(opened, "dana"))
        assert answer.status_code == 400
        assert "not one of yours" in answer.content.decode()
        assert "read twice" in answer.content.decode()
        assert not ChangeSignature.objects.exists()

    def test_a_signature_is_good_for_one_use(self, cast, browser):
        """The same answer sent twice is a conflict, and one signature."""
        change = cast.proposed(CAROL_REVIEWS)
        erin = browser("erin")
        opened = begin(erin, change, verdict="approve")
        fields = erin.fields_of_ceremony(opened) | erin.answer(opened)
        assert erin.post(url_of(change, "sign"), fields).status_code == 302
        assert erin.post(url_of(change, "sign"), fields).status_code == 409
        assert ChangeSignature.objects.count() == 1

    def test_another_digest_than_the_stored_one_is_refused_before_the_ceremony(self, cast, browser):
        """A form about something else opens no challenge."""
        change = cast.proposed(CAROL_REVIEWS)
        answer = begin(browser("erin"), change, verdict="approve", digest="0" * 64)
        assert answer.status_code == 409
        assert "about another change" in answer.content.decode()

    def test_the_demo_s_software_authenticator_signs_through_the_same_verification(self, cast, browser, settings, tmp_path):
        """Only under the demo setting, and with the domain of changes, not of decisions."""
        change = cast.proposed(CAROL_REVIEWS)
        erin = browser("erin")
        fields = erin.fields_of_ceremony(begin(erin, change, verdict="approve")) | {"sign_with": "software"}
        assert erin.post(url_of(change, "sign"), fields).status_code == 403
        settings.DEMO, settings.DEMO_KEYS = True, tmp_path / "keys.json"
        settings.DEMO_KEYS.write_text(json.dumps(cast.keys))
        opened = begin(erin, change, verdict="approve")
        assert 'name="sign_with" value="software"' in opened.content.decode()
        fields = erin.fields_of_ceremony(opened) | {"sign_with": "software"}
        assert erin.post(url_of(change, "sign"), fields).status_code == 302
        assert ChangeSignature.objects.get().person == cast.person("erin")


class TestWhatIsShown:
    def test_nothing_invisible_or_marked_up_in_a_difference(self, cast, browser):
        """A name that reads as another one is shown with its escapes, in the list, on the page and where it is signed."""
        hostile = f"<script>alert(1)</script>{RLO}nimda{ZERO_WIDTH}"
        change = cast.proposed(
            {"edit": "set_person", "person": "bob", "name": hostile},
            {"edit": "add_principal", "person": "bob", "kind": "sso_user", "value": hostile},
        )
        erin = browser("erin")
        pages = [
            erin.get(reverse(LIST)),
            erin.get(url_of(change)),
            erin.get(url_of(change, "sign")),
            begin(erin, change, verdict="approve"),
        ]
        for answer in pages:
            html = answer.content.decode()
            assert "<script>alert" not in html
            assert not re.search(f"[{RLO}{ZERO_WIDTH}]", html)
            assert "\\u202enimda\\u200b" in html
            assert Page(html).inline == []

    def test_a_row_that_somebody_changed_says_to_sign_nothing(self, cast, browser):
        """Edits that do not lead to the state under the digest are called out before anybody signs."""
        change = cast.proposed(CAROL_REVIEWS)
        client = browser("erin")
        assert "Sign nothing" not in client.get(url_of(change)).content.decode()
        harmless = change.edits.replace("carol", "bob")
        as_owner("approvals_authoritychange", "SET edits = %s", harmless)
        for verb in ("change", "sign"):
            assert "Sign nothing" in client.get(url_of(change, verb)).content.decode()

    def test_open_ones_stand_first_with_word_and_shape(self, cast, browser):
        """What waits is at the top, whatever ended later."""
        waiting = cast.proposed(CAROL_REVIEWS)
        ended = cast.proposed(INVITE_BOB)
        cast.sign_change(ended, "erin", Verdict.DENY)
        answer = browser("olivia").get(reverse(LIST))
        assert [one.pk for one in answer.context["cl"].result_list] == [waiting.pk, ended.pk]
        html = answer.content.decode()
        assert '<span class="shape" aria-hidden="true">◆</span>Waiting for signatures' in html
        assert "0 of 2" in html
        denied = browser("olivia").get(reverse(LIST), {"state": "denied"})
        assert [one.pk for one in denied.context["cl"].result_list] == [ended.pk]
        assert "Overtaken" in denied.content.decode()

    def test_a_proposer_sees_his_own_and_no_other(self, cast, browser):
        """Bob's delegation is his to read and to withdraw; dana's proposal is not."""
        mine = cast.proposed(CAROL_REVIEWS, by="bob")
        other = cast.proposed(INVITE_BOB)
        bob = browser("bob")
        assert [one.pk for one in bob.get(reverse(LIST)).context["cl"].result_list] == [mine.pk]
        assert bob.get(url_of(mine)).status_code == 200
        assert bob.get(url_of(other)).status_code == 403
        assert list(browser("carol").get(reverse(LIST)).context["cl"].result_list) == []

    def test_home_tells_administrators_what_waits_for_their_signature(self, cast, browser):
        """Until they have signed it."""
        change = cast.proposed(CAROL_REVIEWS)
        assert url_of(change) in browser("erin").get("/admin/").content.decode()
        assert url_of(change) not in browser("bob").get("/admin/").content.decode()
        cast.sign_change(change, "erin")
        assert url_of(change) not in browser("erin").get("/admin/").content.decode()

    def test_the_number_of_queries_does_not_grow_with_the_list(self, cast, browser):
        """Fifty changes cost what two cost."""
        client = browser("dana")

        def queries() -> int:
            with CaptureQueriesContext(connection) as captured:
                assert client.get(reverse(LIST)).status_code == 200
            return len(captured)

        for _ in range(2):
            cast.proposed(CAROL_REVIEWS)
        few = queries()
        for _ in range(8):
            cast.proposed(CAROL_REVIEWS)
        assert queries() == few < 20

    def test_the_page_tells_its_story(self, cast, browser):
        """Proposed, signed, applied, each with who and the entry of the trail."""
        change = cast.changed(CAROL_REVIEWS)
        told = browser("olivia").get(url_of(change)).context["timeline"]
        said = [(one.title, one.actor) for one in told if one.number]
        assert said == [
            ("change of authority proposed", "dana"),
            ("change of authority signed", "dana"),
            ("change of authority signed", "erin"),
            ("change of authority applied", "the authority process"),
        ]


class TestEnding:
    def test_the_proposer_withdraws_after_a_page_that_asks(self, cast, browser):
        """GET asks, POST ends; nobody else can."""
        change = cast.proposed(CAROL_REVIEWS)
        before = everything_stored()
        assert browser("dana").get(url_of(change, "withdraw")).status_code == 200
        assert everything_stored() == before
        assert browser("erin").get(url_of(change, "withdraw")).status_code == 403
        assert browser("erin").post(url_of(change, "withdraw")).status_code == 403
        assert browser("dana").post(url_of(change, "withdraw")).status_code == 302
        assert state_of(change) == "withdrawn"

    def test_what_was_overtaken_is_proposed_again(self, cast, browser):
        """The page of a stale proposal says so and offers the same edits over what holds now."""
        stale = cast.proposed(CAROL_REVIEWS)
        cast.changed(INVITE_BOB)
        dana = browser("dana")
        html = dana.get(url_of(stale)).content.decode()
        assert "Overtaken" in html
        assert "Another change was applied first" in html
        assert begin(dana, stale, verdict="approve").status_code == 409
        assert dana.get(url_of(stale, "again")).status_code == 200
        answer = dana.post(url_of(stale, "again"))
        fresh = AuthorityChange.objects.get(state="open")
        assert (answer.status_code, answer.url) == (302, url_of(fresh))
        assert fresh.digest != stale.digest
        assert "login carol under dynamodb-production" in dana.get(url_of(fresh)).content.decode()


class TestCodes:
    def test_each_signer_s_code_is_on_his_ceremony_page_and_nowhere_else(self, cast, browser):
        """Not in the session, the database, a later page, a message, an address; a refused signature makes a new one."""
        change = cast.proposed(INVITE_BOB)
        erin = browser("erin")
        assert "a code that is yours to hand over" in erin.get(url_of(change, "sign")).content.decode()
        opened = begin(erin, change, verdict="approve")
        code = opened.context["ceremony"].code
        html = opened.content.decode()
        assert re.fullmatch(r"([A-Z2-7]{4}-){7}[A-Z2-7]{4}", code)
        assert html.count(code) == 1
        assert "another channel" in html
        assert "worthless before you have signed" in html
        assert "no-store" in opened["Cache-Control"]
        fields = erin.fields_of_ceremony(opened)
        assert code not in str(fields)
        refused = erin.post(url_of(change, "sign"), fields | erin.answer(opened, "dana"))
        again = begin(erin, change, verdict="approve")
        assert again.context["ceremony"].code not in ("", code)
        signed = erin.post(url_of(change, "sign"), erin.fields_of_ceremony(again) | erin.answer(again))
        code_again = again.context["ceremony"].code
        pages = [
            refused,
            signed,
            *(erin.get(url) for url in ("/admin/", reverse(LIST), url_of(change), url_of(change, "change"))),
        ]
        for one in (code, code_again):
            plain = one.replace("-", "")
            for page in pages:
                shown = page.content.decode() + str(page.headers)
                assert one not in shown
                assert plain not in shown
            assert not found_in_the_database(one, plain)
            for session in Session.objects.all():
                assert one not in str(session.get_decoded())

    def test_who_denies_or_signs_something_else_gets_no_code(self, cast, browser):
        """A code belongs to an approval of an invitation."""
        assert begin(browser("erin"), cast.proposed(INVITE_BOB), verdict="deny", reason="no").context["ceremony"].code == ""
        assert begin(browser("erin"), cast.proposed(CAROL_REVIEWS), verdict="approve").context["ceremony"].code == ""


def found_in_the_database(*texts: str) -> list[str]:
    """Tables with a row that holds one of the texts."""
    from django.apps import apps

    found = []
    with connection.cursor() as cursor:
        for model in apps.get_models(include_auto_created=True):
            if not model._meta.managed:
                continue
            for text in texts:
                cursor.execute(f'SELECT count(*) FROM "{model._meta.db_table}" t WHERE t::text LIKE %s', [f"%{text}%"])
                if cursor.fetchone()[0]:
                    found.append(model._meta.label)
    return found


def test_a_person_with_one_passkey_is_told_that_one_can_be_lost(cast, browser):
    """Whoever may sign with fewer than two keys reads it at home, and who has two does not."""
    assert "one can be lost" in browser("bob").get("/admin/").content.decode()
    key = Passkey.objects.get(person=cast.person("bob"))
    Passkey.objects.create(person=Person.objects.get(handle="bob"), credential_id="another", public_key=key.public_key, label="b")
    assert "one can be lost" not in browser("bob").get("/admin/").content.decode()


def test_form_of_a_ceremony_keeps_its_fields(cast, browser):
    """What sign.js fills in is there for a change as for a decision."""
    change = cast.proposed(CAROL_REVIEWS)
    fields = fields_of(begin(browser("erin"), change, verdict="approve").content.decode(), "ceremony")
    assert {
        "step",
        "verdict",
        "digest",
        "nonce",
        "reason",
        "credential_id",
        "client_data",
        "authenticator_data",
        "signature",
    } <= set(fields)
