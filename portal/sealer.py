"""Sealing for one person, one operation and one place. The web process can seal; it has nothing that opens.

A token that comes back with a form is believed when this person sealed it for this very place: account, region, operation,
target, member. The row of its data key says so (`mark`); whoever pastes a token that he saw elsewhere gets nothing for it, and
the executor would not open it there either.
"""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from approvals import sealing
from approvals.canonical import Sealed
from approvals.errors import BadCanonicalForm, BadParameters, BadSeal
from approvals.models import Account, Person, SealedKey
from approvals.operations import resources, sensitive
from approvals.operations.catalog import Operation
from approvals.operations.resources import Where
from approvals.sealing import Binding, Place, SealingKey

NOT_CONFIGURED: Final = (
    "Secrets cannot be entered here yet, because the portal has no key to seal them with. Ask the operators to set "
    "COUNTERSIGN_SEALING_KEY for the web process."
)
_ELSEWHERE: Final = "What was sealed before is not for this place or target any more. Enter it again."


def is_configured() -> bool:
    """Whether secrets can be entered."""
    return bool(settings.SEALING_KEY)


@lru_cache(maxsize=2)
def _key(pem: str) -> SealingKey:
    return sealing.sealing_key(pem)


class Sealer:
    """Seals what this person types into this operation's form, for a call in this account and region."""

    def __init__(self, person: Person, operation: Operation, account: Account, region: str) -> None:
        self.rule = sensitive.rule(operation)
        self._person = person
        self._operation = operation
        self._where = Where(account.pk, region, account.partition)

    def seal(self, parameters: dict[str, Any], place: Place, value: Any) -> Sealed:
        """A new token, and the row of its data key. Raises BadSeal."""
        if not is_configured():
            raise BadSeal(NOT_CONFIGURED)
        binding = self._binding(parameters, place)
        sealed, wrapped = sealing.seal(value, binding, _key(settings.SEALING_KEY))
        SealedKey.objects.create(
            id=UUID(wrapped.key_id),
            wrapped=base64.b64encode(wrapped.wrapped).decode("ascii"),
            fingerprint=wrapped.fingerprint,
            mark=sealing.mark(sealed, binding),
            sealed_by=self._person,
            created_at=timezone.now(),
        )
        return sealed

    def kept(self, parameters: dict[str, Any], place: Place, token: str) -> Sealed:
        """The token, when this person sealed it for this place. Raises BadSeal."""
        try:
            sealed = Sealed(token)
        except BadCanonicalForm as error:
            raise BadSeal(_ELSEWHERE) from error
        mark = sealing.mark(sealed, self._binding(parameters, place))
        if not SealedKey.objects.filter(pk=UUID(sealed.key_id), mark=mark, sealed_by=self._person).exists():
            raise BadSeal(_ELSEWHERE)
        return sealed

    def _binding(self, parameters: dict[str, Any], place: Place) -> Binding:
        try:
            plain = resources.normalised(self._operation, parameters, self._where)
        except BadParameters:
            # The target is refused in a moment; when it is put right, what was sealed for this one is entered again.
            plain = parameters
        return sensitive.binding(self._operation, plain, self._where, place)
