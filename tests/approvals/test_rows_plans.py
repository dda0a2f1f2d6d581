"""Rows 4, 5 and 8 of the security design: a vote binds bytes, the bytes are what is shown and sent, and a flood drowns nobody."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from botocore.serialize import create_serializer
from django.utils import timezone
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from approvals import canonical, decisions, ingest, plan
from approvals.decisions import quotas
from approvals.errors import BadCanonicalForm, BadParameters, BadPlan, NothingMatches, StaleRevision, TooMany, WrongState
from approvals.models import Alert, ApprovalRequest, Execution, TrailRecord
from approvals.operations import catalog, inputs
from approvals.states import Verdict
from tests.cast import ACCOUNT, REGION, envelope, seal, trail_record

OTHER = {"TableName": "prod-customers"}


@pytest.fixture
def two_needed(db, tmp_path, settings):
    """A world whose guardrail wants two approvers, bob and carol."""

    def carol_too(manifest):
        manifest["grants"].append({"guardrail": manifest["guardrails"][0]["name"], "person": "carol"})

    return seal(tmp_path, settings, change=carol_too, approvals=2)


class TestRow04:
    @pytest.mark.parametrize("after", ["confirm", "begun", "first vote", "both votes"])
    def test_row_04_an_edit_at_any_step_executes_nothing(self, two_needed, after):
        """Whatever was signed before an edit counts for nothing after it; what is approved cannot be edited any more."""
        cast, alice = two_needed, two_needed.person("alice")
        request = cast.pending()
        opened = decisions.begin(request.pk, cast.person("bob"), Verdict.APPROVE)
        if after in ("first vote", "both votes"):
            cast.sign_review(request, "bob")
        if after == "both votes":
            cast.sign_review(request, "carol")
            with pytest.raises(WrongState):
                decisions.complete(request.pk, alice, parameters=OTHER, number=1)
            assert Execution.objects.get().revision.plan.steps[0].parameters == {"TableName": "prod-orders"}
            return
        decisions.complete(request.pk, alice, parameters=OTHER, number=1)
        if after == "begun":
            cast.sign_confirm(ApprovalRequest.objects.get(pk=request.pk))
            with pytest.raises(StaleRevision):
                self._late(cast, request, opened)
        else:
            with pytest.raises(WrongState):
                self._late(cast, request, opened)
            cast.sign_confirm(ApprovalRequest.objects.get(pk=request.pk))
        # One vote on the new plan is one, whatever was voted on the former.
        cast.sign_review(ApprovalRequest.objects.get(pk=request.pk), "carol")
        request.refresh_from_db()
        assert request.state == "pending"
        assert not Execution.objects.exists()

    def _late(self, cast, request, opened):
        decisions.review(
            request.pk,
            cast.person("bob"),
            digest=opened.digest,
            verdict=Verdict.APPROVE,
            nonce=opened.nonce,
            assertion=cast.assertion("bob", opened),
            reason="late",
        )


_TEXTS = st.text(max_size=12)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | _TEXTS | st.floats(allow_nan=True),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=6,
)
_PLAIN = st.fixed_dictionaries(
    {
        "TableName": st.sampled_from(["prod-orders", "prod-a", "staging-a", "prod-ord\u0435rs", " prod-orders", "prod-orders\0"])
        | _TEXTS
    },
    optional={
        "DeletionProtectionEnabled": st.booleans(),
        "TableClass": st.sampled_from(["STANDARD", "STANDARD_INFREQUENT_ACCESS", "standard", ""]),
        "ProvisionedThroughput": st.fixed_dictionaries(
            {"ReadCapacityUnits": st.integers(-1, 2**64), "WriteCapacityUnits": st.integers(0, 10)}
        ),
        "SSESpecification": st.fixed_dictionaries({"KMSMasterKeyId": _TEXTS, "Enabled": st.booleans()}),
    },
)


class TestRow05:
    @settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(parameters=_PLAIN | st.builds(lambda a, b: {**a, **b}, _PLAIN, st.dictionaries(_TEXTS, _VALUES, max_size=2)))
    @example(parameters={"TableName": "prod-orders", "DeletionProtectionEnabled": False})
    def test_row_05_what_is_shown_is_what_is_hashed_and_what_is_sent(self, cast, parameters):
        """Whatever is asked for: either it is refused, or page, digest and wire have one and the same parameters."""
        from portal.review_page import page_of

        try:
            request = decisions.file(
                cast.person("alice"), account_id=ACCOUNT, region=REGION, operation="dynamodb:UpdateTable", parameters=parameters
            )
        except (BadParameters, NothingMatches, BadCanonicalForm):
            return
        except TooMany:
            ApprovalRequest.objects.filter(state="draft").update(state="withdrawn", version=2)
            return
        revision = request.current_revision()
        (step,) = plan.parse(revision.text).steps
        assert canonical.digest(revision.text) == revision.digest
        assert plan.parse(revision.text).text() == revision.text
        assert step.parameters == parameters
        shown = {row.path: row.value for row in page_of(request).steps[0].rows}
        leaves = _leaves(parameters)
        assert shown.keys() == leaves.keys()
        # Texts with what no eye tells apart are shown as escapes; everything else stands there as it is sent.
        assert all(
            shown[path] == json.dumps(value)
            for path, value in leaves.items()
            if str(value).isascii() and str(value).isprintable()
        )
        assert json.loads(_body(step.parameters)) == parameters

    @settings(max_examples=60)
    @given(data=st.data())
    def test_a_member_that_stands_twice_or_is_unknown_to_a_plan_is_refused(self, data):
        """Two readers of one text must read the same: what a second key or another member would say is not read at all."""
        text = plan.Plan(
            request_id="r", revision=1, account=ACCOUNT, partition="aws", region=REGION, role="x",
            steps=(plan.Step("dynamodb", "DeleteTable", {"TableName": "prod-orders"}),), guardrails=(), valid_for=60,
        ).text()  # fmt: skip
        assert plan.parse(text).text() == text
        opening = [at for at, char in enumerate(text) if char == "{" and text[at + 1] == '"']
        at = data.draw(st.sampled_from(opening))
        key = text[at + 2 : text.index('"', at + 2)]
        added = data.draw(st.sampled_from([f'"{key}":null,', '"zzz":1,', '"' + key[0] + '":[],', " ", '"\\u0061":1,']))
        with pytest.raises((BadPlan, BadCanonicalForm, BadParameters)):
            (step,) = plan.parse(text[: at + 1] + added + text[at + 1 :]).steps
            inputs.check(catalog.get(step.name), step.parameters)


def _leaves(value, path=""):
    """Path -> value of what has no members."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found: dict[str, object] = {}
    for key, inner in items:
        found |= _leaves(inner, f"{path}.{key}" if path else str(key))
    return found or {path: value}


def _body(parameters) -> str:
    operation = catalog.get("dynamodb:UpdateTable").model
    return create_serializer("json").serialize_to_request(parameters, operation)["body"]


class TestRow08:
    def test_row_08_a_flood_of_one_leaves_the_pages_of_others_as_they_were(self, cast, monkeypatch):
        """Filing is bounded for a person and drafts for an AWS identity; what waits for bob is the same before and after."""
        from portal.home import home_of
        from portal.viewer import Viewer

        waiting = cast.pending()
        bob = Viewer(cast.person("bob"))
        before = [line.reference for line in home_of(bob).to_review]
        flooder = cast.person("carol")
        filed = 0
        with pytest.raises(TooMany, match="50 requests open"):
            for number in range(1000):
                cast.filed(TableName=f"prod-{number}", by="carol")
                filed += 1
        assert filed == quotas.MOST_FILED
        messages = [_denied(f"prod-flood-{number}") for number in range(300)]
        ingest.ingest(messages)
        assert ApprovalRequest.objects.filter(source="event").count() == quotas.MOST_OF_A_PRINCIPAL
        assert Alert.objects.filter(kind="flood").count() == 1
        # Nothing is lost: each call is on record with why it became no draft.
        assert (
            TrailRecord.objects.filter(fate="alert", why__contains="denied calls open").count()
            == 300 - quotas.MOST_OF_A_PRINCIPAL
        )
        bob = Viewer(cast.person("bob"))
        assert [line.reference for line in home_of(bob).to_review] == before == [waiting.reference]
        assert home_of(Viewer(flooder)).drafts
        assert len(home_of(Viewer(flooder)).drafts) <= 20
        # Somebody else is served as ever, by the portal and by the feed.
        assert cast.filed(TableName="prod-mine").state == "draft"
        assert cast.denied_event("DeleteTable", "prod-bobs", "bob").requester == cast.person("bob")

    def test_repeats_merge_and_are_no_flood(self, cast):
        """The same denied call a hundred times is one draft with a count, and leaves room for others."""
        ingest.ingest([_denied("prod-again") for _ in range(100)])
        request = ApprovalRequest.objects.get()
        assert (request.repeats, Alert.objects.count()) == (99, 0)
        ingest.ingest([_denied(f"prod-{number}") for number in range(quotas.MOST_OF_A_PRINCIPAL + 5)] + [_denied("prod-again")])
        request.refresh_from_db()
        assert request.repeats == 100

    def test_what_was_decided_counts_no_more(self, cast):
        """The bound is on what lies about: a person whose requests are decided files on."""
        for number in range(quotas.MOST_FILED - 1):
            cast.filed(TableName=f"prod-{number}")
        cast.sign_review(cast.pending(TableName="prod-decided"))
        assert cast.filed(TableName="prod-last").state == "draft"
        with pytest.raises(TooMany):
            cast.filed(TableName="prod-too-many")

    def test_filing_and_withdrawing_is_bounded_by_the_day(self, cast, monkeypatch):
        """Whoever files and withdraws fills the lists as well; tomorrow he files again."""
        monkeypatch.setattr(quotas, "MOST_FILED_A_DAY", 3)
        alice = cast.person("alice")
        for number in range(3):
            decisions.withdraw(cast.filed(TableName=f"prod-{number}").pk, alice)
        with pytest.raises(TooMany, match="within a day"):
            cast.filed(TableName="prod-3")
        later = timezone.now() + timedelta(days=1, minutes=1)
        again = decisions.file(
            alice, account_id=ACCOUNT, region=REGION, operation="dynamodb:DeleteTable", parameters=OTHER, now=later
        )
        assert again.state == "draft"

    def test_a_role_s_sessions_are_one_identity_unless_aws_vouches_for_them(self, cast, monkeypatch):
        """Whoever names his sessions himself gets no second quota; two people behind an Identity Center role have one each."""
        from tests.approvals.test_rows_persons import TestRow35, of_session, taken_in

        monkeypatch.setattr(quotas, "MOST_OF_A_PRINCIPAL", 2)
        made = [taken_in(of_session("shared", f"s{number}")) for number in range(3)]
        assert [one is not None for one in made] == [True, True, False]
        role = TestRow35.RESERVED.rsplit("/", 1)[-1]
        vouched = [taken_in(of_session(role, f"u{number}", issuer=TestRow35.RESERVED)) for number in range(4)]
        assert all(vouched)


def _denied(table: str) -> ingest.Message:
    record = trail_record(table=table, user="mallory")
    return ingest.Message(record["eventID"], envelope(record))
