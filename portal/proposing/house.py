"""The form about what the portal asks of itself: how many sign a change, where checkpoints are kept and how often."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms

from approvals.models import AuthoritySettings
from portal.proposing.base import Edit, Part, Proposal
from portal.proposing.fields import Span, Text


class SettingsProposal(Proposal):
    """Change the settings of the portal."""

    title = "Propose other settings"
    parts: ClassVar = (
        Part("Changes of authority", ("signers",)),
        Part("Checkpoints of the audit trail", ("checkpoint_bucket", "checkpoint_every")),
    )

    signers = forms.IntegerField(label="How many administrators sign", help_text="Two at least, whoever proposes included.")
    checkpoint_bucket = Text(
        label="S3 bucket", max_length=63, required=False, help_text="Where signed copies of the newest link are kept."
    )
    checkpoint_every = Span(label="How often", help_text="Such as 1 hour.")

    def now(self) -> dict[str, Any]:
        """As the table has them."""
        row = AuthoritySettings.objects.filter(pk=1).first() or AuthoritySettings()
        return {"signers": row.signers, "checkpoint_bucket": row.checkpoint_bucket, "checkpoint_every": row.checkpoint_every}

    def edits(self) -> list[Edit]:
        """What differs."""
        differing = {name: self.cleaned_data[name] for name, value in self.initial.items() if self.cleaned_data[name] != value}
        return [{"edit": "set_settings", **differing}] if differing else []
