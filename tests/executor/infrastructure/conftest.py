"""The local AWS and its clients, as in the sandbox's own tests."""

from tests.executor.sandbox.conftest import aws, client

__all__ = ["aws", "client"]
