"""What a claim outside the database says: canonical JSON, written once and never changed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

from approvals import canonical
from approvals.errors import BadCanonicalForm

SCHEMA: Final = "countersign/claim/1"
# The bucket may hold checkpoints of other kinds as well.
PREFIX: Final = "claims/"


@dataclass(frozen=True, slots=True)
class Body:
    """Who claims which attempt, and the audit trail's head (`sequence`, `head`) at that time. `step` counts from 0."""

    digest: str
    step: int
    number: int
    execution: str
    request: str
    token: int
    worker: str
    nonce: str
    sequence: int
    head: str
    at: str
    genesis: str

    @property
    def key(self) -> str:
        """Where it lies. The request comes first: all of its claims are read at once, under whatever digest they were made."""
        return f"{under(self.request)}{self.digest}/{self.step}-{self.number}"

    def text(self) -> str:
        return canonical.dumps({"schema": SCHEMA, **asdict(self)})

    def in_words(self) -> str:
        """Who, when and what, for a person; every value is of our own writing or was read as strictly."""
        return (
            f"Attempt {self.number} of step {self.step + 1} was claimed at {self.at} by {self.worker} for execution "
            f"{self.execution} (token {self.token}), when the audit trail stood at entry #{self.sequence}."
        )


def under(request: object) -> str:
    """The beginning of the keys of all claims of a request."""
    return f"{PREFIX}{request}/"


def read(content: bytes) -> Body | None:
    """The claim that the bytes say, None when they are none of ours: anybody's rubbish is a claim of somebody all the same."""
    try:
        found = canonical.loads(content.decode())
    except (BadCanonicalForm, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(found, dict) or found.pop("schema", None) != SCHEMA:
        return None
    wanted = {name: int if kind == "int" else str for name, kind in Body.__annotations__.items()}
    if found.keys() != wanted.keys() or any(type(found[name]) is not kind for name, kind in wanted.items()):
        return None
    return Body(**found)
