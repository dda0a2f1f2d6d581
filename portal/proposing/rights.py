"""Forms about the right to review under a guardrail: who holds it and when, and delegating one's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from django import forms

from approvals.models import Guardrail, GuardrailGroupPermission, GuardrailUserPermission, Person
from approvals.permissions import REVIEW
from portal.proposing.base import Edit, Part, Proposal, Rows
from portal.proposing.choices import choose, group_choices, login_choices
from portal.proposing.fields import Moment, same_minute, zone_name

Dates = tuple[datetime | None, datetime | None]


class RightRow(forms.Form):
    """One right: of a login or of a group, for ever or between two dates."""

    holder = forms.ChoiceField(label="Login or group")
    starts = Moment(label="From", required=False)
    ends = Moment(label="Until", required=False)


class RightsProposal(Proposal):
    """Give and take away the right to review; `thing` is the Guardrail."""

    lead = "A right without dates holds until it is taken away."
    parts: ClassVar = (Part("Who may review", ("rights",)), Part("Delegated", ("lent",)))
    rows: ClassVar = {"rights": Rows(RightRow, "Rights", "Give the right to somebody", word="right")}

    lent = forms.MultipleChoiceField(label="Take back these delegations", required=False, widget=forms.CheckboxSelectMultiple)

    thing: Guardrail

    def heading(self) -> str:
        """Under which guardrail."""
        return f"Propose who may review under {self.thing.name}"

    def rows_now(self, name: str) -> list[dict[str, Any]]:
        """The rights that there are."""
        return [{"holder": holder, "starts": starts, "ends": ends} for holder, (starts, ends) in sorted(self._now().items())]

    def shape(self) -> None:
        """The delegations that there are, and the help of dates."""
        delegations = delegations_under(self.thing)
        if delegations:
            choose(self, "lent", [(one.key, one.said) for one in delegations])
        else:
            del self.fields["lent"]

    def shape_row(self, name: str, form: forms.Form) -> None:
        """Every login and group; and the zone of the dates."""
        shape_right(form)

    def edits(self) -> list[Edit]:
        """Rights that are gone, given, or have other dates; delegations that are taken back."""
        now = self._now()
        wanted = {row["holder"]: (row["starts"], row["ends"]) for row in self.kept("rights")}
        name = self.thing.name
        found = [{"edit": "revoke", "guardrail": name, **_holder(holder)} for holder in sorted(now.keys() - wanted.keys())]
        for holder, dates in wanted.items():
            if holder not in now or not all(map(same_minute, dates, now[holder])):
                found.append(grant(name, holder, dates))
        taken = self.cleaned_data.get("lent", [])
        return found + [one.revoke() for one in delegations_under(self.thing) if one.key in taken]

    def _now(self) -> dict[str, Dates]:
        users = GuardrailUserPermission.objects.filter(content_object=self.thing, permission__codename=REVIEW, delegated_by=None)
        groups = GuardrailGroupPermission.objects.filter(content_object=self.thing, permission__codename=REVIEW)
        found: dict[str, Dates] = {
            f"login:{one.user.username}": (one.starts_at, one.ends_at) for one in users.select_related("user")
        }
        return found | {f"group:{one.group.name}": (one.starts_at, one.ends_at) for one in groups.select_related("group")}


class DelegationProposal(Proposal):
    """Delegate one's own right until a date, or take a delegation back; `thing` is (Guardrail, Person)."""

    lead = (
        "Somebody else reviews in your place until a date. A delegation holds while you hold the right yourself, and never for "
        "what you ask for yourself."
    )
    parts: ClassVar = (Part("Delegate my right", ("to", "starts", "ends")), Part("My delegations", ("lent",)))

    to = forms.ChoiceField(label="To", required=False)
    starts = Moment(label="From", required=False)
    ends = Moment(label="Until", required=False)
    lent = forms.MultipleChoiceField(label="Take back", required=False, widget=forms.CheckboxSelectMultiple)

    thing: tuple[Guardrail, Person]

    def heading(self) -> str:
        """Under which guardrail."""
        return f"Delegate my right to review under {self.thing[0].name}"

    def shape(self) -> None:
        """Everybody else, and one's own delegations."""
        person = self.thing[1]
        choose(self, "to", [("", "nobody"), *login_choices(apart_from=person, humans=True)])
        self.fields["starts"].help_text = f"{zone_name()}; empty: from now on."
        self.fields["ends"].help_text = f"{zone_name()}. A delegation always has an end."
        if mine := self._mine():
            choose(self, "lent", [(one.key, one.said) for one in mine])
        else:
            del self.fields["lent"]

    def clean(self) -> dict[str, Any]:
        """Whom and until when belong together."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if cleaned.get("to") and not cleaned.get("ends") and "ends" not in self.errors:
            self.add_error("ends", "Say until when: a delegation always has an end.")
        if cleaned.get("ends") and not cleaned.get("to"):
            self.add_error("to", "Choose to whom.")
        return cleaned

    def edits(self) -> list[Edit]:
        """What is taken back, and the delegation."""
        guardrail, person = self.thing
        taken, login = self.cleaned_data.get("lent", []), self.cleaned_data["to"]
        found = [one.revoke() for one in self._mine() if one.key in taken and one.login != login]
        if login:
            dates = _said((self.cleaned_data["starts"], self.cleaned_data["ends"]))
            found.append({"edit": "grant", "guardrail": guardrail.name, "login": login, "delegated_by": person.handle, **dates})
        return found

    def _mine(self) -> list[Delegation]:
        guardrail, person = self.thing
        return [one for one in delegations_under(guardrail) if one.lender == person.handle]


@dataclass(frozen=True, slots=True)
class Delegation:
    """A right that somebody holds in somebody else's place."""

    guardrail: str
    login: str
    lender: str
    starts: datetime | None
    ends: datetime | None

    @property
    def key(self) -> str:
        """What a form calls it."""
        return f"{self.lender}:{self.login}"

    @property
    def said(self) -> str:
        """In words."""
        return f"{self.login} in place of {self.lender}{self.dates}"

    @property
    def dates(self) -> str:
        """Its dates in words."""
        return dates_in_words(self.starts, self.ends)

    def revoke(self) -> Edit:
        """The edit that takes it back."""
        return {"edit": "revoke", "guardrail": self.guardrail, "login": self.login, "delegated_by": self.lender}


def delegations_under(guardrail: Guardrail) -> list[Delegation]:
    """Every delegation under a guardrail, whether it holds now or not."""
    found = GuardrailUserPermission.objects.filter(
        content_object=guardrail, permission__codename=REVIEW, delegated_by__isnull=False
    ).select_related("user", "delegated_by")
    return list(_delegations(guardrail.name, found.order_by("user__username", "delegated_by__handle")))


def _delegations(name: str, found: Any) -> Iterator[Delegation]:
    for one in found:
        yield Delegation(name, one.user.username, one.delegated_by.handle, one.starts_at, one.ends_at)


def dates_in_words(starts: datetime | None, ends: datetime | None) -> str:
    """` from ... until ...`, as far as there are dates."""
    parts: Mapping[str, datetime | None] = {"from": starts, "until": ends}
    return "".join(f" {word} {moment:%Y-%m-%d %H:%M} UTC" for word, moment in parts.items() if moment)


def shape_right(form: forms.Form) -> None:
    """Every login and group to choose from, and the zone of the dates."""
    known = {"": "choose"}
    known |= {f"group:{group}": f"group {label}" for group, label in group_choices()}
    known |= {f"login:{login}": label for login, label in login_choices(humans=True)}
    if (own := form.initial.get("holder")) and own not in known:
        known[own] = own.replace(":", " ", 1)
    choose(form, "holder", known.items())
    for field in ("starts", "ends"):
        form.fields[field].help_text = f"{zone_name()}; empty: no date."


def grant(guardrail: str, holder: str, dates: Dates) -> Edit:
    """The edit that gives the right: `holder` is what a row's field says, such as `group:Approvers`."""
    return {"edit": "grant", "guardrail": guardrail, **_holder(holder), **_said(dates)}


def _holder(key: str) -> dict[str, str]:
    kind, _, name = key.partition(":")
    return {kind: name}


def _said(dates: Dates) -> dict[str, str]:
    return {name: moment.isoformat() for name, moment in zip(("starts", "ends"), dates, strict=True) if moment is not None}
