"""What a target shows of whether a call had its effect, by the operations table. Where it shows neither, nothing is decided."""

from __future__ import annotations

import re
from typing import Any, Final

import jmespath

from approvals import preconditions
from approvals.operations import catalog
from approvals.operations.facts import Untouched
from approvals.plan import Step
from executor import plain, target
from executor.aws import Reads
from executor.errors import AwsRefused

# What AWS counts or notes of a target that nobody changes.
_BY_ITSELF: Final = re.compile(
    r"(?:ItemCount|runningCount|pendingCount|SizeBytes|SizeInBytes|Progress|(?:Latest|[eE]arliest)\w*Time\w*"
    r"|Last(?:Access|Used|Activity)\w*|^Approximate\w*|^events)$"
)


def is_untouched(session: Reads, step: Step) -> bool:
    """Whether the target shows that the call had no effect, by the table's rule. Raises AwsError when AWS cannot be asked.

    It is there and not changing, and where the call would have changed members at least one is not as the call wanted it: AWS
    takes all of a call or nothing. What cannot be read there decides nothing.
    """
    untouched = catalog.get(step.name).facts.untouched
    if untouched is None:
        return False
    return _is_untouched_in(untouched, target.read(session, step), step)


def was_untouched(step: Step, before: Any) -> bool:
    """Whether a state that was read before the call is one that the call would have changed, by the table's rule."""
    untouched = catalog.get(step.name).facts.untouched
    return untouched is not None and before is not None and _is_untouched_in(untouched, before, step)


def shows_effect(session: Reads, step: Step, before: Any) -> bool:
    """Whether the target shows what the call was to bring about, and did not show it before. Raises AwsError.

    Only where the table can tell the two apart: it is gone, or the very same target has settled into what the call asked for.
    """
    facts = catalog.get(step.name).facts
    untouched, settled = facts.untouched, facts.settled
    # That it is found by its new name shows what no member has to.
    is_renamed = target.has_new_name(step)
    if (
        untouched is None
        or settled.at_once
        or not (is_renamed or was_untouched(step, before))
        or not target.has_settled(session, step)
    ):
        return False
    try:
        state = target.read_plain(session, target.renamed(step))
    except AwsRefused as error:
        return error.code in settled.gone
    if not target.is_same_target(step, before, state) or (not is_renamed and _is_untouched_in(untouched, state, step)):
        return False
    return all(_holds(jmespath.search(path, state), wanted) for path, wanted in _set_by(untouched, step))


def shows_nothing_yet(session: Reads, step: Step) -> bool:
    """Whether the target is at rest without any of the members that the call sets. Raises AwsError."""
    untouched = catalog.get(step.name).facts.untouched
    if untouched is None or not (wants := _set_by(untouched, step)) or target.has_new_name(step):
        return False
    state = target.read_plain(session, step)
    told = [(jmespath.search(path, state), wanted) for path, wanted in wants]
    return any(value is not None for value, _ in told) and not any(_holds(value, wanted) for value, wanted in told)


def against_no_effect(step: Step, before: Any, now: Any) -> str:
    """What speaks against a call without effect, by the target's state before it and now; "" for nothing."""
    if not target.is_same_target(step, before, now):
        return "the target is not known to be the one that was there before the call"
    if not _is_as_it_was(step, before, now):
        return "what the call was to change is not as it was before the call"
    if _sets_what_is_hidden(step):
        return "the call sets a secret, and nothing shows whether it is the new one"
    # What it changed may have been put back since, by a scaling policy, or stand in another member than the row looks at. What
    # takes its target away can do neither.
    if _sets_members(step) and preconditions.at_rest(before, _BY_ITSELF) != preconditions.at_rest(now, _BY_ITSELF):
        return "the target is not as it was before the call"
    return ""


def _sets_members(step: Step) -> bool:
    untouched = catalog.get(step.name).facts.untouched
    return untouched is not None and bool(untouched.unless)


def _sets_what_is_hidden(step: Step) -> bool:
    """Whether a member that is a secret is given: AWS shows none, and of another one that is not as wanted only the spelling."""
    operation = catalog.get(step.name)
    return _sets_members(step) and preconditions.hides(plain.without_secrets(operation.model.input_shape, step.parameters))


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
    return bool(before == now) and before != plain.HIDDEN


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
