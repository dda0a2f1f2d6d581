"""`python -m executor.demo.inbox QUEUE_URL`: prints every notification that the topic delivers, until it is stopped."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError


def main(arguments: list[str]) -> int:
    """Reads with the keys in its environment; 2 for wrong arguments."""
    if len(arguments) != 1:
        print("usage: python -m executor.demo.inbox QUEUE_URL", file=sys.stderr)
        return 2
    sqs = boto3.client("sqs", config=Config(retries={"total_max_attempts": 1}, read_timeout=30))
    while True:
        try:
            messages = sqs.receive_message(QueueUrl=arguments[0], MaxNumberOfMessages=10, WaitTimeSeconds=5).get("Messages", [])
            for message in messages:
                print(described(message["Body"]), flush=True)
                sqs.delete_message(QueueUrl=arguments[0], ReceiptHandle=message["ReceiptHandle"])
        except (BotoCoreError, ClientError) as error:
            print(f"The inbox cannot be read ({error}); trying again.", flush=True)
            time.sleep(2)


def described(body: str) -> str:
    """One paragraph of an SNS envelope as SQS delivers it; the body itself where it is none."""
    try:
        envelope: Any = json.loads(body)
        subject, message = envelope.get("Subject") or "(no subject)", str(envelope["Message"])
    except (ValueError, KeyError, AttributeError, TypeError):
        return body
    return f"{subject}\n" + "\n".join(f"    {line}" for line in message.splitlines())


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(0)
