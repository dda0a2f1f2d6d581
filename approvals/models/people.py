"""Persons, and what belongs to them: portal logins, AWS principals, passkeys. Authority: the web role only reads it."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models


class Person(models.Model):
    """One human (or bot), with an id that never changes. Votes key on this row, never on a login."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    handle = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=200)
    email = models.EmailField(blank=True)
    is_human = models.BooleanField(default=True, help_text="Bots may ask; they never review.")
    is_active = models.BooleanField(default=True)
    is_administrator = models.BooleanField(default=False)
    is_auditor = models.BooleanField(default=False)

    class Meta:
        verbose_name_plural = "persons"
        ordering = ("handle",)

    def __str__(self) -> str:
        return self.handle


class Login(models.Model):
    """A portal user of a person. One person may have several; they are one voter."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="login")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="logins")

    def __str__(self) -> str:
        return f"{self.user} is {self.person}"


class Principal(models.Model):
    """AWS identities that a person acts as: a value, or a pattern with `*` and `?` (approvals.principals says which one wins)."""

    class Kind(models.TextChoices):
        IAM_USER = "iam_user", "IAM user"
        SOURCE_IDENTITY = "source_identity", "source identity"
        SSO_USER = "sso_user", "Identity Center user"
        ROLE = "role", "role of one person"

    kind = models.CharField(max_length=20, choices=Kind)
    value = models.CharField(max_length=2048)
    precedence = models.SmallIntegerField(default=0, help_text="Among patterns that fit, the highest wins.")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="principals")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("kind", "value"), name="principal_belongs_to_one_person"),)

    def __str__(self) -> str:
        return self.value


class Passkey(models.Model):
    """A registered WebAuthn credential: `public_key` is the COSE key's CBOR bytes, base64url."""

    credential_id = models.CharField(max_length=1400, unique=True)
    public_key = models.TextField()
    label = models.CharField(max_length=100)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="passkeys")

    def __str__(self) -> str:
        return f"{self.person}: {self.label}"
