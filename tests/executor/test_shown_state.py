"""What is kept of AWS's answers for people to read."""

from __future__ import annotations

import json
from datetime import timedelta

from approvals import preconditions
from approvals.models import Observation
from approvals.operations import catalog
from approvals.plan import Step
from approvals.preconditions import Reading
from executor import plain
from portal.review_page import page_of
from tests.executor.stage import Stage


def test_a_secret_that_only_its_name_betrays_is_hidden_in_a_state():
    """User data, passwords and keys in an answer are hidden, also where botocore's model does not call them sensitive."""
    shape = catalog.get("autoscaling:DescribeLaunchConfigurations").model.output_shape
    answer = {"LaunchConfigurations": [{"LaunchConfigurationName": "web", "UserData": "c2VjcmV0"}], "NextToken": "x"}
    text = plain.as_text(shape, answer)
    assert "c2VjcmV0" not in text
    assert '"LaunchConfigurationName": "web"' in text


def test_what_was_read_after_the_approval_is_nothing_that_a_reviewer_saw(stage: Stage) -> None:
    """The look that the confirmation asked for came late: what was different at the call is told from what reviewers saw."""
    execution = stage.cast.approved()
    seen = Observation.objects.get(revision=execution.revision)
    other = json.dumps({**json.loads(seen.text), "ItemCount": 777})
    after = execution.created_at + timedelta(seconds=1)
    for moment in (Observation.Moment.REVIEW, Observation.Moment.CLAIM):
        Observation.objects.create(revision=execution.revision, step=0, moment=moment, text=other, taken_at=after)
    (step,) = page_of(execution.revision.request).steps
    assert [str(one) for one in step.pinned.besides] == [f"ItemCount was {json.loads(seen.text)['ItemCount']} and is 777"]


def test_more_differences_than_are_shown_are_told_in_number() -> None:
    """Twelve of them, those of the thing itself before those of its parts, and how many more there are."""
    step = Step("dynamodb", "DeleteTable", {"TableName": "t"})

    def read(count: int) -> Reading:
        indexes = [{"IndexName": f"i{number}", "ItemCount": count, "IndexSizeBytes": count} for number in range(7)]
        return Reading(json.dumps({"TableName": "t", "ItemCount": count, "GlobalSecondaryIndexes": indexes}))

    said = [str(one) for one in preconditions.besides(step, read(1), read(2))]
    assert said[0] == "ItemCount was 1 and is 2"
    assert (len(said), said[-1].split(" was")[0]) == (13, "and 3 more")
