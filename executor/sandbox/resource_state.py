"""What moto's state says of a resource: whose it is, the policy attached to it, its tags."""

from collections.abc import Mapping
from typing import TypeVar

from moto.core.base_backend import BackendDict, BaseBackend
from moto.core.resource_tagging import iter_taggable_backends
from moto.kms.models import Key, kms_backends
from moto.s3.models import s3_backends
from moto.secretsmanager.models import FakeSecret, ReplicaSecret, secretsmanager_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from executor.sandbox.identity import parsed
from executor.sandbox.policy import Kind, Policy

Backend = TypeVar("Backend", bound=BaseBackend)


def owner(arn: str) -> str | None:
    """The account that a resource belongs to; None where its ARN does not say and moto has no such resource."""
    _, _, service, _, account, resource = _parts(arn)
    if account or service != "s3":
        return account or None
    known = s3_backends.bucket_accounts.get(resource.partition("/")[0])
    return known[1] if known else None


def resource_policies(arn: str) -> tuple[Policy, ...]:
    """The policy of a queue, topic, bucket (also of its objects), key or secret. Other resources have none in the sandbox."""
    document = _document(*_parts(arn)[1:], arn=arn)
    return (Policy(Kind.RESOURCE, parsed(document)),) if document else ()


def tags(arn: str) -> Mapping[str, str]:
    """The tags of a resource by key; empty where there are none, or no such resource."""
    _, partition, service, region, _, _ = _parts(arn)
    account = owner(arn)
    if account is None or not partition:
        return {}
    for backend in iter_taggable_backends(account, region or "us-east-1"):
        if service == backend.SERVICE_NAMESPACE:
            found = (resource.tags for resource in backend.iter_tagged_resources() if resource.arn == arn)
            return next(found, {})
    return {}


def find_key(key_id: str, account: str, region: str) -> Key | None:
    """The KMS key that moto would use for a key id, an alias or an ARN of either, whatever account such an ARN names."""
    backend = _backend(kms_backends, account, region)
    if backend is None:
        return None
    name = backend.get_alias_name(key_id)
    # Not moto's own search, which makes the keys of AWS's aliases when it is asked for them.
    by_alias = (key for key in backend.keys.values() if name in key.aliases)
    return backend.keys.get(backend.get_key_id(key_id)) or next(by_alias, None)


def find_secret(secret_id: str, account: str, region: str) -> FakeSecret | ReplicaSecret | None:
    """The secret that moto would use for a name or for a whole or partial ARN; its `arn` has the suffix."""
    backend = _backend(secretsmanager_backends, account, region)
    return backend.secrets.get(secret_id) if backend else None


def _document(partition: str, service: str, region: str, account: str, name: str, *, arn: str) -> str | None:
    if service == "s3":
        bucket_account = owner(arn)
        bucket = s3_backends[bucket_account][partition].buckets.get(name.partition("/")[0]) if bucket_account else None
        return bucket.policy.decode() if bucket and bucket.policy else None
    if service == "kms":
        return getattr(find_key(arn, account, region), "policy", None)
    if service == "secretsmanager":
        return getattr(find_secret(arn, account, region), "policy", None)
    if service == "sqs" and (queues := _backend(sqs_backends, account, region)):
        return getattr(queues.queues.get(name), "policy", None)
    if service == "sns" and (topics := _backend(sns_backends, account, region)):
        return getattr(topics.topics.get(arn), "policy", None)
    return None


def _backend(backends: BackendDict[Backend], account: str, region: str) -> Backend | None:
    """moto's state of a service in a place, where there is any: asking makes none, and a region that is none raises nothing."""
    return backends[account][region] if account in backends and region in backends[account] else None


def _parts(arn: str) -> tuple[str, str, str, str, str, str]:
    """The six parts of an ARN; what is none has empty ones."""
    arn_, partition, service, region, account, resource = (arn.split(":", 5) + [""] * 6)[:6]
    return arn_, partition, service, region, account, resource
