"""What is kept of AWS's answers for people to read."""

from __future__ import annotations

from approvals.operations import catalog
from executor import target


def test_a_secret_that_only_its_name_betrays_is_hidden_in_a_state():
    """User data, passwords and keys in an answer are hidden, also where botocore's model does not call them sensitive."""
    shape = catalog.get("autoscaling:DescribeLaunchConfigurations").model.output_shape
    answer = {"LaunchConfigurations": [{"LaunchConfigurationName": "web", "UserData": "c2VjcmV0"}], "NextToken": "x"}
    text = target.as_text(shape, answer)
    assert "c2VjcmV0" not in text
    assert '"LaunchConfigurationName": "web"' in text
