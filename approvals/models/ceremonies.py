"""What every signing ceremony leaves behind, whatever is signed: the nonce that is used once, and the assertion, whole."""

from __future__ import annotations

from django.db import models


class Challenge(models.Model):
    """A nonce that one person may use once, in its time. Consumed by a conditional UPDATE."""

    nonce = models.CharField(max_length=43, primary_key=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    consumed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True


class SignedAssertion(models.Model):
    """A WebAuthn assertion as it came, each part as base64url without padding; a trigger of each table forbids every change."""

    nonce = models.CharField(max_length=43, unique=True)
    credential_id = models.CharField(max_length=1400)
    client_data = models.TextField()
    authenticator_data = models.TextField()
    signature = models.TextField()
    counter = models.BigIntegerField()
    created_at = models.DateTimeField()

    class Meta:
        abstract = True
