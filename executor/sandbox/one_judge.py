"""moto judges a bucket's policy itself, without conditions and principals. Here there is one judge, `executor.sandbox.judge`."""

from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket


def neutral(self: FakeBucket, action: str, resource: str) -> PermissionResult:
    """What moto makes of a bucket without a policy."""
    return PermissionResult.NEUTRAL


def install() -> None:
    """Let moto's S3 ask nobody. Safe to repeat."""
    FakeBucket.get_permission = neutral  # type: ignore[method-assign]
