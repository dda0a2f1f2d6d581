"""What a step acts on, from the operations table: the rights a session needs, the target's state, whether a call has settled."""

from __future__ import annotations

import json
import re
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

import jmespath
from botocore.model import Shape

from approvals import preconditions
from approvals.canonical import Sealed
from approvals.operations import catalog, partial, protection, reach, renaming, resources, sensitive
from approvals.operations.catalog import Operation
from approvals.operations.facts import Describe, Untouched
from approvals.operations.resources import Where
from approvals.plan import Plan, Step
from executor import aws, backups, settling
from executor.aws import Allowed, Reads
from executor.errors import AwsError, AwsRefused, NotDescribed, NotNamed, WillNotSettle

HIDDEN: Final = sensitive.HIDDEN
# What AWS counts or notes of a target that nobody changes.
_BY_ITSELF: Final = re.compile(
    r"(?:ItemCount|runningCount|pendingCount|SizeBytes|SizeInBytes|Progress|(?:Latest|[eE]arliest)\w*Time\w*"
    r"|Last(?:Access|Used|Activity)\w*|^Approximate\w*|^events)$"
)
ANYTHING: Final = ("*",)
NO_ANSWER: Final[Mapping[str, Any]] = {}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a call to settle, in seconds: between the first two looks, between any two, and for a worker in all.

    `to_the_end` is when it is given up as unknown: a database with a last snapshot, a stack or a cluster takes hours to go.
    """

    first: float = 0.2
    longest: float = 5.0
    bound: float = 300.0
    to_the_end: float = 6 * 3600.0
    # Describe is eventually consistent: what it says counts when it says it again after this long.
    again_after: float = 0.5
    # A target that is at rest and shows nothing of the change yet is looked at again for this long: some begin it late.
    shows: float = 60.0


PATIENCE: Final = Patience()


def where(plan: Plan) -> Where:
    """The place that a plan's calls are made in."""
    return Where(plan.account, plan.region, plan.partition)


def policy(step: Step, place: Where, *, acting: bool, state: Any = None) -> str:
    """The session policy for one step, each action on exactly its ARNs: when `acting` the call itself with the other actions that
    AWS asks of its caller, and otherwise what reads its target. What has no ARNs that could be told (many reading calls) is held
    down to its action alone. `state` is the target's, as it was read, for what the call acts on and does not name.

    Raises NotNamed for an acting session of which the target could be named and is not.
    """
    if not acting:
        return reading_policy(step, place)
    operation = catalog.get(step.name)
    itself, *others = reach.rights(operation, step.parameters, place, state)
    if operation.facts.resources and not itself.arns:
        # Nobody could have filed it, or AWS does not tell; a session that may do this to anything is not opened all the same.
        untold = " and AWS did not tell it" if operation.facts.told else ""
        raise NotNamed(f"{step.name} does not name its target plainly{untold}, so there is no session for it alone.")
    return aws.session_policy(
        [
            Allowed([itself.action], itself.arns or ANYTHING),
            *(Allowed([one.action], one.arns, one.condition or None) for one in others if one.arns),
        ]
    )


def reading_policy(step: Step, place: Where, answer: Mapping[str, Any] = NO_ANSWER) -> str:
    """The session policy for what reads a step's target, and the backup that it makes; AWS's answer may tell the backup's name.

    Raises PolicyTooLarge.
    """
    readings = list(_readings(catalog.get(step.name), step, answer))
    first = dict.fromkeys(one for reading, _ in readings for one in reach.asked_first(reading))
    return aws.session_policy(
        [
            *(
                Allowed(
                    [reading.facts.iam_action, *reach.READS_BESIDES.get(reading.full_name, ())],
                    resources.arns(reading, parameters, place) or ANYTHING,
                )
                for reading, parameters in readings
            ),
            *(Allowed([action], ANYTHING) for action in first),
        ]
    )


def _readings(
    operation: Operation, step: Step, answer: Mapping[str, Any] = NO_ANSWER
) -> Iterator[tuple[Operation, dict[str, Any]]]:
    """The reading operations that tell the target's state, with their parameters; each once."""
    describe, settled = operation.facts.describe, operation.facts.settled
    asked = (
        [(catalog.of_row(describe.operation, operation.service), describe.parameters, one) for one in (step, renamed(step))]
        if describe
        else []
    )
    if settled.waiter:
        waiter = settling.waiter_of(operation.service, settled.waiter)
        asked.append((catalog.of_row(waiter.operation, operation.service), settled.parameters, step))
    found = [(reading, _evaluated(expressions, one, answer)) for reading, expressions, one in asked]
    backup = backups.of(step)
    seen = set()
    for reading, parameters in (*found, *([backups.question(step, backup, answer)] if backup is not None else [])):
        if (reading.full_name, repr(parameters)) not in seen:
            seen.add((reading.full_name, repr(parameters)))
            yield reading, parameters


def _evaluated(expressions: Mapping[str, str], step: Step, answer: Mapping[str, Any] = NO_ANSWER) -> dict[str, Any]:
    given = {**step.parameters, "answer": answer}
    found = {name: jmespath.search(expression, given) for name, expression in expressions.items()}
    # A member that the call leaves out is left out of the question too: boto3 takes no None.
    return {name: value for name, value in found.items() if value is not None}


def read(session: Reads, step: Step) -> Any:
    """What AWS says of the step's target. Raises AwsRefused (its code says whether the target is gone), AwsUnavailable."""
    describe, _, answer = _answer(session, step)
    return jmespath.search(describe.result, answer)


def _answer(session: Reads, step: Step) -> tuple[Describe, Operation, dict[str, Any]]:
    operation = catalog.get(step.name)
    describe = operation.facts.describe
    if describe is None:
        raise NotDescribed(f"It is not known how the target of {operation.full_name} is read.")
    reading = catalog.of_row(describe.operation, operation.service)
    return describe, reading, session.read(reading.service, reading.name, _evaluated(describe.parameters, step))


def read_text(session: Reads, step: Step) -> str:
    """The target's state as JSON text without secrets."""
    describe, reading, answer = _answer(session, step)
    shown = jmespath.search(describe.result, without_secrets(reading.model.output_shape, answer))
    return json.dumps(shown, sort_keys=True, ensure_ascii=True)


def has_settled(session: Reads, step: Step, answer: Mapping[str, Any] = NO_ANSWER) -> bool:
    """Whether the call's effect is complete, by the table's rule; of a backup step, and of a last snapshot, that it is usable.

    `answer` is AWS's. Raises AwsError when AWS cannot be asked, WillNotSettle when the target shows that it will never be.
    """
    protects = protection.protecting(step)
    if protects is None:
        return _is_complete(session, step, answer)
    return (not protects.itself or _is_complete(session, step, answer)) and backups.is_usable(session, step, answer)


def _is_complete(session: Reads, step: Step, answer: Mapping[str, Any]) -> bool:
    operation = catalog.get(step.name)
    settled = operation.facts.settled
    if settled.at_once:
        return True
    if settled.waiter:
        waiter = settling.waiter_of(operation.service, settled.waiter)
        return settling.has_come(session, waiter, operation.service, _evaluated(settled.parameters, step, answer))
    try:
        state = read(session, renamed(step))
    except AwsRefused as error:
        if error.code in settled.gone:
            return True
        raise
    return bool(settled.expression) and bool(jmespath.search(settled.expression, state) == settled.value)


def renamed(step: Step) -> Step:
    """The step as if it named its target as the target is named afterwards; itself where the call gives no new name at once."""
    names = renaming.new_names(catalog.get(step.name), step.parameters)
    return replace(step, parameters={**step.parameters, **names}) if names else step


def has_new_name(step: Step) -> bool:
    """Whether the call gives its target at once a name that is another one to AWS, which tells no capitals from small letters."""
    names = renaming.new_names(catalog.get(step.name), step.parameters)
    return any(str(step.parameters.get(name)).casefold() != new.casefold() for name, new in names.items())


def is_untouched(session: Reads, step: Step) -> bool:
    """Whether the target shows that the call had no effect, by the table's rule. Raises AwsError when AWS cannot be asked.

    It is there and not changing, and where the call would have changed members at least one is not as the call wanted it: AWS
    takes all of a call or nothing. What cannot be read there decides nothing.
    """
    untouched = catalog.get(step.name).facts.untouched
    if untouched is None:
        return False
    return _is_untouched_in(untouched, read(session, step), step)


def was_untouched(step: Step, before: Any) -> bool:
    """Whether a state that was read before the call is one that the call would have changed, by the table's rule."""
    untouched = catalog.get(step.name).facts.untouched
    return untouched is not None and before is not None and _is_untouched_in(untouched, before, step)


def is_same_target(step: Step, before: Any, now: Any) -> bool:
    """Whether two states are of the very same target, by what identifies one for ever (TableId, creation date).

    False where the table names nothing that does, or neither state shows it: then a target made anew would not be noticed.
    """
    describe = catalog.get(step.name).facts.describe
    if describe is None or not describe.identity:
        return False
    pairs = [(jmespath.search(path, before), jmespath.search(path, now)) for path in describe.identity]
    told = [(one, other) for one, other in pairs if one is not None or other is not None]
    return bool(told) and all(one == other for one, other in told)


def shows_effect(session: Reads, step: Step, before: Any) -> bool:
    """Whether the target shows what the call was to bring about, and did not show it before. Raises AwsError.

    Only where the table can tell the two apart: it is gone, or the very same target has settled into what the call asked for.
    """
    facts = catalog.get(step.name).facts
    untouched, settled = facts.untouched, facts.settled
    # That it is found by its new name shows what no member has to.
    is_renamed = has_new_name(step)
    if untouched is None or settled.at_once or not (is_renamed or was_untouched(step, before)) or not has_settled(session, step):
        return False
    try:
        state = read_plain(session, renamed(step))
    except AwsRefused as error:
        return error.code in settled.gone
    if not is_same_target(step, before, state) or (not is_renamed and _is_untouched_in(untouched, state, step)):
        return False
    return all(_holds(jmespath.search(path, state), wanted) for path, wanted in _set_by(untouched, step))


def look_effect(session: Reads, step: Step, before: Any, patience: Patience) -> str:
    """Two looks for what the call was to bring about: "" when both show it, else why not. Raises AwsError."""
    if shows_effect(session, step, before):
        time.sleep(patience.again_after)
        if shows_effect(session, step, before):
            return ""
    return "the target does not show what the call was to bring about"


def look_no_effect(session: Reads, step: Step, before: Any, patience: Patience) -> str:
    """Two looks for a sign that the call had no effect on the very target that was there before it. Raises AwsError."""
    now = read_plain(session, step)
    if not is_same_target(step, before, now):
        return "the target is not known to be the one that was there before the call"
    if not _is_as_it_was(step, before, now):
        return "what the call was to change is not as it was before the call"
    if _sets_what_is_hidden(step):
        return "the call sets a secret, and nothing shows whether it is the new one"
    # What it changed may have been put back since, by a scaling policy, or stand in another member than the row looks at. What
    # takes its target away can do neither.
    if _sets_members(step) and preconditions.at_rest(before, _BY_ITSELF) != preconditions.at_rest(now, _BY_ITSELF):
        return "the target is not as it was before the call"
    return look_untouched(session, step, patience)


def _sets_members(step: Step) -> bool:
    untouched = catalog.get(step.name).facts.untouched
    return untouched is not None and bool(untouched.unless)


def _sets_what_is_hidden(step: Step) -> bool:
    """Whether a member that is a secret is given: AWS shows none, and of another one that is not as wanted only the spelling."""
    operation = catalog.get(step.name)
    return _sets_members(step) and preconditions.hides(without_secrets(operation.model.input_shape, step.parameters))


def _is_as_it_was(step: Step, before: Any, now: Any) -> bool:
    """Whether nothing of what the call sets has changed since, nor what would show that it was made and undone.

    That a member is not as the call wanted it may only mean that AWS spells it otherwise (an alias, the order of a list).
    """
    untouched = catalog.get(step.name).facts.untouched
    if untouched is None:
        return False
    expected = [*_set_by(untouched, step), *((path, None) for path in untouched.same)]
    return all(_unchanged(jmespath.search(path, before), jmespath.search(path, now), wanted) for path, wanted in expected)


def _unchanged(before: Any, now: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict) and isinstance(before, dict) and isinstance(now, dict):
        return all(_unchanged(before.get(name), now.get(name), value) for name, value in wanted.items())
    return bool(before == now) and before != HIDDEN


def read_plain(session: Reads, step: Step) -> Any:
    """The target's state as an Observation keeps it: what JSON can say, without secrets. Raises AwsError."""
    return json.loads(read_text(session, step))


def _is_untouched_in(untouched: Untouched, state: Any, step: Step) -> bool:
    if jmespath.search(untouched.expression, state) != untouched.value:
        return False
    if not untouched.unless:
        return True
    told = [(jmespath.search(path, state), wanted) for path, wanted in _set_by(untouched, step)]
    return any(value is not None and not _holds(value, wanted) for value, wanted in told)


def _set_by(untouched: Untouched, step: Step) -> list[tuple[str, Any]]:
    """What the call sets, as the table can tell it: each expression over the state, with what the call wants there."""
    return [(path, step.parameters[name]) for name, path in untouched.unless.items() if name in step.parameters]


def _holds(found: Any, wanted: Any) -> bool:
    # AWS answers with more members than were asked for.
    if isinstance(found, dict) and isinstance(wanted, dict):
        return all(_holds(found.get(name), value) for name, value in wanted.items())
    return bool(found == wanted)


def wait_until_settled(
    session: Reads, step: Step, patience: Patience, *, still_mine: Callable[[], None], answer: Mapping[str, Any] = NO_ANSWER
) -> str:
    """Look until the call has settled, twice in a row; return "" then, or in words why it is not known to have settled.

    Raises WillNotSettle for a backup step whose backup will never be usable. `still_mine` is called before every look: it keeps
    the claim, and raises when it is lost.
    """
    begun = time.monotonic()
    end, shows_by = begun + patience.bound, begun + min(patience.shows, patience.bound)
    pause, seen, trouble = patience.first, False, ""
    while True:
        still_mine()
        try:
            now, trouble = has_settled(session, step, answer), ""
            # AWS said yes. What never shows (it waits for a window, or is spelt otherwise) has settled all the same.
            now = now and (time.monotonic() >= shows_by or not _shows_nothing_yet(session, step))
        except WillNotSettle as error:
            if makes_a_backup(step):
                raise
            return str(error)
        except AwsError as error:
            now, trouble = False, str(error)
        if now and seen:
            return ""
        seen = now
        wait = patience.again_after if now else pause
        # A slow answer must not turn what has settled into what is unknown: the second look is always taken.
        if not now and time.monotonic() + wait > end:
            return trouble or f"it has not settled within {patience.bound:.0f} seconds"
        time.sleep(wait)
        pause = min(pause * 1.6, patience.longest)


def _shows_nothing_yet(session: Reads, step: Step) -> bool:
    """Whether the target is at rest without any of the members that the call sets. Raises AwsError."""
    untouched = catalog.get(step.name).facts.untouched
    if untouched is None or not (wants := _set_by(untouched, step)) or has_new_name(step):
        return False
    state = read_plain(session, step)
    told = [(jmespath.search(path, state), wanted) for path, wanted in wants]
    return any(value is not None for value, _ in told) and not any(_holds(value, wanted) for value, wanted in told)


def look_untouched(session: Reads, step: Step, patience: Patience) -> str:
    """Two looks for a sign that the call had no effect: "" when both show it, else why not. Raises AwsError."""
    if is_untouched(session, step):
        time.sleep(patience.again_after)
        if is_untouched(session, step):
            return ""
    return "the target does not show that the call had no effect"


def look_twice(session: Reads, step: Step, patience: Patience, answer: Mapping[str, Any] = NO_ANSWER) -> str:
    """Two looks and no waiting for a change: "" when both say that it has settled, else why not. Raises AwsError."""
    if not has_settled(session, step, answer):
        return "the target is still changing"
    time.sleep(patience.again_after)
    return "" if has_settled(session, step, answer) else "the target changes again"


def makes_a_backup(step: Step) -> bool:
    """Whether the step does nothing but make a backup: what cannot be used then is no unknown outcome, and nothing is lost."""
    protects = protection.protecting(step)
    return protects is not None and not protects.itself


def not_done(step: Step, answer: Mapping[str, Any]) -> str:
    """What AWS's answer names as not done although it said yes, as JSON text without secrets; empty for nothing."""
    operation = catalog.get(step.name)
    found = partial.not_done(operation, without_secrets(operation.model.output_shape, answer))
    return json.dumps(found, sort_keys=True, ensure_ascii=True) if found is not None else ""


def how_it_settled(step: Step) -> str:
    """What shows that the call's effect is complete, for the trail."""
    facts = catalog.get(step.name).facts
    if facts.protects is not None or not facts.settled.at_once:
        return "described"
    return "AWS's answer" if facts.curated else "AWS's answer alone: the operations table does not know the call"


def end_in_words(steps: Sequence[Step]) -> str:
    """How an execution ended all of whose steps did."""
    unknown = [step.operation for step in steps if not catalog.get(step.name).facts.curated]
    done = f"AWS carried out {steps[-1].operation}"
    if not unknown:
        return f"{done}, and the target has settled."
    names = ", ".join(dict.fromkeys(unknown))
    return f"{done}. Of {names} only AWS's answer says so: whether its effect is complete is looked at by nobody here."


def answer_text(operation: Operation, answer: Mapping[str, Any]) -> str:
    """AWS's answer as JSON text without secrets."""
    return as_text(operation.model.output_shape, answer)


def as_text(shape: Shape | None, value: Any) -> str:
    """A boto3 value as JSON text; what botocore's model or our list of names calls a secret is hidden."""
    return json.dumps(without_secrets(shape, value), sort_keys=True, ensure_ascii=True)


def without_secrets(shape: Shape | None, value: Any) -> Any:
    """The value as JSON can say it, with every sensitive member replaced."""
    if isinstance(value, Sealed) or (shape is not None and shape.metadata.get("sensitive")):
        return HIDDEN
    members: Any = getattr(shape, "members", {})
    if isinstance(value, Mapping):
        inner = getattr(shape, "value", None)
        return {
            str(name): HIDDEN
            if sensitive.is_named_secret(str(name)) and isinstance(item, str | bytes)
            else without_secrets(members.get(name, inner), item)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [without_secrets(getattr(shape, "member", None), item) for item in value]
    if isinstance(value, bytes):
        return b64encode(value).decode("ascii")
    if isinstance(value, date):
        return value.isoformat()
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
