"""The plan: exactly what would be executed, as canonical bytes with a digest.

What is shown, signed and sent is parsed from the same text. The text is stored as text, never as jsonb, so that not even the
database can re-order it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from approvals import canonical
from approvals.errors import BadCanonicalForm, BadPlan

SCHEMA: Final = "countersign/plan/1"


@dataclass(frozen=True, slots=True)
class Step:
    """One AWS call: boto3's service name, the operation's name in AWS's spelling, keyword arguments as boto3 takes them."""

    service: str
    operation: str
    parameters: dict[str, Any]

    @property
    def name(self) -> str:
        """`service:Operation`, as guardrails spell it."""
        return f"{self.service}:{self.operation}"


@dataclass(frozen=True, slots=True)
class GuardrailPin:
    """The guardrail version that a plan was frozen under: its name, number and the SHA-256 of its canonical rules."""

    name: str
    number: int
    hash: str


@dataclass(frozen=True, slots=True)
class Plan:
    """One revision's calls in order, and everything that signing them binds.

    `valid_for` is the seconds that an approval stays good. `preconditions` are facts about the targets that must still hold at
    the claim (`approvals.preconditions`); empty until the executor has read the targets and frozen them.
    """

    request_id: str
    revision: int
    account: str
    partition: str
    region: str
    role: str
    steps: tuple[Step, ...]
    guardrails: tuple[GuardrailPin, ...]
    valid_for: int
    preconditions: tuple[dict[str, Any], ...] = ()

    def text(self) -> str:
        """The canonical bytes, as text. Raises BadCanonicalForm when a parameter cannot be written."""
        return canonical.dumps(
            {
                "schema": SCHEMA,
                "request": self.request_id,
                "revision": self.revision,
                "account": self.account,
                "partition": self.partition,
                "region": self.region,
                "role": self.role,
                "steps": [
                    {"service": step.service, "operation": step.operation, "parameters": canonical.encode(step.parameters)}
                    for step in self.steps
                ],
                "preconditions": [canonical.encode(fact) for fact in self.preconditions],
                "guardrails": [{"name": pin.name, "number": pin.number, "hash": pin.hash} for pin in self.guardrails],
                "valid_for": self.valid_for,
            }
        )


_FIELDS: Final[dict[str, type]] = {
    "schema": str,
    "request": str,
    "revision": int,
    "account": str,
    "partition": str,
    "region": str,
    "role": str,
    "steps": list,
    "preconditions": list,
    "guardrails": list,
    "valid_for": int,
}


def parse(text: str) -> Plan:
    """Read a plan back from its canonical text; `parse(p.text()) == p`.

    Raises BadPlan when the text is not canonical, has an unknown or missing field, or a field of another type.
    """
    try:
        return _plan(canonical.loads(text))
    except BadCanonicalForm as error:  # of the text, or of a tagged value in it
        raise BadPlan(f"The plan's text cannot be read: {error}") from error


def _plan(found: Any) -> Plan:
    _expect(found, _FIELDS, "plan")
    if found["schema"] != SCHEMA:
        raise BadPlan(f"The plan says schema {found['schema']!r}; this program reads {SCHEMA!r}.")
    steps = tuple(_step(item, index) for index, item in enumerate(found["steps"]))
    if not steps:
        raise BadPlan("The plan has no step.")
    return Plan(
        request_id=found["request"],
        revision=found["revision"],
        account=found["account"],
        partition=found["partition"],
        region=found["region"],
        role=found["role"],
        steps=steps,
        preconditions=tuple(canonical.decode(fact) for fact in found["preconditions"]),
        guardrails=tuple(_pin(item, index) for index, item in enumerate(found["guardrails"])),
        valid_for=found["valid_for"],
    )


def _step(item: Any, index: int) -> Step:
    _expect(item, {"service": str, "operation": str, "parameters": dict}, f"step {index + 1}")
    parameters = canonical.decode(item["parameters"])
    if not isinstance(parameters, dict):
        raise BadPlan(f"Step {index + 1} has parameters that are no object.")
    return Step(item["service"], item["operation"], parameters)


def _pin(item: Any, index: int) -> GuardrailPin:
    _expect(item, {"name": str, "number": int, "hash": str}, f"guardrail {index + 1}")
    return GuardrailPin(item["name"], item["number"], item["hash"])


def _expect(found: Any, fields: dict[str, type], where: str) -> None:
    if not isinstance(found, dict):
        raise BadPlan(f"The {where} is no object.")
    if missing := fields.keys() - found.keys():
        raise BadPlan(f"The {where} lacks {', '.join(sorted(missing))}.")
    if unknown := found.keys() - fields.keys():
        raise BadPlan(f"The {where} has unknown fields: {', '.join(sorted(unknown))}.")
    for name, kind in fields.items():
        if type(found[name]) is not kind:  # bool is an int to isinstance
            raise BadPlan(f"The {where}'s {name} is a {type(found[name]).__name__}, not a {kind.__name__}.")
