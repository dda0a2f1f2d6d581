"""The chain of authority: each link is the whole state of who may do what, and the signatures that brought it about."""

from __future__ import annotations

from django.db import models


class AuthorityLink(models.Model):
    """One link. `state` is canonical JSON; link 0 is the genesis, whose hash the executor pins in its own configuration."""

    number = models.PositiveIntegerField(primary_key=True)
    previous = models.CharField(max_length=64, blank=True)
    state = models.TextField()
    hash = models.CharField(max_length=64)
    signatures = models.TextField(default="[]")
    created_at = models.DateTimeField()

    class Meta:
        ordering = ("number",)

    def __str__(self) -> str:
        return f"authority #{self.number}"
