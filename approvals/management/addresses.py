"""Addresses of the portal that a command prints, as far as its environment knows where the portal is."""

from __future__ import annotations

from django.conf import settings


def origin() -> str:
    """The portal's address; empty where COUNTERSIGN_ORIGIN is not set for this process."""
    # What stands in its place then ends in a name that never is one (RFC 2606).
    return "" if str(settings.ORIGIN).endswith(".invalid") else str(settings.ORIGIN)
