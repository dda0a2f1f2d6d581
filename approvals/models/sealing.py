"""The data keys of sealed values, wrapped for the executor. The values themselves stand in plans, as tokens."""

from __future__ import annotations

from uuid import uuid4

from django.db import models
from django.db.models import Q

from approvals.models.people import Person


class SealedKey(models.Model):
    """One value's data key. The web process adds rows and cannot read `wrapped`; only the execution process does.

    A trigger lets nothing change but the wrapping (`wrapped`, `fingerprint`, `rewrapped_at`), and nothing be deleted.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    wrapped = models.TextField(help_text="The data key, encrypted with RSAES-OAEP-SHA-256, as base64.")
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of the public key it is wrapped for.")
    mark = models.CharField(max_length=64, help_text="Which token in which place it belongs to (approvals.sealing.mark).")
    sealed_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    rewrapped_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("created_at", "id")
        constraints = (
            models.CheckConstraint(
                condition=Q(fingerprint__regex=r"^[0-9a-f]{64}$") & Q(mark__regex=r"^[0-9a-f]{64}$"),
                name="sealed_key_is_whole",
            ),
        )
        indexes = (models.Index(fields=("fingerprint",), name="sealed_key_wrapped_for"),)

    def __str__(self) -> str:
        return f"data key {str(self.id)[:8]}"
