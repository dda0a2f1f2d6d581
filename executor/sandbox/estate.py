"""What production consists of in the local AWS: tables, databases, keys, buckets, instances and secrets, straight into moto."""

import secrets
from typing import Any

from moto.dynamodb.models import DynamoDBBackend, dynamodb_backends
from moto.ec2.models import ec2_backends
from moto.kms.models import kms_backends
from moto.rds.models import rds_backends
from moto.s3.models import s3_backends
from moto.secretsmanager.models import secretsmanager_backends

from executor.sandbox.world import DemoWorldFacts

_ITEMS = {
    "prod-orders": [{"OrderId": {"S": f"order-{n}"}, "Total": {"N": str(n * 10)}} for n in range(1, 6)],
    "prod-customers": [{"CustomerId": {"S": f"customer-{n}"}, "Name": {"S": f"Customer {n}"}} for n in range(1, 4)],
    "staging-orders": [{"OrderId": {"S": f"trial-{n}"}, "Total": {"N": str(n)}} for n in range(1, 3)],
}
# moto asks for no such image to exist.
_IMAGE = "ami-0c0ffee0c0ffee000"


def build(facts: DemoWorldFacts) -> None:
    """Makes everything that the facts name. Where AWS would make an id up, the facts' own is given (see DemoWorldFacts)."""
    _tables(facts)
    _databases(facts)
    _keys(facts)
    _secrets(facts)
    buckets = s3_backends[facts.account][facts.partition]
    for bucket in facts.buckets:
        # Empty, since AWS deletes no other.
        buckets.create_bucket(bucket, facts.region)
    if facts.instances:
        _instances(facts)


def _environment(name: str) -> str:
    """`production` or `staging`, as the name begins."""
    return "production" if name.removeprefix("alias/").startswith("prod") else "staging"


def _tables(facts: DemoWorldFacts) -> None:
    dynamodb = dynamodb_backends[facts.account][facts.region]
    for table in facts.tables:
        items: list[dict[str, Any]] = _ITEMS.get(table, [{"Id": {"S": "1"}}])
        _table(dynamodb, table, next(iter(items[0])))
        for item in items:
            dynamodb.put_item(table, item)
    _table(dynamodb, facts.mirror_table, "ApprovalId")


def _table(dynamodb: DynamoDBBackend, name: str, key: str) -> None:
    dynamodb.create_table(
        name,
        schema=[{"AttributeName": key, "KeyType": "HASH"}],
        throughput=None,
        attr=[{"AttributeName": key, "AttributeType": "S"}],
        global_indexes=None,
        indexes=None,
        streams=None,
        billing_mode="PAY_PER_REQUEST",
        sse_specification=None,
        tags=[],
        deletion_protection_enabled=False,
        warm_throughput=None,
    )


def _databases(facts: DemoWorldFacts) -> None:
    rds = rds_backends[facts.account][facts.region]
    for name, protected in facts.databases.items():
        rds.create_db_instance(
            {
                "db_instance_identifier": name,
                "engine": "postgres",
                "db_instance_class": "db.t4g.medium",
                "allocated_storage": 100,
                "master_username": "owner",
                "master_user_password": secrets.token_urlsafe(24),
                "deletion_protection": protected,
                "tags": [{"Key": "environment", "Value": _environment(name)}],
            }
        )


def _keys(facts: DemoWorldFacts) -> None:
    kms = kms_backends[facts.account][facts.region]
    for alias in facts.key_aliases:
        key = kms.create_key(None, "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", f"Encrypts what {alias} stands for", None)
        del kms.keys[key.id]
        key.id, key.arn = facts.key_id(alias), facts.key_arn(alias)
        kms.keys[key.id] = key
        kms.create_alias(key.id, alias)
        kms.tag_resource(key.arn, {"environment": _environment(alias)})


def _secrets(facts: DemoWorldFacts) -> None:
    manager = secretsmanager_backends[facts.account][facts.region]
    for name in facts.secrets:
        tags = [{"Key": "environment", "Value": _environment(name)}]
        manager.create_secret(
            name,
            secret_string=secrets.token_urlsafe(24),
            secret_binary=None,
            description="The database's password",
            tags=tags,
            kms_key_id=None,
            client_request_token=None,
            replica_regions=[],
            force_overwrite=False,
        )
        secret = manager.secrets.get(name)
        if secret is None:
            raise LookupError(name)
        secret.arn = facts.secret_arn(name)


def _instances(facts: DemoWorldFacts) -> None:
    ec2 = ec2_backends[facts.account][facts.region]
    for name in facts.instances:
        reservation = ec2.run_instances(
            _IMAGE, 1, None, [], instance_type="t3.micro", is_instance_type_default=False, region_name=facts.region
        )
        instance = reservation.instances[0]
        instance.id = facts.instance_id(name)
        ec2.create_tags([instance.id], {"Name": name, "environment": _environment(name)})
