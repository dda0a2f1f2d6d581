"""A guardrail's page says everything that the guardrail asks for."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

from approvals.models import Guardrail
from tests.cast import seal
from tests.portal.hands import browser_of

MORE: dict[str, Any] = {
    "account_tags": {"environment": ["production"]},
    "risk": ["irreversible"],
    "families": ["dynamodb-table-loss"],
    "conditions": [{"parameter": "DeletionProtectionEnabled", "is": False}, {"parameter": "Force", "present": True}],
    "groups": {"Approvers": 1},
    "ticket": "OPS-#",
    "unconfirmed": True,
    "windows": [{"days": ["mon"], "from": "22:00", "to": "06:00", "zone": "Europe/Berlin"}],
    "freezes": [{"from": "2026-12-20", "until": "2027-01-04", "zone": "Europe/Berlin", "why": "the year's end"}],
    "break_glass": {"groups": ["Approvers"], "review_within": 86400},
}


def test_every_demand_is_shown(db, tmp_path, settings):
    """Whoever reviews under a guardrail, or signs a change of it, reads there what it asks for."""
    cast = seal(tmp_path, settings, **MORE)
    page = reverse("admin:approvals_guardrail_change", args=[Guardrail.objects.get().pk])
    html = browser_of(cast, "bob").get(page).content.decode()
    for said in (
        "environment: production",
        "irreversible",
        "dynamodb-table-loss",
        "DeletionProtectionEnabled is false",
        "Force is present",
        "1 from Approvers",
        "OPS-#",
        "by two approvers at least",
        "mon from 22:00 to 06:00 (Europe/Berlin)",
        "2026-12-20T00:00 until 2027-01-04T00:00 (Europe/Berlin): the year&#x27;s end",
        "Approvers, reviewed within 1 day",
    ):
        assert said in html, said
