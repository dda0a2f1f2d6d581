"""What can go wrong in a judgement: one class a cause, each saying what happened and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


class CountersignError(Exception):
    """The root. `str(error)` is a sentence for a person: what happened and what to do next."""


class BadCanonicalForm(CountersignError):
    """A text is not canonical JSON of the restricted profile, or a value cannot be written in it."""


class BadPlan(CountersignError):
    """A plan's bytes do not describe a plan."""


class BadSealingKey(CountersignError):
    """A key that sealed values cannot be made or opened with; the message says what is wrong with it."""


class BadSeal(CountersignError):
    """A sealed value does not open: it was changed, moved, or sealed with another key. Never says what it holds."""


class UnknownOperation(CountersignError):
    """A service or operation that the operations table does not know."""


class BadParameters(CountersignError):
    """Parameters that do not fit the operation's shape. `fields` maps a dotted path to its messages; `step` counts from 0."""

    def __init__(self, fields: dict[str, list[str]], *, step: int = 0) -> None:
        self.fields = fields
        self.step = step
        said = "; ".join(f"{path}: {' '.join(messages)}" if path else " ".join(messages) for path, messages in fields.items())
        super().__init__(said)


class BadTrailEvent(CountersignError):
    """A message that is no CloudTrail record; the feed puts it into quarantine with this reason."""


class BadGuardrail(CountersignError):
    """Guardrail rules that cannot be read, or that nobody could satisfy. `path` leads to the field (keys and indexes)."""

    def __init__(self, said: str, *, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(said)
        self.path = path


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong in a file, where: the line counts from 1, the field is dotted (`guardrails[1].windows[0].zone`) or empty."""

    file: str
    line: int
    field: str
    said: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}{f', {self.field}' if self.field else ''}: {self.said}"


class BadGuardrailFile(CountersignError):
    """A guardrails file that cannot be read. `problems` are all that were found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


class BadManifest(CountersignError):
    """A genesis manifest that cannot be sealed; `path` leads to the field, within what is being read."""

    def __init__(self, said: str, *, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(said)
        self.path = path


class AlreadySealed(CountersignError):
    """`bootstrap` ran before; authority changes only through two persons now."""


class BadAuthority(CountersignError):
    """The signed chain of authority does not hold; nothing may be executed on its strength."""


class Refused(CountersignError):
    """A verb of `decisions` that may not happen. Nothing was written."""


class NotYet(Refused):
    """The hold has not ended, or no window is open; nothing is wrong, it is only too early. `until`: when it may be, if known."""

    def __init__(self, said: str, *, until: datetime | None = None) -> None:
        self.until = until
        super().__init__(said)


class NotAllowed(Refused):
    """The person has no right to this verb on this request."""


class OwnRequest(NotAllowed):
    """Somebody tried to review what he asked for or edited himself."""


class WrongState(Refused):
    """The request is no longer (or not yet) in a state that the verb starts from."""


class StaleRevision(Refused):
    """The digest signed is not that of the current revision: somebody edited the plan meanwhile."""


class Expired(WrongState):
    """The clock of the draft, of the pending request or of the approval has run out."""


class AlreadyReviewed(Refused):
    """This person has reviewed this revision before."""


class TooMany(Refused):
    """One person or AWS identity asks for more at once than anybody could look at."""


class NothingMatches(Refused):
    """No enforcing guardrail protects this call, so there is nothing to approve."""


class Unmapped(Refused):
    """An AWS principal or a login that belongs to no person."""


class BadSignature(Refused):
    """A signature that does not verify, or whose challenge was used, has lapsed or belongs to something else."""


class AuditUnavailable(CountersignError):
    """The audit trail could not be written, so nothing happened."""


class BadChange(Refused):
    """A change of authority that cannot be made; the message says which edit and why. Nothing was written."""


class StaleChange(Refused):
    """Another change of authority was applied first: what was read and signed follows nothing any more."""
