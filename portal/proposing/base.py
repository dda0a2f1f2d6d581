"""What every form that proposes shares: what is now as its initial values, rows that can be added and taken away, the reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from django import forms
from django.forms import BaseFormSet, BoundField, formset_factory
from django.http import QueryDict

from approvals.changes import LONGEST_REASON
from approvals.errors import CountersignError

Edit = dict[str, Any]
# Of one kind of rows in one form. A change has 200 edits at most.
MOST_ROWS: Final = 200


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one kind: the form of a row, what it is called, what the button says that adds one."""

    form: type[forms.Form]
    title: str
    add: str
    help: str = ""
    word: str = "row"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the form: its heading, what it is about, the names of its fields and of its rows, in order."""

    title: str
    names: Sequence[str]
    help: str = ""


@dataclass(frozen=True, slots=True)
class ShownRows:
    """Rows as the template shows them."""

    name: str
    about: Rows
    formset: BaseFormSet


@dataclass(frozen=True, slots=True)
class ShownPart:
    """A part as the template shows it: each item is a bound field or rows."""

    title: str
    help: str
    items: list[BoundField | ShownRows]


class Proposal(forms.Form):
    """One form about one thing. `quiet` shows what was typed without judging it, after a row was added.

    Subclasses declare fields, `rows` and `parts`, and say `now()`, `rows_now()` and `edits()`.
    """

    title: ClassVar[str] = ""
    lead: ClassVar[str] = ""
    parts: ClassVar[Sequence[Part]] = ()
    rows: ClassVar[Mapping[str, Rows]] = {}

    reason = forms.CharField(
        label="Why",
        max_length=LONGEST_REASON,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Whoever signs reads it first, and the audit trail keeps it.",
        error_messages={"required": "Give a reason; whoever signs this wants to know why."},
    )

    def __init__(self, thing: Any, data: QueryDict | None = None, *, quiet: bool = False) -> None:
        self.thing = thing
        super().__init__(data, initial=self.now())
        self.quiet = quiet
        self.shape()
        self.formsets: dict[str, BaseFormSet] = {}
        for name, about in self.rows.items():
            made = formset_factory(about.form, extra=0, can_delete=True, max_num=MOST_ROWS, absolute_max=MOST_ROWS)
            self.formsets[name] = made(data, initial=self.rows_now(name), prefix=name)
            for form in self.formsets[name].forms:
                self._shape_row(name, form)

    # --- what a subclass says -----------------------------------------------------------------------------------------

    def heading(self) -> str:
        """The heading of the page."""
        return self.title

    def now(self) -> dict[str, Any]:
        """What the fields are now."""
        return {}

    def rows_now(self, name: str) -> list[dict[str, Any]]:
        """What the rows of this name are now."""
        return []

    def shape(self) -> None:
        """Put choices into fields that depend on what there is."""

    def shape_row(self, name: str, form: forms.Form) -> None:
        """The same for the form of a row."""

    def edits(self) -> list[Edit]:
        """What was typed, as edits; only what differs from what is now."""
        raise NotImplementedError

    def place(self, error: CountersignError) -> bool:
        """Put a refusal beside the field that it is about; whether that was possible."""
        return False

    # --- for the page -------------------------------------------------------------------------------------------------

    def is_valid(self) -> bool:
        """Whether every field and every row can be read."""
        # Every part is asked, so that all that is wrong is shown at once.
        return all([super().is_valid(), *(formset.is_valid() for formset in self.formsets.values())])

    def kept(self, name: str) -> list[dict[str, Any]]:
        """The cleaned rows that are filled in and not taken away."""
        return [form.cleaned_data for _, form in self._kept(name)]

    def row_form(self, name: str, index: int) -> forms.Form | None:
        """The form of the row that stands at this index among those that `kept` returns."""
        found = [form for _, form in self._kept(name)]
        return found[index] if 0 <= index < len(found) else None

    def _kept(self, name: str) -> Iterator[tuple[int, forms.Form]]:
        for index, form in enumerate(self.formsets[name].forms):
            cleaned = getattr(form, "cleaned_data", {})
            filled = any(value not in (None, "", [], False) for key, value in cleaned.items() if key != "DELETE")
            if filled and not cleaned.get("DELETE"):
                yield index, form

    def shown(self) -> list[ShownPart]:
        """The parts in order; what no part names comes first."""
        named = {name for part in self.parts for name in part.names} | {"reason"}
        rest = [name for name in (*self.fields, *self.rows) if name not in named]
        parts = [Part("", rest)] if rest else []
        shown = [
            ShownPart(
                part.title, part.help, [self._item(name) for name in part.names if name in self.fields or name in self.rows]
            )
            for part in (*parts, *self.parts)
        ]
        return [part for part in shown if part.items]

    def _item(self, name: str) -> BoundField | ShownRows:
        return ShownRows(name, self.rows[name], self.formsets[name]) if name in self.rows else self[name]

    def wrong(self) -> list[tuple[str, str]]:
        """Which fields need another look: (label, id)."""
        if self.quiet or not self.is_bound:
            return []
        found = [
            (str(self[name].label), self[name].id_for_label or self[name].auto_id) for name in self.errors if name in self.fields
        ]
        for name, formset in self.formsets.items():
            for form in formset.forms:
                if form.errors and not form.cleaned_data.get("DELETE"):
                    field = next(iter(form.errors))
                    where = form[field].auto_id if field in form.fields else f"rows-{name}"
                    found.append((self.rows[name].title, where))
            if formset.non_form_errors():
                found.append((self.rows[name].title, f"rows-{name}"))
        return found

    def _shape_row(self, name: str, form: forms.Form) -> None:
        form.fields["DELETE"].label = f"Take this {self.rows[name].word} away"
        self.shape_row(name, form)


def with_another_row(data: QueryDict, name: str) -> QueryDict:
    """What was posted, with one more empty row of this name."""
    more = data.copy()
    total = data.get(f"{name}-TOTAL_FORMS", "0")
    more[f"{name}-TOTAL_FORMS"] = str(min(MOST_ROWS, int(total) + 1 if total.isdecimal() and len(total) < 5 else 1))
    return more
