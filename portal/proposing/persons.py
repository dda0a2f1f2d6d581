"""Forms about a person: add one, change one with everything that belongs to him, invite him to register passkeys."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms

from approvals.models import Invitation, Person, Principal
from portal.proposing.base import Edit, Part, Proposal, Rows
from portal.proposing.choices import choose, group_choices
from portal.proposing.fields import Text


class PrincipalRow(forms.Form):
    """One AWS identity."""

    kind = forms.ChoiceField(choices=[("", "choose"), *Principal.Kind.choices], label="Kind")
    value = Text(label="Value or pattern", help_text="* stands for any characters, ? for one.")
    precedence = forms.IntegerField(
        label="Precedence",
        required=False,
        min_value=-1000,
        max_value=1000,
        help_text="Among patterns that fit, the highest wins.",
    )


class LoginRow(forms.Form):
    """One user name."""

    login = Text(label="User name", max_length=150)


class SignOnRow(forms.Form):
    """One identity at the identity provider."""

    login = Text(label="Login that it opens", max_length=150)
    provider = Text(label="Provider", max_length=200)
    subject = Text(label="Subject", max_length=255, help_text="As the provider asserts it; the refusal page of sign-in shows it.")


_PRINCIPALS = Rows(
    PrincipalRow,
    "AWS principals",
    "Add a principal",
    "The identities by which CloudTrail names this person. A value that is written out wins over every pattern.",
    "principal",
)


class NewPersonProposal(Proposal):
    """Add a person."""

    title = "Propose a new person"
    lead = "A handle is for ever: votes and the audit trail name it."
    parts: ClassVar = (
        Part("Who", ("handle", "name", "email", "login", "human", "administrator", "auditor", "groups")),
        Part("How AWS knows this person", ("principals",)),
        Part("Passkeys", ("invite",)),
    )
    rows: ClassVar = {"principals": _PRINCIPALS}

    handle = Text(label="Handle", max_length=64, help_text="Lower-case letters, digits, dots and dashes, such as gina.")
    name = Text(label="Name", max_length=200)
    email = forms.EmailField(label="Mail", required=False)
    login = Text(label="Login", max_length=150, required=False, help_text="The user name; the handle, if this is left empty.")
    human = forms.BooleanField(label="A human", required=False, help_text="Without this it is a bot: it may ask, never sign.")
    administrator = forms.BooleanField(label="Administrator", required=False, help_text="Signs changes of authority.")
    auditor = forms.BooleanField(label="Auditor", required=False, help_text="Sees everything and changes nothing.")
    groups = forms.MultipleChoiceField(label="Groups", required=False, widget=forms.CheckboxSelectMultiple)
    invite = forms.BooleanField(
        label="Invite to register passkeys",
        required=False,
        help_text="Each administrator who signs gets a code of his own to hand over. Bots have no passkeys.",
    )

    def now(self) -> dict[str, Any]:
        """A human who will sign."""
        return {"human": True, "invite": True}

    def shape(self) -> None:
        """The groups that there are."""
        if groups := group_choices():
            choose(self, "groups", groups)
        else:
            del self.fields["groups"]

    def edits(self) -> list[Edit]:
        """The person, principals, groups, and the invitation."""
        said = self.cleaned_data
        person: Edit = {"edit": "add_person"} | {
            name: said[name] for name in ("handle", "name", "email", "human", "administrator", "auditor")
        }
        login = said["login"] or said["handle"]
        found = [person | {"login": login}]
        found += [_principal("add_principal", said["handle"], row) for row in self.kept("principals")]
        found += [{"edit": "add_member", "group": group, "login": login} for group in said.get("groups", ())]
        if said["invite"]:
            found.append({"edit": "invite", "person": said["handle"]})
        return found


class PersonProposal(Proposal):
    """Change a person; `thing` is the Person."""

    parts: ClassVar = (
        Part("Who", ("name", "email", "active", "administrator", "auditor")),
        Part("How this person signs in", ("logins", "sign_on"), "A login that is taken away leaves its groups and rights, too."),
        Part("How AWS knows this person", ("principals",)),
        Part("Passkeys", ("passkeys", "enrolment")),
    )
    rows: ClassVar = {
        "logins": Rows(LoginRow, "Logins", "Add a login", "However many there are, they are one voter.", "login"),
        "sign_on": Rows(SignOnRow, "Single sign-on", "Add an identity", word="identity"),
        "principals": _PRINCIPALS,
    }

    name = Text(label="Name", max_length=200)
    email = forms.EmailField(label="Mail", required=False)
    active = forms.BooleanField(label="Active", required=False, help_text="Without this the person may do nothing at all.")
    administrator = forms.BooleanField(label="Administrator", required=False, help_text="Signs changes of authority.")
    auditor = forms.BooleanField(label="Auditor", required=False, help_text="Sees everything and changes nothing.")
    passkeys = forms.MultipleChoiceField(
        label="Remove these passkeys",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="What was signed with them stays valid; nothing more can be.",
    )
    enrolment = forms.ChoiceField(label="Enrolment link", widget=forms.RadioSelect, required=False)

    thing: Person

    def heading(self) -> str:
        """Whose form this is."""
        return f"Propose a change of {self.thing.handle}"

    def now(self) -> dict[str, Any]:
        """As the tables have it."""
        person = self.thing
        return {
            "name": person.name,
            "email": person.email,
            "active": person.is_active,
            "administrator": person.is_administrator,
            "auditor": person.is_auditor,
            "enrolment": "",
        }

    def rows_now(self, name: str) -> list[dict[str, Any]]:
        """Logins, identities and principals as they are."""
        if name == "logins":
            return [{"login": login} for login in self._logins()]
        if name == "sign_on":
            return self._sign_on()
        found = self.thing.principals.order_by("kind", "value")
        return [{"kind": one.kind, "value": one.value, "precedence": one.precedence} for one in found]

    def shape(self) -> None:
        """His passkeys, and what can be done about an enrolment link."""
        keys = list(self.thing.passkeys.order_by("id"))
        choose(self, "passkeys", [(key.credential_id, f"{key.label} ({key.credential_id[:12]}…)") for key in keys])
        if not keys:
            del self.fields["passkeys"]
        links = [("", "Leave it as it is"), ("invite", "Issue a new enrolment link, beside the passkeys that there are")]
        if keys:
            links.append(("reset", "Reset: remove every passkey and issue a new enrolment link"))
        if Invitation.objects.filter(person=self.thing).exists():
            links.append(("uninvite", "Take the open enrolment link back"))
        choose(self, "enrolment", links)

    def edits(self) -> list[Edit]:
        """What differs: removals before additions, so that a value can move."""
        handle = self.thing.handle
        differing = {name: self.cleaned_data[name] for name in ("name", "email", "active", "administrator", "auditor")}
        differing = {name: value for name, value in differing.items() if value != self.initial[name]}
        found: list[Edit] = [{"edit": "set_person", "person": handle, **differing}] if differing else []
        gone, come = _moved(self._sign_on(), self.kept("sign_on"))
        found += [{"edit": "remove_sign_on", "person": handle, **row} for row in gone]
        gone_logins, come_logins = _moved(self.rows_now("logins"), self.kept("logins"))
        found += [{"edit": "add_login", "person": handle, **row} for row in come_logins]
        found += [{"edit": "remove_login", "person": handle, **row} for row in gone_logins]
        found += [{"edit": "add_sign_on", "person": handle, **row} for row in come]
        gone, come = _moved(self.rows_now("principals"), self.kept("principals"))
        found += [_principal("remove_principal", handle, row) for row in gone]
        found += [_principal("add_principal", handle, row) for row in come]
        return found + self._of_passkeys(handle)

    def _of_passkeys(self, handle: str) -> list[Edit]:
        chosen = self.cleaned_data["enrolment"]
        keys = self.cleaned_data.get("passkeys", [])
        if chosen == "reset":
            keys = [key.credential_id for key in self.thing.passkeys.order_by("id")]
        found: list[Edit] = [{"edit": "remove_passkey", "person": handle, "credential_id": key} for key in keys]
        if chosen in ("invite", "reset"):
            found.append({"edit": "invite", "person": handle})
        if chosen == "uninvite":
            found.append({"edit": "uninvite", "person": handle})
        return found

    def _logins(self) -> list[str]:
        return list(self.thing.logins.order_by("user__username").values_list("user__username", flat=True))

    def _sign_on(self) -> list[dict[str, Any]]:
        rows = self.thing.logins.filter(user__socialaccount__isnull=False).order_by("user__username")
        columns = ("user__username", "user__socialaccount__provider", "user__socialaccount__uid")
        return [{"login": login, "provider": provider, "subject": uid} for login, provider, uid in rows.values_list(*columns)]


def _principal(edit: str, handle: str, row: dict[str, Any]) -> Edit:
    made = {"edit": edit, "person": handle, "kind": row["kind"], "value": row["value"]}
    return made | ({"precedence": row["precedence"] or 0} if edit == "add_principal" else {})


def _moved(now: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What is gone and what has come, by the values of the rows."""

    def plain(row: dict[str, Any]) -> dict[str, Any]:
        return {name: value if value is not None else 0 for name, value in row.items() if name != "DELETE"}

    old, new = [plain(row) for row in now], [plain(row) for row in wanted]
    return [row for row in old if row not in new], [row for row in new if row not in old]
