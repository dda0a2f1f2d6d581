"""How far a passkey has counted: one counter, whatever it signed."""

from __future__ import annotations

from approvals.models import ChangeSignature, Signature, StatementSignature


def last_counter(credential_id: str) -> int:
    """The highest counter that this passkey has shown under a decision, a change or a statement; -1 before the first."""
    first, *others = (
        model.objects.filter(credential_id=credential_id).order_by("-counter").values_list("counter", flat=True)[:1]
        for model in (Signature, ChangeSignature, StatementSignature)
    )
    seen: list[int] = list(first.union(*others, all=True))
    return max([-1, *seen])
