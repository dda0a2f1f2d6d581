"""What the executor put off: when it comes back, for which try, and why. Told by the audit trail, which alone says so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from approvals import canonical
from approvals.errors import BadCanonicalForm
from approvals.models import AuditEntry, AuditKind, Execution
from approvals.states import ExecutionState


@dataclass(frozen=True, slots=True)
class PutOff:
    """`following` is the number of the attempt that comes next, None where no call was made yet."""

    until: datetime
    why: str
    following: int | None
    most: int | None

    @property
    def words(self) -> str:
        """Which attempt comes: `attempt 3 of 8`; "" where none was made yet."""
        return f"attempt {self.following} of {self.most}" if self.following and self.most else ""


def put_off_of(execution: Execution | None) -> PutOff | None:
    """When this execution is taken up again; None: nobody said that it waits, or the time is over."""
    if execution is None or execution.execution_state not in {ExecutionState.CLAIMED, ExecutionState.RUNNING}:
        return None
    said = AuditEntry.objects.filter(request_id=execution.revision.request_id, kind=AuditKind.EXECUTION_PUT_OFF)
    entry = said.order_by("-sequence").first()
    found = read(entry) if entry else None
    return found if found is not None and found.until > timezone.now() else None


def read(entry: AuditEntry) -> PutOff | None:
    """What an entry of the trail says; None when it says it in no way that we know."""
    try:
        detail: Any = canonical.decode(canonical.loads(entry.body)["detail"])
        until = datetime.fromisoformat(str(detail["until"]))
        tries, most = detail.get("tries"), detail.get("most")
    except (BadCanonicalForm, AttributeError, KeyError, TypeError, ValueError):
        return None
    following = tries + 1 if isinstance(tries, int) else None
    return PutOff(until, str(detail.get("why", "")), following, most if isinstance(most, int) else None)
