"""`python -m approvals.policies > docs/guardrails.schema.json`: the JSON schema of a guardrails file."""

import sys

from approvals.policies import schema

if __name__ == "__main__":
    sys.stdout.write(schema.as_text())
