"""Every page: no request leaves the site, no script or style inline, looking changes nothing, hostile text stays text."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit
from uuid import uuid4

import pytest
from django.apps import apps
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from approvals import audit, decisions, ingest
from approvals.alerts import raise_alert
from approvals.models import (
    AlertKind,
    ApprovalRequest,
    AuditEntry,
    AuditKind,
    Execution,
    Observation,
    OutboxMessage,
)
from approvals.states import Verdict
from tests.cast import envelope, seal, trail_record
from tests.portal.hands import browser_of

ROLES = ("alice", "bob", "carol", "dana", "olivia")
RLO, ZERO_WIDTH, ISOLATE = "\u202e", "\u200b", "\u2066"
HOSTILE = f"<script>alert(1)</script>{RLO}gpj{ZERO_WIDTH}{ISOLATE}\"'><img src=x onerror=alert(1)>{{{{ 7|add:7 }}}}"


class Page(HTMLParser):
    """What a page holds: links, sources, and everything that would be inline script or style."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.sources: list[str] = []
        self.inline: list[str] = []
        self.ids: list[str] = []
        self.unlabelled: list[str] = []
        self._labels: set[str] = set()
        self._fields: list[tuple[str, bool]] = []
        self._in_label = 0
        self.feed(html)
        self.unlabelled = [name for name, inside in self._fields if not inside and name not in self._labels]

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        given = {name: value or "" for name, value in attrs}
        self.inline += [f"{tag} {name}" for name in given if name.startswith("on") or name == "style"]
        self.inline += [f"{tag} {value}" for value in given.values() if value.strip().lower().startswith("javascript:")]
        if tag == "style" or (tag == "script" and not given.get("src") and given.get("type") != "application/json"):
            self.inline.append(tag)
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        self.sources += [given[name] for name in ("src",) if name in given]
        if tag == "link":
            self.sources.append(given["href"])
        if tag == "form":
            self.sources.append(given.get("action", ""))
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "label":
            self._in_label += 1
            self._labels.add(given.get("for", ""))
        if tag in ("input", "select", "textarea") and given.get("type") not in ("hidden", "submit") and "hidden" not in given:
            self._fields.append((given.get("id", f"{tag} {given.get('name')}"), bool(self._in_label)))

    def handle_endtag(self, tag: str) -> None:
        if tag == "label":
            self._in_label -= 1


def everything_stored() -> dict[str, str]:
    """A fingerprint of every table but the sessions'."""
    found = {}
    with connection.cursor() as cursor:
        for model in apps.get_models(include_auto_created=True):
            if model._meta.label == "sessions.Session" or not model._meta.managed:
                continue
            cursor.execute(f'SELECT md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM "{model._meta.db_table}" t')
            found[model._meta.label] = cursor.fetchone()[0]
    return found


def as_owner(table: str, change: str, *values: str) -> None:
    """What only the owner of the tables could do, with their triggers out of the way."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(f"UPDATE {table} {change}", values)


def observed(request: ApprovalRequest, moment: str, state: dict[str, Any] | None, problem: str = "") -> None:
    """What the executor would have stored after a look at the target."""
    text = json.dumps(state) if state is not None else ""
    Observation.objects.create(
        revision=request.current_revision(), step=0, moment=moment, taken_at=timezone.now(), text=text, problem=problem
    )


@pytest.fixture
def busy(cast):
    """A world in which something of every kind has happened."""
    cast.denied_event("UpdateTable")
    cast.denied_event("DeleteTable", "prod-customers")
    cast.pending()
    cast.sign_review(cast.pending(TableName="prod-a"), "bob", Verdict.DENY)
    execution = cast.approved(TableName="prod-b")
    succeeded = trail_record("DeleteTable", "prod-customers", "mallory", denied=False)
    ingest.ingest([ingest.Message("m1", envelope(succeeded)), ingest.Message("m2", "no JSON at all")])
    disowned = cast.denied_event("DeleteTable", "prod-z")
    decisions.disown(disowned.pk, cast.person("alice"))
    Observation.objects.create(
        revision=execution.revision,
        step=0,
        moment="review",
        taken_at=timezone.now(),
        text=json.dumps({"Table": {"ItemCount": 7}}),
    )
    return cast


def starts(cast) -> list[str]:
    """Where a crawl begins: home, and each request's every address, linked or not."""
    verbs = ("change", "decide", "confirm", "complete", "withdraw", "disown")
    pages = [
        reverse(f"admin:approvals_approvalrequest_{verb}", args=[r.pk]) for r in ApprovalRequest.objects.all() for verb in verbs
    ]
    return ["/", reverse("passkey"), reverse("account_login"), *pages]


def is_worth_following(link: str) -> bool:
    """Filters multiply, and so do services to choose from: each is followed alone, combinations are the same view again."""
    return len(parse_qsl(urlsplit(link).query)) <= 1


class TestLooking:
    def test_the_policy_allows_nothing_inline_and_nothing_foreign(self, busy, browser):
        """The header that browsers enforce is the strict one, on pages of every kind."""
        for url in ("/admin/", reverse("account_login"), reverse("passkey"), "/admin/nowhere/"):
            policy = browser("dana").get(url)["Content-Security-Policy"]
            directives = dict(part.strip().split(" ", 1) for part in policy.split(";") if part.strip())
            assert directives["default-src"] == "'none'"
            assert (directives["script-src"], directives["style-src"]) == ("'self'", "'self'")
            assert directives["frame-ancestors"] == "'none'"
            assert "unsafe" not in policy

    def test_pages_of_a_request_are_not_framed_or_cached_by_others(self, busy, browser):
        """A decision page in somebody's frame is a click that was not meant."""
        answer = browser("bob").get(
            browser("bob").page("decide", ApprovalRequest.objects.filter(state="pending").latest("created_at"))
        )
        assert answer["X-Frame-Options"] == "DENY"
        assert "no-store" in answer["Cache-Control"]


class TestHostileText:
    def _asked(self, cast) -> ApprovalRequest:
        record = trail_record("UpdateTable", "prod-orders", "alice")
        record["userIdentity"] |= {"accessKeyId": HOSTILE[:100], "principalId": HOSTILE}
        record |= {"sourceIPAddress": HOSTILE, "userAgent": HOSTILE, "requestID": HOSTILE[:200]}
        ingest.ingest([ingest.Message(HOSTILE[:150], envelope(record)), ingest.Message("m", HOSTILE)])
        request = ApprovalRequest.objects.get(records__event_id=record["eventID"])
        decisions.complete(
            request.pk,
            cast.person("alice"),
            parameters={"TableName": "prod-orders", "SSESpecification": {"KMSMasterKeyId": HOSTILE}},
            number=1,
        )
        request.refresh_from_db()
        cast.sign_confirm(request, reason=HOSTILE)
        return request

    def test_nothing_of_an_event_or_a_person_is_markup_or_invisible(self, cast, browser):
        """Everything that comes from outside is escaped for HTML, and for eyes."""
        request = self._asked(cast)
        with audit.recorded() as trail:
            raise_alert(trail, AlertKind.BYPASS, title=HOSTILE, detail=HOSTILE, actor="process:feed", request=request)
        Observation.objects.create(
            revision=request.current_revision(),
            step=0,
            moment="review",
            taken_at=timezone.now(),
            text=json.dumps({HOSTILE: {HOSTILE: HOSTILE}, "SSEDescription": {"KMSMasterKeyId": HOSTILE}}),
        )
        cast.sign_review(request, "bob", Verdict.DENY, reason=HOSTILE)
        for handle in ("alice", "dana"):
            client = browser(handle)
            todo, seen = ["/admin/", client.page("change", request)], set()
            while todo:
                url = todo.pop()
                if url in seen:
                    continue
                seen.add(url)
                answer = client.get(url)
                html = answer.content.decode() if answer.status_code != 302 else ""
                assert "<script>alert" not in html, url
                assert "<img src=x" not in html, url
                assert not re.search(f"[{RLO}{ZERO_WIDTH}{ISOLATE}]", html), url
                found = [urljoin(url, link) for link in Page(html).links if not link.startswith("#")]
                todo += [link for link in found if is_worth_following(link)]
            assert len(seen) > 10

    def test_the_review_page_shows_the_escapes(self, cast, browser):
        """What an eye would not see stands there as an escape, whole."""
        request = self._asked(cast)
        html = browser("bob").get(browser("bob").page("change", request)).content.decode()
        assert "\\u202egpj\\u200b\\u2066" in html
        assert "{{ 7|add:7 }}" in html

    def test_a_hostile_search_is_a_search(self, cast, browser):
        """Nothing typed into the search breaks or widens the list."""
        request = cast.pending()
        listed = reverse("admin:approvals_approvalrequest_changelist")
        for term in (HOSTILE, "\0", "%", "_", "'", "-", "A" * 5000):
            answer = browser("carol").get(listed, {"q": term})
            assert answer.status_code in (200, 302, 400), term
            assert request.reference not in answer.content.decode()


class TestLists:
    def test_the_list_shows_whom_it_concerns(self, busy, browser):
        """Alice sees her own, bob what he may review, carol nothing, overseers all."""
        seen = {}
        for handle in ROLES:
            html = browser(handle).get(reverse("admin:approvals_approvalrequest_changelist")).content.decode()
            seen[handle] = {r.operation + r.target for r in ApprovalRequest.objects.all() if r.reference in html}
        everything = {r.operation + r.target for r in ApprovalRequest.objects.all()}
        assert seen["alice"] == seen["dana"] == seen["olivia"] == everything
        assert seen["carol"] == set()
        # What has no plan yet is under no guardrail yet.
        assert everything - seen["bob"] == {"dynamodb:UpdateTableprod-orders"}

    def test_waiting_for_my_review_is_what_i_can_decide_now(self, busy, browser):
        """Bob's queue holds the one pending request, and not what he has reviewed."""
        listed = reverse("admin:approvals_approvalrequest_changelist")
        pending = ApprovalRequest.objects.get(state="pending")
        found = browser("bob").get(listed, {"view": "review"}).context["cl"].result_list
        assert list(found) == [pending]
        cast_again = busy.sign_review(pending, "bob")
        assert cast_again.state == "approved"
        assert not browser("bob").get(listed, {"view": "review"}).context["cl"].result_list

    def test_searching_finds_beginnings(self, busy, browser):
        """A reference, a target's name, a requester's handle: by their first letters."""
        listed = reverse("admin:approvals_approvalrequest_changelist")
        one = ApprovalRequest.objects.get(target="prod-b")
        dana = browser("dana")
        for term in (one.reference, one.reference[:6].lower(), str(one.pk), "prod-b"):
            assert one in dana.get(listed, {"q": term}).context["cl"].result_list, term
        assert one not in dana.get(listed, {"q": "rod-b"}).context["cl"].result_list
        assert dana.get(listed, {"q": "ali"}).context["cl"].result_count == ApprovalRequest.objects.count()

    @pytest.mark.parametrize("handle", ["bob", "dana"])
    @pytest.mark.parametrize("page", ["index", "approvals_approvalrequest_changelist"])
    def test_the_number_of_queries_does_not_grow_with_the_list(self, cast, browser, handle, page):
        """Rights are read once for a page, never once a row."""
        client = browser(handle)

        def queries() -> int:
            with CaptureQueriesContext(
                connection,
            ) as captured:
                assert client.get(reverse(f"admin:{page}")).status_code == 200
            return len(captured)

        for number in range(2):
            cast.pending(TableName=f"prod-{number}")
        few = queries()
        for number in range(2, 12):
            cast.pending(TableName=f"prod-{number}")
        assert queries() == few
        assert few < 25

    def test_the_review_page_s_queries_do_not_grow_with_its_history(self, cast, browser):
        """Entries, records and attempts come in one query each."""
        request = cast.pending()
        client = browser("dana")

        def queries() -> int:
            with CaptureQueriesContext(connection) as captured:
                client.get(client.page("change", request))
            return len(captured)

        few = queries()
        for _ in range(5):
            with audit.recorded() as trail:
                raise_alert(trail, AlertKind.UNPROVEN, title="t", detail="d", actor="process:delivery", request=request)
        assert queries() == few
        assert few < 50


class TestOversight:
    @pytest.mark.parametrize("name", ["person", "account", "execution", "alert", "auditentry", "feedbatch", "quarantinedmessage"])
    def test_overseers_alone_see_how_the_house_is_kept(self, busy, browser, name):
        """Authority, audit, alerts and feed are for administrators and auditors; nobody posts to them."""
        listed = reverse(f"admin:approvals_{name}_changelist")
        for handle in ("dana", "olivia"):
            assert browser(handle).get(listed).status_code == 200
            assert browser(handle).post(listed).status_code == 405
        for handle in ("alice", "bob", "carol"):
            assert browser(handle).get(listed).status_code == 403

    def test_reviewers_see_their_guardrails(self, busy, browser):
        """Bob reads the rules he reviews under; carol has none."""
        listed = reverse("admin:approvals_guardrail_changelist")
        assert "dynamodb-production" in browser("bob").get(listed).content.decode()
        assert browser("carol").get(listed).status_code == 403
        guardrail = apps.get_model("approvals", "Guardrail").objects.get()
        html = browser("bob").get(reverse("admin:approvals_guardrail_change", args=[guardrail.pk])).content.decode()
        assert "1 besides the requester" in html
        assert "Bob Brandt" in html

    def test_groups_say_how_they_change_and_are_changed_by_no_post(self, busy, browser):
        """Groups that give rights are read-only in the admin; what is offered is a proposal."""
        html = browser("dana").get(reverse("admin:auth_group_changelist")).content.decode()
        assert "two administrators or more sign it" in html
        group = apps.get_model("auth", "Group").objects.get(name="Approvers")
        page = reverse("admin:auth_group_change", args=[group.pk])
        assert browser("dana").post(page, {"name": "Everybody"}).status_code == 403
        assert browser("dana").get(reverse("admin:auth_group_changelist") + "add/").status_code == 404

    def test_an_administrator_closes_an_alert_with_what_it_was(self, busy, browser):
        """An auditor cannot, silence cannot, and closing twice cannot."""
        alert = apps.get_model("approvals", "Alert").objects.filter(kind=AlertKind.BYPASS).get()
        close = reverse("admin:approvals_alert_close", args=[alert.pk])
        assert browser("olivia").post(close, {"reason": "seen"}).status_code == 403
        assert browser("bob").post(close, {"reason": "seen"}).status_code == 403
        assert browser("dana").get(close).status_code == 405
        assert browser("dana").post(close, {"reason": " "}).status_code == 400
        assert browser("dana").post(close, {"reason": "key rotated"}).status_code == 302
        assert browser("dana").post(close, {"reason": "again"}).status_code == 409
        alert.refresh_from_db()
        assert (alert.closed_by.handle, alert.closed_why) == ("dana", "key rotated")

    def test_home_shows_an_open_alert_to_overseers_only(self, busy, browser):
        """What went wrong is on the first page of who must look at it."""
        said = "succeeded outside the portal"
        assert said in browser("dana").get("/admin/").content.decode()
        assert said not in browser("alice").get("/admin/").content.decode()

    def test_a_feed_batch_and_a_quarantined_message_are_accounted_for(self, busy, browser):
        """Each message has its fate, and what could not be read its reason."""
        message = apps.get_model("approvals", "QuarantinedMessage").objects.get()
        html = browser("olivia").get(reverse("admin:approvals_quarantinedmessage_change", args=[message.pk])).content.decode()
        assert message.reason[:20] in html
        assert "no JSON at all" in html

    def test_an_execution_s_page_shows_no_call_before_there_is_one(self, busy, browser):
        """The page says what is not there yet."""
        execution = Execution.objects.get()
        html = browser("dana").get(reverse("admin:approvals_execution_change", args=[execution.pk])).content.decode()
        assert "No call was made yet" in html
        assert str(execution.pk) in html


class TestThePlan:
    def test_the_page_is_fed_from_the_signed_bytes(self, cast, browser):
        """A column that somebody changed shows nothing: the plan under the digest does."""
        request = cast.pending()
        as_owner("approvals_approvalrequest", "SET target = %s, operation = %s", "prod-harmless", "dynamodb:UpdateTable")
        html = browser("bob").get(browser("bob").page("change", request)).content.decode()
        assert "asks to delete table prod-orders" in html
        assert "prod-harmless" not in html

    def test_dangerous_parameters_stand_first_and_absent_ones_are_named_once(self, db, tmp_path, settings):
        """What is set and dangerous is read first, each note once; what is left alone is one line, without warnings."""
        cast = seal(tmp_path, settings)
        throughput = {"ReadCapacityUnits": 7, "WriteCapacityUnits": 3}
        stream = {"StreamEnabled": True}
        parameters: dict[str, Any] = {"TableName": "prod-orders", "TableClass": "STANDARD", "DeletionProtectionEnabled": False}
        request = cast.filed("dynamodb:UpdateTable", **parameters, ProvisionedThroughput=throughput, StreamSpecification=stream)
        read = {"DeletionProtectionEnabled": True, "BillingModeSummary": {"BillingMode": "PROVISIONED"}, "ItemCount": 3}
        observed(request, "review", read)
        client = browser_of(cast, "alice")
        answer = client.get(client.page("change", request))
        (step,) = answer.context["review"].steps
        shown = [(row.path, row.value, row.now, row.changes) for row in step.rows]
        assert shown[:2] == [("TableName", '"prod-orders"', "", False), ("DeletionProtectionEnabled", "false", "true", True)]
        assert shown[-1][0] == "TableClass"
        assert [row.path for row in step.rows if row.note] == [
            "DeletionProtectionEnabled",
            "ProvisionedThroughput.ReadCapacityUnits",
            "StreamSpecification.StreamEnabled",
        ]
        assert {"BillingMode", "GlobalSecondaryIndexUpdates", "ReplicaUpdates"} <= set(step.left_alone)
        assert not {row.path.partition(".")[0] for row in step.rows} & set(step.left_alone)
        html = answer.content.decode()
        assert "allowed once a day" not in html
        assert "ItemCount" in html

    def test_what_aws_wants_beside_another_choice_is_not_said_to_be_left_alone(self, db, tmp_path, settings):
        """A last snapshot's name is wanted unless the snapshot is skipped: AWS refuses what looks harmless."""
        cast = seal(tmp_path, settings, whole=True)
        client = browser_of(cast, "alice")
        for skipped, wanted in ((False, ["FinalDBSnapshotIdentifier"]), (True, [])):
            request = cast.filed("rds:DeleteDBInstance", DBInstanceIdentifier="prod-billing", SkipFinalSnapshot=skipped)
            answer = client.get(client.page("change", request))
            (step,) = answer.context["review"].steps
            assert [name for name, _ in step.wanted] == wanted
            assert ("FinalDBSnapshotIdentifier" in step.left_alone) is skipped
            assert ("without which AWS refuses the call" in answer.content.decode()) is not skipped

    def test_what_the_target_has_none_of_is_none_now(self, cast, browser):
        """AWS leaves out a group that a table has none of; an absent single value proves nothing."""
        stream = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
        change: dict[str, Any] = {"Delete": {"IndexName": "by-name"}}
        request = cast.filed(
            "dynamodb:UpdateTable",
            TableName="prod-orders",
            StreamSpecification=stream,
            TableClass="STANDARD",
            GlobalSecondaryIndexUpdates=[change],
        )
        observed(request, "review", {"TableStatus": "ACTIVE", "GlobalSecondaryIndexes": [{"IndexName": "by-name"}]})
        (step,) = browser("alice").get(browser("alice").page("change", request)).context["review"].steps
        assert {row.path: row.why_not_now for row in step.rows if row.path != "TableName"} == {
            "StreamSpecification.StreamEnabled": "none now",
            "StreamSpecification.StreamViewType": "none now",
            "TableClass": "not told by AWS",
            "GlobalSecondaryIndexUpdates.0.Delete.IndexName": "see the live state",
        }

    @pytest.mark.parametrize(("protected", "said"), [(True, True), (False, False)])
    def test_deletion_protection_is_said_before_anybody_signs(self, cast, browser, protected, said):
        """What AWS will refuse as things stand is at the top of the page, not found out after two signatures."""
        request = cast.filed()
        observed(request, "review", {"DeletionProtectionEnabled": protected, "TableStatus": "ACTIVE"})
        html = browser("alice").get(browser("alice").page("confirm", request)).content.decode()
        assert ("AWS will refuse this" in html) is said

    def test_after_success_the_page_shows_what_the_target_became(self, cast, browser):
        """Once the call is made, "is now" of the review would be a lie: both readings stand under their moments."""
        execution = cast.approved(operation="dynamodb:UpdateTable", TableName="prod-orders", DeletionProtectionEnabled=False)
        request = execution.revision.request
        observed(request, "review", {"DeletionProtectionEnabled": True})
        observed(request, "after", {"DeletionProtectionEnabled": False})
        as_owner("approvals_execution", "SET state = 'succeeded'")
        answer = browser("alice").get(browser("alice").page("change", request))
        (row,) = [row for row in answer.context["review"].steps[0].rows if row.path != "TableName"]
        assert (row.now, row.after, row.differs) == ("true", "false", False)
        html = answer.content.decode()
        assert "Before the call" in html
        assert "After the call" in html
        assert "Is now" not in html
        assert "changes</span>" not in html

    def test_a_deleted_target_is_gone_and_not_a_problem(self, cast, browser):
        """That the read after a deletion finds nothing is the success that was asked for."""
        request = cast.approved().revision.request
        observed(request, "review", {"TableStatus": "ACTIVE"})
        problem = "AWS says ResourceNotFoundException: Requested resource not found: Table: prod-orders not found"
        observed(request, "after", None, problem)
        as_owner("approvals_execution", "SET state = 'succeeded'")
        html = browser("alice").get(browser("alice").page("change", request)).content.decode()
        assert "does not exist any more" in html
        assert "could not be read" not in html

    def test_signing_shows_the_whole_plan_and_offers_the_key_that_works(self, cast, browser, settings, tmp_path):
        """Nobody signs from memory: the parameters stand on the page of the signature, under what it will say."""
        request = cast.pending(operation="dynamodb:UpdateTable", TableName="prod-orders", DeletionProtectionEnabled=False)
        bob = browser("bob")
        html = bob.begin("decide", request, verdict="approve").content.decode()
        assert "<strong>approve</strong>, with your signature" in html
        assert html.index("lets a later DeleteTable succeed") < html.index('id="ceremony"')
        assert 'class="main" id="sign-with-passkey"' in html
        settings.DEMO, settings.DEMO_KEYS = True, tmp_path / "keys.json"
        settings.DEMO_KEYS.write_text(json.dumps(cast.keys))
        html = bob.begin("decide", request, verdict="deny").content.decode()
        assert "<strong>deny</strong>, with your signature" in html
        assert 'class="main" name="sign_with" value="software"' in html
        assert 'class="main" id="sign-with-passkey"' not in html

    def test_a_second_request_for_the_same_is_pointed_out(self, cast, browser):
        """Two open requests for one call are a warning with a link, and no refusal."""
        first, second = cast.filed(), cast.filed()
        other = cast.filed(TableName="prod-customers")
        alice = browser("alice")
        html = alice.get(alice.page("change", second)).content.decode()
        assert "another open request" in html
        assert alice.page("change", first) in html
        assert alice.page("change", other) not in html
        decisions.withdraw(first.pk, cast.person("alice"))
        assert "another open request" not in alice.get(alice.page("change", second)).content.decode()

    def test_a_text_under_another_digest_is_called_out(self, cast, browser):
        """If the stored text does not have the stored digest, the page says to sign nothing."""
        request = cast.pending()
        client = browser("bob")
        as_owner("approvals_revision", "SET digest = %s", uuid4().hex * 2)
        assert "Sign nothing" in client.get(client.page("change", request)).content.decode()


class TestTheTimeline:
    def test_it_follows_the_trail_and_tells_each_step_once_in_words(self, cast, browser):
        """Clocks of several processes differ; the trail's order does not. Nobody reads `process:feed`."""
        request = cast.sign_confirm(cast.denied_event())
        OutboxMessage.objects.filter(kind="notify", topic="request.drafted").update(done_at=timezone.now())
        with audit.recorded() as trail:
            trail.add(
                AuditKind.NOTIFICATION_SENT,
                actor="process:delivery",
                request=request.pk,
                topic="request.drafted",
                to=["alice"],
                subject="s",
                message="m",
            )
        last = AuditEntry.objects.filter(request_id=request.pk).latest("sequence")
        as_owner("approvals_auditentry", "SET at = at - interval '1 day' WHERE sequence = %s", str(last.sequence))
        told = browser("alice").get(browser("alice").page("change", request)).context["timeline"]
        numbers = [one.number for one in told if one.number]
        assert numbers == sorted(numbers)
        said = [(one.title, one.to, one.actor) for one in told]
        assert ("request drafted", "", "the feed") in said
        assert ("plan confirmed and signed", "", "alice") in said
        assert ("Notification of the draft sent", "alice", "the delivery") in said
        assert [one.title for one in told if "not sent yet" in one.title] == [
            "Notification of the review that is needed not sent yet"
        ]
