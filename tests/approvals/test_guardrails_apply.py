"""`guardrails_apply`: a file becomes one proposal of what differs, and nothing else is written."""

from __future__ import annotations

import io
import json

import pytest
import yaml
from django.core.management import CommandError, call_command

from approvals import changes
from approvals.models import AuthorityChange, Guardrail, GuardrailVersion
from approvals.permissions import reviewable_by

RULES = {
    "name": "rds-night",
    "mode": "observe",
    "accounts": ["*"],
    "operations": ["rds:DeleteDBInstance"],
    "approvals": 1,
}


@pytest.fixture
def apply(tmp_path):
    """`apply(rules, ...)`: run it over a file with these guardrails; returns what was printed."""

    def run(*rules, handle="dana", reason="OPS-17", text=None, ends=0, **options):
        path = tmp_path / "guardrails.yaml"
        path.write_text(
            text if text is not None else yaml.safe_dump({"schema": "countersign/guardrails/1", "guardrails": list(rules)})
        )
        out = io.StringIO()
        status = 0
        try:
            call_command("guardrails_apply", str(path), f"--as={handle}", f"--reason={reason}", stdout=out, **options)
        except CommandError as error:
            status = error.returncode
        assert status == ends, out.getvalue()
        return out.getvalue()

    return run


def current(name="dynamodb-production"):
    return json.loads(GuardrailVersion.objects.filter(guardrail__name=name).latest("number").text)


def test_one_change_holds_what_differs(cast, apply):
    """What is as it was is left out, what differs and what is new is proposed together; nothing holds before it is signed."""
    same = current()
    said = apply(same, RULES)
    change = AuthorityChange.objects.get()
    assert change.reference in said
    assert change.digest in said
    assert (change.proposer.handle, change.reason) == ("dana", "OPS-17")
    assert [edit["rules"]["name"] for edit in json.loads(change.edits)] == ["rds-night"]
    assert not Guardrail.objects.filter(name="rds-night").exists()
    for handle in ("dana", "erin"):
        cast.sign_change(change, handle)
    assert changes.apply(change.pk)
    assert current("rds-night")["operations"] == ["rds:DeleteDBInstance"]


def test_a_new_guardrail_comes_with_those_who_may_review_under_it(cast, apply):
    """What enforces from its first day is one change: the guardrail and, by --reviewers, the right of a group on it."""
    enforcing = RULES | {"mode": "enforce"}
    refused = apply(enforcing, ends=1)
    assert "0 persons may give one" in refused
    assert "name --reviewers" in refused
    apply(current(), enforcing, reviewers=["Approvers"])
    change = AuthorityChange.objects.get()
    for handle in ("dana", "erin"):
        cast.sign_change(change, handle)
    assert changes.apply(change.pk)
    assert reviewable_by(cast.person("carol")) == {"rds-night"}


def test_nothing_differs_is_no_change(cast, apply):
    """Run again it says so and exits with 0."""
    assert "Nothing differs" in apply(current())
    assert not AuthorityChange.objects.exists()


def test_both_ends_as_json(cast, apply):
    """For a pipeline: the change's id and digest, or null."""
    said = json.loads(apply(RULES, json=True))
    change = AuthorityChange.objects.get()
    assert (said["change"], said["digest"], said["guardrails"]) == (str(change.pk), change.digest, ["rds-night"])
    assert json.loads(apply(current(), json=True))["change"] is None


def test_a_wrong_file_names_line_and_field_and_proposes_nothing(cast, apply):
    """Each problem with its place; exit status 1."""
    lines = ("schema: countersign/guardrails/1", "guardrails:", "- name: x-y", "  accounts: ['*']", "  operations: [rds:*]")
    said = apply(text="\n".join((*lines, "  approvals: many")), ends=1)
    assert "line 6, guardrails[0].approvals: " in said
    assert not AuthorityChange.objects.exists()


def test_what_nobody_could_satisfy_is_refused_with_the_reason(cast, apply):
    """The same judgement as in the form; exit status 1."""
    assert "asks for 7 approvals" in apply({**current(), "approvals": 7}, ends=1)
    assert not AuthorityChange.objects.exists()


@pytest.mark.parametrize(("how", "status"), [({"handle": "nobody"}, 2), ({"reason": " "}, 1)])
def test_who_and_why_are_needed(cast, apply, how, status):
    """A person that there is, and a reason."""
    apply(RULES, **how, ends=status)
    assert not AuthorityChange.objects.exists()


def test_a_missing_file_is_a_usage_error(cast):
    """Exit status 2."""
    with pytest.raises(CommandError) as refused:
        call_command("guardrails_apply", "nowhere.yaml", "--as=dana", "--reason=x")
    assert refused.value.returncode == 2
