"""Accounts, guardrails, their immutable versions, and the object permissions on them. Tables of authority."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from guardian.models import GroupObjectPermissionBase, UserObjectPermissionBase

from approvals.models.people import Person
from approvals.policies import Rules, rules_from_text


class Account(models.Model):
    """An AWS account that Countersign acts in."""

    id = models.CharField(primary_key=True, max_length=12)
    alias = models.CharField(max_length=100, unique=True)
    partition = models.CharField(max_length=20, default="aws")
    regions = models.JSONField(default=list, help_text="The regions in which requests may be made.")
    executor_role_arn = models.CharField(max_length=2048)
    external_id = models.CharField(max_length=1224)
    environment = models.CharField(max_length=50, blank=True)
    tags = models.JSONField(default=dict, help_text="The account's tags, which guardrails may name.")

    class Meta:
        constraints = (models.CheckConstraint(condition=models.Q(id__regex=r"^\d{12}$"), name="account_id_has_12_digits"),)

    def __str__(self) -> str:
        return f"{self.alias} ({self.id})"


class Guardrail(models.Model):
    """The name that versions and permissions hang on; what it protects stands in its newest version."""

    name = models.SlugField(max_length=64, unique=True)

    class Meta:
        permissions = (("review_guardrail", "Can review requests under this guardrail"),)
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class GuardrailVersionQuerySet(models.QuerySet["GuardrailVersion"]):
    """Versions of guardrails."""

    def current(self) -> GuardrailVersionQuerySet:
        """The newest version of each guardrail."""
        return self.order_by("guardrail_id", "-number").distinct("guardrail_id")


class GuardrailVersion(models.Model):
    """What a guardrail asks for, as canonical text. A trigger forbids every change."""

    guardrail = models.ForeignKey(Guardrail, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    text = models.TextField()
    hash = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = GuardrailVersionQuerySet.as_manager()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("guardrail", "number"), name="guardrail_version_number_once"),)

    def __str__(self) -> str:
        return f"{self.guardrail} v{self.number}"

    @property
    def rules(self) -> Rules:
        """The rules that the text says."""
        return rules_from_text(self.text)


class GuardrailUserPermission(UserObjectPermissionBase):
    """A grant on one guardrail to one portal user (django-guardian, direct foreign key), for ever or between two dates.

    With `delegated_by` it is a delegation: it holds while that person holds a right of his own, and not for his own requests.
    """

    content_object: Any = models.ForeignKey(Guardrail, on_delete=models.CASCADE)
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    delegated_by = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="delegations")

    class Meta(UserObjectPermissionBase.Meta):
        # guardian's own would forbid a delegation to somebody who holds a right of his own.
        unique_together: ClassVar[list[Any]] = []
        constraints = (
            models.UniqueConstraint(
                fields=("user", "permission", "content_object", "delegated_by"), nulls_distinct=False, name="grant_to_user_once"
            ),
            models.CheckConstraint(
                condition=models.Q(delegated_by__isnull=True) | models.Q(ends_at__isnull=False), name="delegation_is_dated"
            ),
        )


class GuardrailGroupPermission(GroupObjectPermissionBase):
    """A grant on one guardrail to a group of portal users (django-guardian, direct foreign key), dated or for ever."""

    content_object: Any = models.ForeignKey(Guardrail, on_delete=models.CASCADE)
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
