"""The rows of a guardrail's form: tags, conditions, groups, windows and freezes, each as people write them."""

from __future__ import annotations

import json
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError

from approvals.policies import Operator
from approvals.policies.rules import DAYS
from portal.proposing.choices import choose, group_choices
from portal.proposing.fields import Lines, Text

_OPERATORS: Final = {
    Operator.IS: "is",
    Operator.IS_NOT: "is not",
    Operator.IN: "is one of",
    Operator.MATCHES: "fits the pattern",
    Operator.AT_LEAST: "is at least",
    Operator.AT_MOST: "is at most",
    Operator.PRESENT: "is given",
    Operator.ABSENT: "is not given",
}
_DAYS: Final = dict(zip(DAYS, ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"), strict=True))


class TagRow(forms.Form):
    """A tag of accounts, with patterns."""

    key = Text(label="Tag", max_length=128)
    patterns = Lines(label="Values", rows=2, help_text="One pattern a line.")


class ConditionRow(forms.Form):
    """A condition on a parameter."""

    parameter = Text(label="Parameter", max_length=512, help_text="As boto3 names it; dots lead inside.")
    operator = forms.ChoiceField(label="Must", choices=[("", "choose"), *((str(key), said) for key, said in _OPERATORS.items())])
    value = Lines(
        label="Value", rows=1, required=False, help_text='true, false, a number or a text; "5" in quotes is a text. One a line.'
    )

    def clean(self) -> dict[str, Any]:
        """The value as a condition has it, under `read`."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        operator, lines = cleaned.get("operator"), cleaned.get("value") or []
        if operator in (Operator.PRESENT, Operator.ABSENT):
            cleaned["read"] = True
        elif operator == Operator.IN:
            cleaned["read"] = [_scalar(line) for line in lines]
        elif operator == Operator.MATCHES:
            cleaned["read"] = lines[0] if len(lines) == 1 else lines
        elif operator:
            cleaned["read"] = _scalar(lines[0]) if len(lines) == 1 else lines
        if operator and operator not in (Operator.PRESENT, Operator.ABSENT) and not lines:
            self.add_error("value", ValidationError("Enter what the parameter is compared with."))
        return cleaned


class QuorumRow(forms.Form):
    """How many of the approvers are of a group."""

    group = forms.ChoiceField(label="Group")
    count = forms.IntegerField(label="At least", min_value=1, max_value=20)


class WindowRow(forms.Form):
    """When an approved plan may be carried out."""

    days = forms.MultipleChoiceField(label="Days", choices=list(_DAYS.items()), widget=forms.CheckboxSelectMultiple)
    begins = Text(label="From", max_length=5, help_text="Such as 22:00.")
    ends = Text(label="To", max_length=5, help_text="Such as 06:00 of the day after, or 24:00.")
    zone = Text(label="Time zone", max_length=64, help_text="Such as Europe/Berlin.")


class FreezeRow(forms.Form):
    """When nothing is carried out."""

    begins = Text(label="From", max_length=16, help_text="Such as 2026-12-20T18:00.")
    ends = Text(label="Until", max_length=16, help_text="Such as 2027-01-02T08:00.")
    zone = Text(label="Time zone", max_length=64, help_text="Such as Europe/Berlin.")
    why = Text(label="Why", max_length=200, help_text="What people read who have to wait.")


def shape_group(form: forms.Form) -> None:
    """The groups that there are, and one that was named although it is not there."""
    known = dict([("", "choose"), *group_choices()])
    if (own := form.initial.get("group")) and own not in known:
        known[own] = own
    choose(form, "group", known.items())


def condition_now(found: dict[str, Any]) -> dict[str, Any]:
    """A condition's JSON as the values of its row."""
    operator = next(str(one) for one in Operator if str(one) in found)
    value = found[operator]
    lines = [] if operator in (Operator.PRESENT, Operator.ABSENT) else [_line(one) for one in _list(value)]
    if operator == Operator.MATCHES:
        lines = [str(value)]
    return {"parameter": found["parameter"], "operator": operator, "value": lines}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _scalar(line: str) -> Any:
    """`true`, `5` and `"5"` as JSON reads them; everything else is a text as it stands."""
    try:
        found = json.loads(line)
    except ValueError:
        return line
    return found if isinstance(found, str | bool) or type(found) is int else line


def _line(value: Any) -> str:
    """What `_scalar` reads as this value."""
    if isinstance(value, str) and _scalar(value) == value and value == value.strip():
        return value
    return json.dumps(value, ensure_ascii=False)
