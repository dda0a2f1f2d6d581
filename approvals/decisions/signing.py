"""Signing a decision on a plan: who may begin, and over what."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from approvals import ceremonies, signatures
from approvals.ceremonies import Ceremony, Kind
from approvals.decisions.checks import (
    must_be_breakable,
    must_be_confirmable,
    must_be_reviewable,
)
from approvals.decisions.writing import (
    locked,
)
from approvals.models import (
    Person,
    Revision,
    Signature,
    SignatureChallenge,
)
from approvals.signatures import Assertion
from approvals.states import Verdict

KIND: Final = Kind(
    domain=signatures.DOMAIN,
    challenges=SignatureChallenge,
    signatures=Signature,
    subject="revision",
    thing="request",
    signed_already="You have signed this revision already.",
)


def begin(request_id: UUID, person: Person, verdict: Verdict, *, now: datetime | None = None) -> Ceremony:
    """Open a signing ceremony for the current revision. Decides nothing, and checks that the person may sign at all."""
    now = now or timezone.now()
    with transaction.atomic():
        request = locked(request_id)
        revision = request.current_revision()
        if verdict is Verdict.CONFIRM:
            must_be_confirmable(request, revision, person, now)
        elif verdict is Verdict.BREAK_GLASS:
            must_be_breakable(request, revision, person, now)
        else:
            must_be_reviewable(request, revision, person, now)
        return ceremonies.begin(KIND, revision, person, verdict, now)


def consume(nonce: str, person: Person, now: datetime) -> None:
    """Use the nonce of a decision up. Raises BadSignature."""
    ceremonies.consume(KIND, nonce, person, now)


def sign(revision: Revision, person: Person, verdict: Verdict, nonce: str, assertion: Assertion, now: datetime) -> Signature:
    """Verify and store the signature under a revision. Raises BadSignature, AlreadyReviewed."""
    made: Signature = ceremonies.sign(KIND, revision, person, verdict, nonce, assertion, now)
    return made
