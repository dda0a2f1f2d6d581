"""However long a list and however many guardrails: the same number of queries, for whoever looks."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from approvals import audit, canonical
from approvals.alerts import raise_alert
from approvals.models import (
    AlertKind,
    ApprovalRequest,
    AuditKind,
    Execution,
    Guardrail,
    GuardrailUserPermission,
    GuardrailVersion,
    Revision,
    RevisionGuardrail,
)

FEW, MANY = 5, 200
REQUESTS = "approvals_approvalrequest_changelist"
LISTS = [
    ("index", {}),
    (REQUESTS, {}),
    (REQUESTS, {"view": "mine"}),
    (REQUESTS, {"view": "review"}),
    (REQUESTS, {"state__exact": "pending"}),
    (REQUESTS, {"q": "prod"}),
    ("approvals_guardrail_changelist", {}),
    ("approvals_execution_changelist", {}),
    ("approvals_alert_changelist", {}),
    ("approvals_auditentry_changelist", {}),
    ("approvals_authoritychange_changelist", {}),
]
OVERSEERS_ONLY = {"approvals_execution_changelist", "approvals_alert_changelist", "approvals_auditentry_changelist"}


def more_requests(like: ApprovalRequest, count: int, guardrails: list[Guardrail]) -> None:
    """Copies of a pending request, each under one of the guardrails: rows as the database holds them, without the ceremony."""
    revision = like.current_revision()
    version = revision.guardrails.get().version
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in ("approvalrequest", "revision", "revisionguardrail", "execution"):
            cursor.execute(f"ALTER TABLE approvals_{table} DISABLE TRIGGER USER")
    now, requests, revisions, states = timezone.now(), [], [], ("pending", "draft", "approved", "denied")
    for number in range(count):
        key = uuid4()
        values = {"id": key, "state": states[number % 4], "target": f"prod-{number}", "merge_key": ""}
        requests.append(_copy(like, **values))
        revisions.append(_copy(revision, id=None, request_id=key, digest=canonical.digest(str(key))))
    ApprovalRequest.objects.bulk_create(requests)
    Revision.objects.bulk_create(revisions)
    RevisionGuardrail.objects.bulk_create(
        RevisionGuardrail(
            revision=one, version=version, guardrail=guardrails[n % len(guardrails)], request_id=one.request_id, created_at=now
        )
        for n, one in enumerate(revisions)
    )
    Execution.objects.bulk_create(
        Execution(id=uuid4(), revision=one, state="ready", token=0, not_before=now, valid_until=now, created_at=now)
        for n, one in enumerate(revisions)
        if states[n % 4] == "approved"
    )


def _copy(row, **changes: object):
    fields = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    return type(row)(**{**fields, **changes})


def more_of_the_rest(count: int) -> None:
    """Alerts and entries of the trail."""
    with audit.recorded() as trail:
        for number in range(count):
            raise_alert(trail, AlertKind.STUCK, title=f"no {number}", detail="d", actor="process:delivery")
            trail.add(AuditKind.EXPORTED, actor="person:dana", what="x")


def more_guardrails(count: int, user) -> list[Guardrail]:
    """Guardrails under which this user may review."""
    known = GuardrailUserPermission.objects.filter(user__username="bob").get()
    version = GuardrailVersion.objects.get()
    made = [known.content_object]
    for number in range(count):
        text = version.text.replace("dynamodb-production", f"guardrail-{number}")
        one = Guardrail.objects.create(name=f"guardrail-{number}")
        GuardrailVersion.objects.create(guardrail=one, number=1, text=text, hash=canonical.digest(text))
        GuardrailUserPermission.objects.create(user=user, permission=known.permission, content_object=one)
        made.append(one)
    return made


@pytest.fixture
def counted(cast, browser) -> Callable[[str], dict[str, int]]:
    """`counted("bob")`: the number of queries of each list that he may see."""

    def count(handle: str) -> dict[str, int]:
        client, found = browser(handle), {}
        for name, query in LISTS:
            try:
                url = reverse(f"admin:{name}")
            except NoReverseMatch:
                continue
            if name in OVERSEERS_ONLY and handle == "bob":
                continue
            with CaptureQueriesContext(connection) as captured:
                answer = client.get(url, query)
            assert answer.status_code == 200, (name, query)
            found[f"{name} {query}"] = len(captured)
        return found

    return count


@pytest.mark.parametrize("handle", ["bob", "dana"])
def test_lists_have_as_many_queries_with_5_rows_as_with_200(cast, counted, handle):
    """Nothing on any list is asked once a row: requests in every scope, guardrails, executions, alerts, the trail."""
    like = cast.pending()
    more_requests(like, FEW, [Guardrail.objects.get()])
    more_of_the_rest(FEW)
    few = counted(handle)
    more_requests(like, MANY, [Guardrail.objects.get()])
    more_of_the_rest(MANY)
    many = counted(handle)
    assert many == few
    assert max(few.values()) < 30, few


def test_an_approver_with_60_guardrails_has_as_many_queries_as_one_with_one(cast, counted):
    """Rights are read once for a page, whatever they are on; and so are the requests under each of them."""
    from approvals.permissions import reviewable_by

    like = cast.pending()
    one = [Guardrail.objects.get()]
    more_requests(like, FEW, one)
    with_one = counted("bob")
    guardrails = more_guardrails(59, cast.person("bob").logins.get().user)
    more_requests(like, MANY, guardrails)
    assert len(reviewable_by(cast.person("bob"))) == 60
    assert counted("bob") == with_one


def test_the_pages_of_the_list_are_bounded(cast, browser):
    """However many there are, a page has fifty lines, and home twenty of each kind."""
    like = cast.pending()
    more_requests(like, MANY, [Guardrail.objects.get()])
    listed = browser("dana").get(reverse(f"admin:{REQUESTS}")).context["cl"]
    assert (listed.result_count, len(listed.result_list)) == (MANY + 1, 50)
    home = browser("bob").get(reverse("admin:index")).context["home"]
    assert len(home.to_review) == 20
    assert all(UUID(str(row.pk)) for row in home.running)
