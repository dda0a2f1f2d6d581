"""Where a person can go from every page: only what he may see."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import reverse

from portal.viewer import Viewer


@dataclass(frozen=True, slots=True)
class Place:
    """One link of the navigation."""

    label: str
    url: str
    here: bool


_FOR_ALL = (("Home", "admin:index"), ("Requests", "admin:approvals_approvalrequest_changelist"))
_FOR_REVIEWERS = (
    ("Guardrails", "admin:approvals_guardrail_changelist"),
    ("Changes", "admin:approvals_authoritychange_changelist"),
    ("Statements", "admin:approvals_statement_changelist"),
)
_FOR_OVERSIGHT = (
    ("Executions", "admin:approvals_execution_changelist"),
    ("Alerts", "admin:approvals_alert_changelist"),
    ("Audit", "admin:approvals_auditentry_changelist"),
    ("Feed", "admin:approvals_feedbatch_changelist"),
    ("Quarantine", "admin:approvals_quarantinedmessage_changelist"),
    ("Persons", "admin:approvals_person_changelist"),
    ("Groups", "admin:auth_group_changelist"),
    ("Accounts", "admin:approvals_account_changelist"),
)


def navigation(http: HttpRequest, viewer: Viewer) -> list[Place]:
    """The links of the frame, in order."""
    wanted: tuple[tuple[str, str], ...] = _FOR_ALL
    if viewer.sees_everything or viewer.guardrails:
        wanted += _FOR_REVIEWERS
    if viewer.sees_everything:
        wanted += _FOR_OVERSIGHT
    home = reverse("admin:index")
    places = []
    for label, name in wanted:
        url = reverse(name)
        here = http.path == url if url == home else http.path.startswith(url)
        places.append(Place(label, url, here))
    return places
