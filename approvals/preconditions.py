"""What must still hold of a target when its call is made: what identifies it, and what the call changes.

A precondition is made of what the executor read, is part of the plan that people sign, and is held against what it reads at the
claim. Values are those of the JSON that an observation keeps; what is hidden as a secret is neither kept nor compared.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from approvals import canonical, earlier_steps
from approvals.canonical import Sealed
from approvals.earlier_steps import Earlier
from approvals.errors import BadCanonicalForm
from approvals.operations import catalog, counterparts, reach, sensitive
from approvals.operations.catalog import Operation
from approvals.plan import Plan, Step

# What a text or a group may take of a plan that people are to read; of a larger one its digest is kept.
LONGEST: Final = 1000
# How the executor says that AWS refused to tell: its code stands in front.
_CODE: Final = re.compile(r"AWS says ([^\s:]+)")
_NO_SUCH: Final = re.compile(r"NotFound|NoSuch|DoesNotExist|NonExistent|NotExist|^404$")
# Inside a group that a call changes, AWS counts and reports too: that is no change of what was decided on.
_COUNTED: Final = re.compile(r"(Status|State|ItemCount|SizeBytes|SizeInBytes|Progress|Backfilling|Last(Modified|Update)\w*)$")
# Nothing: of what identifies a target everything counts.
_NONE: Final = re.compile(r"(?!)")
# Of what identifies a target: what tells it from another for ever, and not what it holds (lists, settings, versions).
_TELLS_APART: Final = re.compile(
    r"^(?:[\w.]|\[\d+\])*"
    r"(?:(?<!Version)(?<!Revision)I[dD]|^id|[aA]rn|ARN|[iI]dentifier|Reference|[cC]reat\w*(?:Time|Date|At|On|[tT]imestamp))$"
)
# Of several things the moments in which they were made.
_MADE_AT: Final = re.compile(r"^(?:[\w.]|\[\d+\])*\[\]\.[cC]reat\w*(?:Time|Date|At|On|[tT]imestamp)$")
# What no other value can be taken for.
_NOTHING: Final = object()

Fact = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reading:
    """What AWS said of a step's target: its state as JSON text, or why there is none, in the words of the executor."""

    text: str = ""
    problem: str = ""

    @property
    def code(self) -> str:
        """AWS's code, where it refused to tell."""
        found = _CODE.match(self.problem)
        return found[1] if found else ""

    @property
    def state(self) -> Any:
        """The state; None where there is none, or it is no JSON."""
        try:
            return json.loads(self.text) if self.text else None
        except ValueError:
            return None

    def says_absent(self, operation: Operation) -> bool:
        """Whether AWS said that there is no such target."""
        if self.problem:
            return bool(self.code) and (self.code in operation.facts.settled.gone or bool(_NO_SUCH.search(self.code)))
        # What the row takes out of AWS's answer is not in it: a list of none, filtered by the name.
        return self.text == "null"

    def says_something(self) -> bool:
        """Whether it is an answer of AWS's at all, and not a failure to ask."""
        return bool(self.text) or bool(self.code)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it was: what, in AWS's names; what it was and what it is, in words."""

    what: str
    was: str
    now: str

    def __str__(self) -> str:
        return f"{self.what} was {self.was} and is {self.now}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """`drift` forbids the call, a `transient` status delays it. `unread`: why what was read before cannot be read."""

    drift: tuple[Difference, ...] = ()
    transient: str = ""
    unread: str = ""


def of(index: int, step: Step, reading: Reading) -> Fact | None:
    """The precondition of a step; None where nothing tells how its target is read, or nothing was told.

    `{"step": 0, "identity": {expression: value}, "fields": {path: value}}`, `{"step": 0, "absent": true}` where AWS said that
    there is none, or `{"step": 0, "unread": code}` where AWS refused to tell.
    """
    operation = catalog.get(step.name)
    if operation.facts.describe is None or not reading.says_something():
        return None
    if reading.says_absent(operation):
        return {"step": index, "absent": True}
    if reading.code:
        return {"step": index, "unread": canonical.storable(reading.code)}
    return {
        "step": index,
        "identity": _identity(operation, step, reading.state),
        "fields": _fields(operation, step, reading.state),
    }


def signed_of(plan: Plan, index: int) -> Fact | None:
    """What a plan says must hold of a step's target; None where it says nothing."""
    facts: Sequence[Any] = plan.preconditions
    return next((fact for fact in facts if isinstance(fact, dict) and fact.get("step") == index), None)


def identity_of(fact: Fact) -> Fact:
    """The same without the fields: which target it is, whatever may have changed of it."""
    return {name: value for name, value in fact.items() if name != "fields"}


def is_described(step: Step) -> bool:
    """Whether it is known how the step's target is read."""
    return catalog.get(step.name).facts.describe is not None


def compare(step: Step, expected: Mapping[str, Any], now: Reading, *, done: Sequence[Step] = ()) -> Comparison:
    """What was expected of a step's target, held against what is read of it now.

    `done` are the steps of the same plan that were carried out before: what they changed on the same target is no drift, and
    AWS may show their effect under any name. It stays the same target, unless they took it away or made it.
    """
    operation = catalog.get(step.name)
    if "unread" in expected:
        # A key's policy may keep everybody from reading it: the step that mends that is one of those before this one. But what
        # a call acts on and does not name is told by nothing else, so that nobody has signed it.
        asks = earlier_steps.names_of(step)
        mended = _names_its_targets(operation, step) and any(earlier_steps.names_of(one) == asks for one in done)
        told = (not now.problem or now.says_absent(operation)) and not mended
        shown = (Difference("the target", "not told by AWS", "told"),) if told else ()
        return Comparison(shown, status_of(step, now))
    absent = now.says_absent(operation)
    if now.problem and not absent:
        return Comparison(unread=now.problem)
    before = Earlier.of(done, step)
    if "absent" in expected:
        made = [] if absent or before.rewritten or before.kept else [Difference("the target", "not there", "there")]
        return Comparison(tuple(made), status_of(step, now))
    if absent:
        # What is not there is not acted on: that the plan's own steps took it away is nobody's swap.
        return Comparison(() if before.rewritten else (Difference("the target", "there", "gone"),))
    signed = {name: at_rest(value, _NONE) for name, value in _group(expected, "identity").items()}
    was, identity = {} if before.remade else signed, _identity(operation, step, now.state)
    differ: list[Difference] = []
    reached = reach.expressions(operation, step.parameters)
    # What earlier steps acted on besides this target: a volume that they attached to the instance.
    named = frozenset(text for one in before.touched for text in earlier_steps.identifying(one)) - earlier_steps.identifying(step)
    was = {name: value for name, value in was.items() if name not in reached or not _only_of(named, value, identity.get(name))}
    if before.rewritten:
        if not before.made:
            differ += _newer(was, identity)
        # Which one it is, and what the call acts on besides; not what it holds, which those steps were to change.
        was = {name: value for name, value in was.items() if name in reached or _TELLS_APART.search(name)}
    # A step that shares a name with this one (its role, its cluster) changed another thing.
    changed = {name for one in before.naming for name in _set_by(one)}
    differ += _between(was, identity, changed)
    if not before.rewritten:
        are = _fields(operation, step, now.state)
        fields = {path: value for path, value in _group(expected, "fields").items() if not _only_of(named, value, are.get(path))}
        differ += _between(fields, are, changed)
    return Comparison(tuple(differ), status_of(step, now))


def status_of(step: Step, now: Reading) -> str:
    """The status in which AWS is still changing the target, for people; empty when it is at rest, or nothing tells."""
    describe = catalog.get(step.name).facts.describe
    if describe is None or not describe.status:
        return ""
    found = counterparts.searched(describe.status, now.state)
    several = found if isinstance(found, list) else [found]
    return ", ".join(f"{describe.status} {_words(one)}" for one in several if any(one == wait for wait in describe.transient))


def besides(step: Step, was: Reading, now: Reading, *, most: int = 12) -> tuple[Difference, ...]:
    """Every other difference between two readings, to be shown: an item count, a size, a tag. What is more is said in number."""
    if was.state is None or now.state is None:
        return ()
    old, new = dict(_flat("", was.state)), dict(_flat("", now.state))
    operation = catalog.get(step.name)
    told = {
        path.replace("[", ".").replace("]", "")
        for path in (*_identity(operation, step, now.state), *_fields(operation, step, now.state))
    }
    found = [
        Difference(path, _words(old.get(path)), _words(new.get(path)))
        for path in sorted(old.keys() | new.keys(), key=lambda path: (path.count("."), path))
        if not _is_same(old.get(path, _NOTHING), new.get(path, _NOTHING)) and path not in told
    ]
    rest = len(found) - most
    return (*found[:most], *([Difference(f"and {rest} more", "", "")] if rest > 0 else []))


def _is_same(was: object, now: object) -> bool:
    # What is no number is not even equal to itself.
    return was == now or repr(was) == repr(now)


def words_of(fact: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A precondition as (what, value) for people: first what identifies the target."""
    if "absent" in fact:
        return [("the target", "does not exist")]
    if "unread" in fact:
        return [("the target", f"could not be read: AWS says {fact['unread']}")]
    return [(_named(path), _words(value)) for group in ("identity", "fields") for path, value in _group(fact, group).items()]


def _group(fact: Mapping[str, Any], name: str) -> Fact:
    # The bytes were signed, and yet could be anything.
    found = fact.get(name)
    return dict(found) if isinstance(found, Mapping) else {}


def _names_its_targets(operation: Operation, step: Step) -> bool:
    """Whether the call acts on nothing but what it names, and names that plainly."""
    named = [step.parameters.get(name) for name in operation.facts.identifies]
    return bool(named) and None not in named and not reach.expressions(operation, step.parameters)


def _set_by(step: Step) -> Iterator[str]:
    """The members of a described state that may be otherwise once this step was carried out."""
    for member in step.parameters.keys() - set(catalog.get(step.name).facts.identifies):
        yield from (*counterparts.names(member), f"{member}Summary")


def _identity(operation: Operation, step: Step, state: Any) -> Fact:
    """What tells this target from another, and what else the call acts on that only the target's state tells."""
    expressions = operation.facts.describe.identity if operation.facts.describe else ()
    found = {one: counterparts.searched(counterparts.about(one, step.parameters), state) for one in expressions}
    told = (one for one in reach.expressions(operation, step.parameters) if one not in found)
    found = {one: at_rest(value, _NONE) for one, value in found.items()}
    found |= {one: at_rest(counterparts.searched(one, state)) for one in told}
    return {expression: sensitive.HIDDEN if hides(value) else _kept(value) for expression, value in found.items()}


def _fields(operation: Operation, step: Step, state: Any) -> Fact:
    """What the state tells of the members that the call sets, by their path in the call."""
    found: Fact = {}
    for name, value in step.parameters.items():
        if name in operation.facts.identifies:
            continue
        for path in _paths((name,), value):
            told = counterparts.of(operation, state, path)
            if told is counterparts.MISSING:
                # Where AWS leaves it out today, it may stand there tomorrow.
                if len(path) > 1 or not counterparts.may_tell(operation, name):
                    continue
                told = None
            if not hides(told):
                found[".".join(path)] = _kept(at_rest(told))
    return found


def _paths(path: tuple[str, ...], value: Any) -> Iterator[tuple[str, ...]]:
    if isinstance(value, Sealed):
        return
    # EC2's attributes are wrapped in the call, and told as they are: `{"InstanceType": {"Value": "t3.large"}}`.
    if isinstance(value, dict) and value and value.keys() != {"Value"}:
        for name, item in value.items():
            yield from _paths((*path, name), item)
    else:
        yield path


def at_rest(value: Any, counted: re.Pattern[str] = _COUNTED) -> Any:
    """A group without what AWS counts in it, and a list in an order of its own: AWS tells them in any."""
    if isinstance(value, dict):
        return {name: at_rest(item, counted) for name, item in value.items() if not counted.search(name)}
    if isinstance(value, list):
        return sorted((at_rest(item, counted) for item in value), key=lambda item: json.dumps(_plain(item), sort_keys=True))
    return value


def _kept(value: Any) -> Any:
    """The value as a plan keeps it: nothing that cannot be stored, and of what is long its digest."""
    plain = _plain(value)
    try:
        text = canonical.dumps(canonical.encode(plain))
    except BadCanonicalForm:  # nested deeper than anybody reads
        return {"sha256": canonical.digest(json.dumps(plain, sort_keys=True))}
    return plain if len(text) <= LONGEST else {"sha256": canonical.digest(text)}


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return canonical.storable(value)
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)  # which equals itself
    if isinstance(value, dict):
        return {canonical.storable(str(name)): _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def hides(value: Any) -> bool:
    """Whether something in a value that people are shown is hidden as a secret."""
    if isinstance(value, dict):
        return any(hides(item) for item in value.values())
    if isinstance(value, list):
        return any(hides(item) for item in value)
    return bool(value == sensitive.HIDDEN)


def _between(was: Fact, now: Fact, changed: set[str]) -> Iterator[Difference]:
    for path in was:
        if re.split(r"\W", path, maxsplit=1)[0] in changed:
            continue
        if path not in now or was[path] != now[path] or isinstance(was[path], bool) is not isinstance(now[path], bool):
            yield Difference(_named(path), _words(was[path]), _words(now.get(path)))


def _only_of(named: frozenset[str], old: Any, new: Any) -> bool:
    """Whether all that came to a list and went from it is what earlier steps named."""
    if not (isinstance(old, list) and isinstance(new, list)):
        return False
    return all(named.intersection(counterparts.texts(one)) for one in [*old, *new] if one not in old or one not in new)


def _newer(was: Fact, now: Fact) -> Iterator[Difference]:
    """Of what is one of several: what is there now that was made since. That one is gone may be the plan's own doing."""
    for path in was:
        old, new = was[path], now.get(path)
        if _MADE_AT.search(path) and isinstance(old, list) and isinstance(new, list) and any(one not in old for one in new):
            yield Difference(_named(path), _words(old), _words(new))


def _named(path: str) -> str:
    # `@` is the whole of what was read; an expression that sorts a list is no name for people, and what stands for nothing none.
    path = path.partition(" || ")[0]
    return path if re.fullmatch(r"[\w.\[\]]+", path) else "what was read"


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _flat(f"{path}.{name}" if path else name, item)
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _flat(f"{path}.{index}", item)
    else:
        yield path, value


def _words(value: Any) -> str:
    if value is None:
        return "not told"
    if isinstance(value, dict) and value.keys() == {"sha256"} and isinstance(value["sha256"], str):
        return f"a longer value with SHA-256 {value['sha256'][:12]}…"
    text = json.dumps(value, ensure_ascii=True, sort_keys=True)
    return text if len(text) <= 200 else f"{text[:200]}… ({len(text)} characters)"
