"""What a form offers to choose from: logins with their persons, groups."""

from __future__ import annotations

from collections.abc import Iterable

from django import forms
from django.contrib.auth.models import Group

from approvals.models import Login, Person
from approvals.operations import words

Choice = tuple[str, str]


def choose(form: forms.Form, name: str, choices: Iterable[Choice]) -> None:
    """What the field of this name offers to choose from."""
    field = form.fields[name]
    assert isinstance(field, forms.ChoiceField)  # noqa: S101 - declared so by the form
    field.choices = list(choices)


def login_choices(*, apart_from: Person | None = None, humans: bool = False) -> list[Choice]:
    """Every login of an active person, with who it is; `humans` leaves bots out."""
    found = Login.objects.filter(person__is_active=True).select_related("person", "user").order_by("user__username")
    if apart_from is not None:
        found = found.exclude(person=apart_from)
    if humans:
        found = found.filter(person__is_human=True)
    return [(login.user.get_username(), words.visible(f"{login.user.get_username()} ({login.person.name})")) for login in found]


def group_choices() -> list[Choice]:
    """Every group by name."""
    return [(name, words.visible(name)) for name in Group.objects.order_by("name").values_list("name", flat=True)]
