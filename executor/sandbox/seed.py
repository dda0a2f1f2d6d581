"""Fills moto with the demo world: people, keys, what production consists of, and Countersign's plumbing from
`executor.infrastructure`.

Straight into moto's backends and not over HTTP: seeding is no AWS call, must leave no record and needs nobody's keys.
"""

import base64
import json
from hashlib import sha256
from typing import Any

from moto.events.models import events_backends
from moto.iam.models import AccessKey, IAMBackend, iam_backends
from moto.organizations.models import organizations_backends
from moto.s3.models import s3_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from executor.infrastructure import (
    claims_bucket_policy,
    delivery_policy,
    event_patterns,
    execution_policy,
    executor_permissions,
    executor_trust,
    feed_policy,
    guardrail_deny,
    queue_policy,
)
from executor.sandbox import estate
from executor.sandbox.world import DemoWorldFacts

# User name -> {"access_key_id": ..., "secret_access_key": ...}
Keys = dict[str, dict[str, str]]

_LONGEST_SESSION = "3600"
# What people may do but for the guardrails. Administrators may do everything.
_TEAM_SERVICES = ("dynamodb", "ec2", "kms", "rds", "s3", "secretsmanager")


def seed(facts: DemoWorldFacts, keys: Keys) -> Keys:
    """Makes the world that the facts describe, with the given access keys, and returns the keys of every user."""
    estate.build(facts)
    _events(facts)
    _notifications(facts)
    _claims(facts)
    if facts.service_control_policies:
        _organization(facts)
    iam = iam_backends[facts.account][facts.partition]
    iam.create_account_alias(facts.alias.lower())
    complete = {user: _user(iam, user, keys.get(user)) for user in facts.users}
    _groups(iam, facts)
    _processes(iam, facts)
    return complete


def _events(facts: DemoWorldFacts) -> None:
    """The rules, the queue that they alone may fill, and where messages go that are received too often.

    A rule of another region (where a global service is recorded) fills the queue directly here; in AWS an event bus of the
    queue's region stands between them.
    """
    patterns = event_patterns(facts.protected, [facts.region])
    rules = [
        (region, facts.rule if number == 0 else f"{facts.rule}-{number + 1}", pattern)
        for region in patterns
        for number, pattern in enumerate(patterns[region])
    ]
    arns = [f"arn:{facts.partition}:events:{region}:{facts.account}:rule/{name}" for region, name, _ in rules]
    sqs = sqs_backends[facts.account][facts.region]
    sqs.create_queue(f"{facts.queue}-dead")
    sqs.create_queue(
        facts.queue,
        Policy=json.dumps(queue_policy(facts.queue_arn, arns)),
        RedrivePolicy=json.dumps({"deadLetterTargetArn": facts.arn("sqs", f"{facts.queue}-dead"), "maxReceiveCount": 20}),
    )
    for region, name, pattern in rules:
        events = events_backends[facts.account][region]
        events.put_rule(name, event_pattern=json.dumps(pattern), state="ENABLED")
        events.put_targets(name, None, [{"Id": "countersign", "Arn": facts.queue_arn}])


def _notifications(facts: DemoWorldFacts) -> None:
    """The topic and an inbox that shows the demo's people what it delivers."""
    sqs_backends[facts.account][facts.region].create_queue(facts.inbox)
    sns = sns_backends[facts.account][facts.region]
    topic = sns.create_topic(facts.topic)
    sns.subscribe(topic.arn, facts.inbox_arn, "sqs")


def _claims(facts: DemoWorldFacts) -> None:
    """The bucket of claims outside the database, as `executor.infrastructure.claims_bucket` describes it."""
    s3 = s3_backends[facts.account][facts.partition]
    bucket = s3.create_bucket(facts.claims_bucket, facts.region)
    s3.put_bucket_versioning(facts.claims_bucket, "Enabled")
    s3.put_object_lock_configuration(facts.claims_bucket, lock_enabled=True, mode="COMPLIANCE", days=facts.claims_days)
    policy = claims_bucket_policy(
        facts.bucket_arn(facts.claims_bucket), [facts.iam_arn(f"user/{facts.execution_user}")], facts.claims_days
    )
    bucket.policy = json.dumps(policy).encode()


def _user(iam: IAMBackend, name: str, key: dict[str, str] | None) -> dict[str, str]:
    """A user with one access key: the one given, so that keys outlive a restart, or a new one."""
    user = iam.create_user(iam.region_name, name)
    # The same person keeps the same unique id over restarts, as in AWS.
    user.id = "AIDA" + base64.b32encode(sha256(name.encode()).digest()).decode()[:16]
    access_key = iam.create_access_key(name)
    if key:
        _rename(iam, access_key, key)
    return {"access_key_id": access_key.access_key_id, "secret_access_key": access_key.secret_access_key}


def _rename(iam: IAMBackend, access_key: AccessKey, key: dict[str, str]) -> None:
    del iam.access_keys[access_key.access_key_id]
    access_key.access_key_id = key["access_key_id"]
    access_key.secret_access_key = key["secret_access_key"]
    iam.access_keys[access_key.access_key_id] = access_key


def _groups(iam: IAMBackend, facts: DemoWorldFacts) -> None:
    """People's rights: production's services for the teams, less what the guardrails deny; everything for administrators."""
    denies = [_policy(iam, f"CountersignGuardrail-{one.name}", guardrail_deny(one)) for one in facts.protected]
    team = _policy(iam, "TeamProduction", _allow(*(f"{service}:*" for service in _TEAM_SERVICES)))
    everything = _policy(iam, "TeamAdministrators", _allow("*"))
    administrators = facts.groups["administrators"]
    for group, members in facts.members.items():
        iam.create_group(group)
        for member in members:
            iam.add_user_to_group(group, member)
        for policy in (everything,) if group == administrators else (team, *denies):
            iam.attach_group_policy(policy, group)


def _organization(facts: DemoWorldFacts) -> None:
    """The account as a member of an organization, with its service control policies beside the one that allows everything."""
    organizations = organizations_backends[facts.management_account][facts.partition]
    organizations.create_organization(facts.region, FeatureSet="ALL")
    organizations.create_account(AccountName=facts.alias, Email=f"{facts.alias.lower()}@example.com")
    member = organizations.accounts[-1]
    del organizations_backends.master_accounts[member.id]
    member.id = facts.account
    organizations_backends.master_accounts[member.id] = (facts.management_account, facts.partition)
    for name, document in facts.service_control_policies.items():
        made = organizations.create_policy(Name=name, Type="SERVICE_CONTROL_POLICY", Content=json.dumps(document), Description="")
        organizations.attach_policy(PolicyId=made["Policy"]["PolicySummary"]["Id"], TargetId=member.id)


def _processes(iam: IAMBackend, facts: DemoWorldFacts) -> None:
    """Countersign's own users with the least they need, and the role that only execution may assume."""
    least = {
        facts.feed_user: feed_policy(facts.queue_arn),
        facts.delivery_user: delivery_policy(facts.topic_arn, facts.table_arn(facts.mirror_table)),
        facts.execution_user: execution_policy([facts.executor_role_arn], facts.bucket_arn(facts.claims_bucket)),
        facts.inbox_user: _inbox_policy(facts.inbox_arn),
    }
    for user, document in least.items():
        iam.put_user_policy(user, "Countersign", json.dumps(document))
    iam.create_role(
        facts.executor_role,
        json.dumps(executor_trust(facts.iam_arn(f"user/{facts.execution_user}"), facts.external_id)),
        path="/",
        permissions_boundary=None,
        description="Carries out what Countersign's reviewers have approved",
        tags=[],
        max_session_duration=_LONGEST_SESSION,
    )
    for number, document in enumerate(executor_permissions(facts.protected), start=1):
        name = "CountersignExecutor" if number == 1 else f"CountersignExecutor-{number}"
        iam.attach_role_policy(_policy(iam, name, document), facts.executor_role)


def _policy(iam: IAMBackend, name: str, document: dict[str, Any]) -> str:
    """A managed policy's ARN."""
    return iam.create_policy("", "/", json.dumps(document), name, []).arn


def _inbox_policy(queue_arn: str) -> dict[str, Any]:
    """Enough to read what the topic delivered; the demo's inbox is no part of a real deployment."""
    actions = ["sqs:ReceiveMessage", "sqs:DeleteMessage"]
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": queue_arn}]}


def _allow(*actions: str) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}
