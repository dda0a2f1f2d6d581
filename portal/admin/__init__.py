"""The pages of the admin.

All of them are read-only: what changes something is a verb of `approvals.decisions` behind a page of its own.
"""

from __future__ import annotations

from django.contrib.admin import AdminSite
from django.contrib.auth.models import Group

from approvals.models import (
    Account,
    Alert,
    ApprovalRequest,
    AuditEntry,
    AuthorityChange,
    Execution,
    FeedBatch,
    Guardrail,
    Person,
    QuarantinedMessage,
    Statement,
)


def register(site: AdminSite) -> None:
    """Put every page of the portal on the site. Called once, when the apps are ready."""
    from portal.admin.alerts import AlertAdmin
    from portal.admin.audit import AuditEntryAdmin
    from portal.admin.changes import ChangeAdmin
    from portal.admin.executions import ExecutionAdmin
    from portal.admin.feed import FeedBatchAdmin, QuarantinedMessageAdmin
    from portal.admin.guardrails import AccountAdmin, GuardrailAdmin
    from portal.admin.people import GroupAdmin, PersonAdmin
    from portal.admin.requests import RequestAdmin
    from portal.admin.statements import StatementAdmin

    for model, page in (
        (ApprovalRequest, RequestAdmin),
        (AuthorityChange, ChangeAdmin),
        (Statement, StatementAdmin),
        (Guardrail, GuardrailAdmin),
        (Account, AccountAdmin),
        (Person, PersonAdmin),
        (Group, GroupAdmin),
        (Execution, ExecutionAdmin),
        (Alert, AlertAdmin),
        (AuditEntry, AuditEntryAdmin),
        (FeedBatch, FeedBatchAdmin),
        (QuarantinedMessage, QuarantinedMessageAdmin),
    ):
        if not site.is_registered(model):
            site.register(model, page)
