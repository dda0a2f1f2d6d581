"""Forms about a group of logins: begin one, change its members."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib.auth.models import Group

from portal.proposing.base import Edit, Proposal, Rows
from portal.proposing.choices import choose, login_choices
from portal.proposing.fields import Text


class MemberRow(forms.Form):
    """One login."""

    login = forms.ChoiceField(label="Login")


_MEMBERS = Rows(MemberRow, "Members", "Add a member", "Logins are members; the person behind one is one voter.", "member")


class _Members(Proposal):
    rows: ClassVar = {"members": _MEMBERS}

    def shape_row(self, name: str, form: forms.Form) -> None:
        """The logins that there are, and whoever is a member although his person was switched off."""
        known = dict([("", "choose"), *login_choices()])
        if (own := form.initial.get("login")) and own not in known:
            known[own] = own
        choose(form, "login", known.items())

    def _edits(self, group: str, now: set[str]) -> list[Edit]:
        wanted = {row["login"] for row in self.kept("members")}
        gone = [{"edit": "remove_member", "group": group, "login": login} for login in sorted(now - wanted)]
        return gone + [{"edit": "add_member", "group": group, "login": login} for login in sorted(wanted - now)]


class NewGroupProposal(_Members):
    """Begin a group with its first members."""

    title = "Propose a new group"
    lead = "A group exists with its first member. What it may review, the guardrails' pages say."

    name = Text(label="Name", max_length=150)

    def edits(self) -> list[Edit]:
        """One for each member."""
        return self._edits(self.cleaned_data["name"], set())


class GroupProposal(_Members):
    """Change the members; `thing` is the Group."""

    thing: Group

    def heading(self) -> str:
        """Which group."""
        return f"Propose other members of {self.thing.name}"

    def rows_now(self, name: str) -> list[dict[str, Any]]:
        """The members that there are."""
        return [{"login": login} for login in self._now()]

    def edits(self) -> list[Edit]:
        """Who leaves and who comes."""
        return self._edits(self.thing.name, set(self._now()))

    def _now(self) -> list[str]:
        return list(self.thing.user_set.order_by("username").values_list("username", flat=True))
