"""How far a passkey has counted: one counter, whatever it signed."""

from __future__ import annotations

from approvals.models import ChangeSignature, Signature, StatementSignature


def last_counter(credential_id: str) -> int:
    """The highest counter that this passkey has shown under a decision, a change or a statement; -1 before the first."""
    seen = [
        model.objects.filter(credential_id=credential_id).order_by("-counter").values_list("counter", flat=True).first()
        for model in (Signature, ChangeSignature, StatementSignature)
    ]
    return max([-1, *(counter for counter in seen if counter is not None)])
