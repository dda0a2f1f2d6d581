"""Forms about an AWS account: add one, change one."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms

from approvals.models import Account
from portal.proposing.base import Edit, Part, Proposal, Rows
from portal.proposing.fields import Lines, Text


class TagRow(forms.Form):
    """One tag."""

    key = Text(label="Tag", max_length=128)
    value = Text(label="Value", max_length=256)


class _AccountForm(Proposal):
    parts: ClassVar = (
        Part("Account", ("id", "alias", "environment", "partition", "regions")),
        Part("Who acts there", ("executor_role_arn", "external_id")),
        Part("Tags", ("tags",), "Guardrails may mean an account by its tags, so a tag changes what is protected."),
    )
    rows: ClassVar = {"tags": Rows(TagRow, "Tags", "Add a tag", word="tag")}

    alias = Text(label="Name", max_length=100, help_text="What people read, such as Production.")
    environment = Text(label="Environment", max_length=50, required=False)
    partition = Text(label="Partition", max_length=20, help_text="aws, aws-cn, aws-us-gov.")
    regions = Lines(label="Regions", help_text="One a line: where requests may be made.")
    executor_role_arn = Text(label="The executor's role", help_text="The ARN of a role in this account.")
    external_id = Text(label="External id", max_length=1224, help_text="What the role's trust policy asks for.")

    def _account(self, number: str) -> Edit:
        names = ("alias", "environment", "partition", "regions", "executor_role_arn", "external_id")
        tags = {row["key"]: row["value"] for row in self.kept("tags")}
        return {"edit": "put_account", "id": number, **{name: self.cleaned_data[name] for name in names}, "tags": tags}


class NewAccountProposal(_AccountForm):
    """Add an account."""

    title = "Propose a new account"
    lead = "The executor acts in it once its role is there; a guardrail says what is protected."

    id = Text(label="Number", max_length=12, help_text="12 digits.")

    def now(self) -> dict[str, Any]:
        """The usual partition."""
        return {"partition": "aws"}

    def edits(self) -> list[Edit]:
        """The account as a whole."""
        return [self._account(self.cleaned_data["id"])]


class AccountProposal(_AccountForm):
    """Change an account; `thing` is the Account."""

    thing: Account

    def heading(self) -> str:
        """Which account."""
        return f"Propose a change of account {self.thing.alias}"

    def now(self) -> dict[str, Any]:
        """As the table has it."""
        names = ("alias", "environment", "partition", "executor_role_arn", "external_id")
        return {"regions": sorted(self.thing.regions), **{name: getattr(self.thing, name) for name in names}}

    def rows_now(self, name: str) -> list[dict[str, Any]]:
        """Its tags."""
        return [{"key": key, "value": value} for key, value in sorted(self.thing.tags.items())]

    def edits(self) -> list[Edit]:
        """What differs."""
        wanted = self._account(self.thing.pk)
        wanted["regions"] = sorted(wanted["regions"])
        now = {**self.now(), "tags": self.thing.tags}
        differing = {name: value for name, value in wanted.items() if name in now and value != now[name]}
        return [{"edit": "put_account", "id": self.thing.pk, **differing}] if differing else []
