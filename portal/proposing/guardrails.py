"""The form of a guardrail: every field of its rules, for a new one or for the next version of one that there is."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django import forms

from approvals import canonical
from approvals.errors import BadGuardrail, CountersignError
from approvals.models import Guardrail
from approvals.operations.facts import RISK_CLASSES
from approvals.policies import Clocks, Irreversible, Mode, rules_from
from portal.proposing import guardrail_rows as rows
from portal.proposing.base import Edit, Part, Proposal, Rows
from portal.proposing.choices import choose, group_choices
from portal.proposing.fields import Lines, Span, Text
from portal.proposing.rights import RightRow, grant, shape_right

# Where a field of the rules stands in the form, as far as it is not called the same.
_PLACES: Final[dict[tuple[str, ...], str]] = {
    ("clocks", "draft"): "draft_lives",
    ("clocks", "pending"): "pending_lives",
    ("clocks", "approval"): "approval_lives",
    ("irreversible", "extra_approvals"): "extra_approvals",
    ("irreversible", "typed_name"): "typed_name",
    ("irreversible", "hold"): "hold",
    ("break_glass", "groups"): "break_glass_groups",
    ("break_glass", "review_within"): "break_glass_review",
}
# The same of the fields of a row.
_CELLS: Final = {"from": "begins", "to": "ends", "until": "ends"}
_LISTS: Final = ("accounts", "regions", "operations", "resources", "families")


class _RulesProposal(Proposal):
    """Every field of the rules, as they are in `rules_now`."""

    parts: ClassVar[tuple[Part, ...]] = (
        Part("Guardrail", ("name", "description", "mode")),
        Part(
            "What it protects",
            ("operations", "resources", "accounts", "account_tags", "regions", "risk", "families", "conditions"),
            "In patterns * stands for any characters and ? for one.",
        ),
        Part("How it is decided", ("approvals", "groups", "reason_needed", "ticket", "unconfirmed", "delegation")),
        Part("What cannot be undone needs on top", ("extra_approvals", "typed_name", "hold", "protective_step")),
        Part("Clocks", ("draft_lives", "pending_lives", "approval_lives"), "Spans such as 7 days, 1 hour 30 minutes."),
        Part("When it may be carried out", ("windows", "freezes"), "Windows and freezes only delay; they decide nothing."),
        Part(
            "Break-glass",
            ("break_glass_groups", "break_glass_review"),
            "Off unless a group is chosen. Its members may act at once in an emergency, and it must be reviewed afterwards.",
        ),
    )
    rows: ClassVar[dict[str, Rows]] = {
        "account_tags": Rows(
            rows.TagRow, "Tags of accounts", "Add a tag", "An account that has every one of these is meant as well.", "tag"
        ),
        "conditions": Rows(
            rows.ConditionRow,
            "Conditions on parameters",
            "Add a condition",
            "All of them must hold; what is not known of a call holds.",
            "condition",
        ),
        "groups": Rows(
            rows.QuorumRow,
            "Approvers from groups",
            "Ask for approvers of a group",
            "Who is in two groups counts for both.",
            "group",
        ),
        "windows": Rows(
            rows.WindowRow, "Windows", "Add a window", "Carried out only inside one of these; none: at any time.", "window"
        ),
        "freezes": Rows(rows.FreezeRow, "Freezes", "Add a freeze", "Nothing is carried out meanwhile.", "freeze"),
    }

    description = forms.CharField(label="For what", required=False, widget=forms.Textarea(attrs={"rows": 2}), max_length=2000)
    mode = forms.ChoiceField(
        label="Mode",
        widget=forms.RadioSelect,
        choices=[
            (str(Mode.ENFORCE), "Enforce: nothing runs without the quorum"),
            (str(Mode.OBSERVE), "Observe: only record what it would ask"),
        ],
    )
    operations = Lines(label="Operations", help_text="One pattern a line, such as dynamodb:DeleteTable.")
    resources = Lines(label="Resources", help_text="ARN patterns, one a line; * for every one.")
    accounts = Lines(label="Accounts", required=False, rows=2, help_text="Numbers or patterns, one a line. Give these or tags.")
    regions = Lines(label="Regions", rows=2, help_text="One pattern a line.")
    risk = forms.MultipleChoiceField(
        label="Only these classes of risk",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        choices=[(one, one) for one in RISK_CLASSES],
        help_text="None chosen: whatever the risk.",
    )
    families = Lines(label="Only these families of operations", required=False, rows=2, help_text="One a line; empty: any.")
    approvals = forms.IntegerField(label="Approvals", help_text="Distinct persons besides the requester.")
    reason_needed = forms.BooleanField(label="A reason is needed", required=False)
    ticket = Text(
        label="Ticket that the reason must name",
        max_length=200,
        required=False,
        help_text="Such as OPS-# or INC# | CHG#: # is a number, ? a character, * any characters.",
    )
    unconfirmed = forms.BooleanField(
        label="An event that nobody confirmed may be decided", required=False, help_text="By two approvers at least."
    )
    delegation = forms.BooleanField(label="Rights under it may be delegated", required=False)
    extra_approvals = forms.IntegerField(label="Further approvals", min_value=0)
    typed_name = forms.BooleanField(label="Approvers type the target's name", required=False)
    hold = Span(label="Hold before it is carried out", help_text="Anybody concerned can stop it meanwhile. 0 seconds: none.")
    protective_step = forms.BooleanField(
        label="A backup goes before it",
        required=False,
        help_text="A step of the plan, signed like the rest. With it the plan counts as one that can be undone.",
    )
    draft_lives = Span(label="A draft lives")
    pending_lives = Span(label="A pending request lives")
    approval_lives = Span(label="An approval is good for", help_text="From the last signature, or to the close of its window.")
    break_glass_groups = forms.MultipleChoiceField(label="Groups", required=False, widget=forms.CheckboxSelectMultiple)
    break_glass_review = Span(label="Reviewed within", required=False)

    def now(self) -> dict[str, Any]:
        """The rules that there are, or the defaults."""
        return _values(self.rules_now())

    def rules_now(self) -> dict[str, Any]:
        """The rules that there are, as JSON."""
        raise NotImplementedError

    def rows_now(self, name: str) -> list[dict[str, Any]]:
        """Tags, conditions, groups, windows and freezes of the rules that there are."""
        found = self.rules_now().get(name, ())
        match name:
            case "account_tags":
                return [{"key": key, "patterns": patterns} for key, patterns in dict(found).items()]
            case "groups":
                return [{"group": group, "count": count} for group, count in dict(found).items()]
            case "conditions":
                return [rows.condition_now(one) for one in found]
        return [{_CELLS.get(key, key): value for key, value in one.items()} for one in found]

    def shape(self) -> None:
        """The groups that there are, and those that the rules name."""
        named = (self.rules_now().get("break_glass") or {}).get("groups", [])
        choose(self, "break_glass_groups", dict([*group_choices(), *((name, name) for name in named)]).items())

    def shape_row(self, name: str, form: forms.Form) -> None:
        """The groups to choose from."""
        if name == "groups":
            rows.shape_group(form)

    def edits(self) -> list[Edit]:
        """The next version as a whole. Raises BadGuardrail with the path of the field that is wrong."""
        made = self.rules()
        rules_from(made)
        return [{"edit": "put_guardrail", "rules": made}]

    def rules(self) -> dict[str, Any]:
        """What was typed, as the rules' JSON."""
        said = self.cleaned_data
        found: dict[str, Any] = {name: said[name] for name in _LISTS if said[name]}
        found |= {name: said[name] for name in ("description", "ticket", "risk") if said[name]}
        found |= {"name": self.guardrail_name(), "mode": said["mode"], "approvals": said["approvals"]}
        found |= {"reason": said["reason_needed"], "unconfirmed": said["unconfirmed"], "delegation": said["delegation"]}
        found["protective_step"] = said["protective_step"]
        for (group, field), name in _PLACES.items():
            if group != "break_glass":
                found.setdefault(group, {})[field] = said[name]
        if said["break_glass_groups"]:
            found["break_glass"] = {"groups": said["break_glass_groups"], "review_within": said["break_glass_review"] or 0}
        lists = {
            "account_tags": {row["key"]: row["patterns"] for row in self.kept("account_tags")},
            "groups": {row["group"]: row["count"] for row in self.kept("groups")},
            "conditions": [{"parameter": row["parameter"], row["operator"]: row["read"]} for row in self.kept("conditions")],
            "windows": [
                {"days": row["days"], "from": row["begins"], "to": row["ends"], "zone": row["zone"]}
                for row in self.kept("windows")
            ],
            "freezes": [
                {"from": row["begins"], "until": row["ends"], "zone": row["zone"], "why": row["why"]}
                for row in self.kept("freezes")
            ],
        }
        return found | {name: value for name, value in lists.items() if value}

    def guardrail_name(self) -> str:
        """What it is called."""
        raise NotImplementedError

    def place(self, error: CountersignError) -> bool:
        """Beside the field, or in the row, that the path leads to."""
        path = error.path if isinstance(error, BadGuardrail) else ()
        if len(path) >= 2 and isinstance(path[1], int) and path[0] in self.rows:
            form = self.row_form(str(path[0]), path[1])
            cell = _CELLS.get(str(path[2]), str(path[2])) if len(path) > 2 else None
            if form is not None:
                form.add_error(cell if cell in form.fields else None, str(error))
                return True
        usual = "reason_needed" if path[:1] == ("reason",) else str(path[0]) if path else ""
        name = _PLACES.get(tuple(str(part) for part in path[:2]), usual)
        if name in self.fields and name != "reason":
            self.add_error(name, str(error))
            return True
        return False


class NewGuardrailProposal(_RulesProposal):
    """A guardrail that is not there yet, with those who may review under it: without any, nobody could satisfy it."""

    title = "Propose a new guardrail"
    lead = "What it protects, how requests under it are decided, by whom, and when they may be carried out."
    parts: ClassVar[tuple[Part, ...]] = (
        *_RulesProposal.parts[:3],
        Part("Who may review", ("rights",), "Proposed in the same change. Whoever gains by it is not counted among its signers."),
        *_RulesProposal.parts[3:],
    )
    rows: ClassVar[dict[str, Rows]] = {
        **_RulesProposal.rows,
        "rights": Rows(RightRow, "Rights", "Give the right to somebody", word="right"),
    }

    name = Text(label="Name", max_length=63, help_text="Lower-case letters, digits and dashes. It is for ever.")

    def rules_now(self) -> dict[str, Any]:
        """The defaults."""
        return {"mode": "enforce", "regions": ["*"], "resources": ["*"], "approvals": 1, "accounts": []}

    def rows_now(self, name: str) -> list[dict[str, Any]]:
        """None yet."""
        return []

    def shape_row(self, name: str, form: forms.Form) -> None:
        """Also every login and group that may be given the right."""
        super().shape_row(name, form)
        if name == "rights":
            shape_right(form)

    def edits(self) -> list[Edit]:
        """The guardrail, and each right on it."""
        rights = [grant(self.guardrail_name(), row["holder"], (row["starts"], row["ends"])) for row in self.kept("rights")]
        return [*super().edits(), *rights]

    def guardrail_name(self) -> str:
        """The name that was typed."""
        return str(self.cleaned_data["name"])


class GuardrailProposal(_RulesProposal):
    """The next version; `thing` is the Guardrail."""

    lead = "A version never changes: this proposes the next one. Requests that are under way keep to both."

    thing: Guardrail

    def heading(self) -> str:
        """Which guardrail."""
        return f"Propose the next version of {self.thing.name}"

    def rules_now(self) -> dict[str, Any]:
        """The newest version's rules."""
        newest = max(self.thing.versions.all(), key=lambda version: version.number)
        found: dict[str, Any] = canonical.loads(newest.text)
        return found

    def guardrail_name(self) -> str:
        """The name stays."""
        return self.thing.name


def _values(found: dict[str, Any]) -> dict[str, Any]:
    """The rules' JSON as the values of the form's fields."""
    values = {name: found.get(name, "") for name in ("name", "description", "ticket", "approvals")}
    values |= {name: found.get(name, []) for name in (*_LISTS, "risk")}
    values |= {"mode": found.get("mode", "enforce"), "reason_needed": found.get("reason", True)}
    values |= {"unconfirmed": found.get("unconfirmed", False), "delegation": found.get("delegation", True)}
    values["protective_step"] = found.get("protective_step", False)
    clocks, final = Clocks(**found.get("clocks", {})), Irreversible(**found.get("irreversible", {}))
    values |= {"draft_lives": clocks.draft, "pending_lives": clocks.pending, "approval_lives": clocks.approval}
    values |= {"extra_approvals": final.extra_approvals, "typed_name": final.typed_name, "hold": final.hold}
    glass = found.get("break_glass") or {}
    return values | {"break_glass_groups": glass.get("groups", []), "break_glass_review": glass.get("review_within", 86_400)}
