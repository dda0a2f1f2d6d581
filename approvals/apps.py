"""Django's entry for the judgement."""

from django.apps import AppConfig


class ApprovalsConfig(AppConfig):
    """Models, rules, decisions, audit. No network, no Celery, no admin."""

    name = "approvals"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = "Approvals"
