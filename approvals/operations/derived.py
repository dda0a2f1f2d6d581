"""Facts about any operation that has no row of ours, from botocore's model and the IAM action table alone."""

from __future__ import annotations

import re
from typing import Any, Final

from botocore.model import OperationModel

from approvals.operations import iam, placeholders, unsaid
from approvals.operations.facts import Facts, Settled, also_needs
from approvals.operations.iam import Level

# What a name begins with when its call takes something away or does what only its input tells. What nobody described is treated
# as beyond undoing.
DESTRUCTIVE: Final = (
    "Abort",
    "Archive",
    "Cancel",
    "Clear",
    "Close",
    "Deactivate",
    "Decommission",
    "Delete",
    "Deprecate",
    "Deprovision",
    "Deregister",
    "Destroy",
    "Detach",
    "Disable",
    "Disassociate",
    "Discard",
    "Disconnect",
    "Dispose",
    "Drop",
    "Erase",
    "Execute",
    "Expire",
    "Failover",
    "Flush",
    "Forget",
    "Invalidate",
    "Leave",
    "Merge",
    "Overwrite",
    "Purge",
    "Redact",
    "Reject",
    "Release",
    "Remove",
    "Replace",
    "Reset",
    "Retire",
    "Revoke",
    "Rollback",
    "Schedule",
    "SendCommand",
    "Stop",
    "Suspend",
    "Terminate",
    "TransactWrite",
    "Truncate",
    "Unassign",
    "Unlink",
    "Unsubscribe",
    "Withdraw",
    "Write",
)
# The same inside a name: `AdminDeleteUser`, `StartRemoteDelete`, `CreateDataDeletionJob`. What guards against it takes nothing.
_DESTROYS_WITHIN: Final = re.compile(
    r"(?:^|(?<=[a-z0-9]))(?:"
    r"Cancel(?:lation)?|Decommission|Delet(?:e|ion)|Deprovision|Deregist(?:er|ration)|Destroy|Detach"
    r"|Disable|Disassociate|Discard|Drop|Erase|Expire|Flush|Forget|Overwrite|Purge|Rebuild|Remov(?:e|al)"
    r"|Replace|Reset|Retire|Revo(?:ke|cation)|Rollback|Terminat(?:e|ion)"
    r")(?![a-z]|Protection)"
)
_WORD: Final = re.compile(r"OpenID(?=Connect)|OAuth2?|IoT|[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z0-9]+")
# Words that AWS writes as names in some services and with small letters in others.
_NAMES: Final = (
    "ACL ACLs ACM AMI API APIs ARN CA CIDR CIDRs CSV DAX DB DHCP DNS EBS EC2 ECR ECS EFS EKS ELB EMR FPGA HSM HTTP HTTPS IAM ID "
    "IDs IP IPs IPAM IPv4 IPv6 IoT JSON KMS MFA MLflow NAT NFS OAuth OAuth2 OIDC OpenID RAM RDS SAML SES SFTP SMB SMS SNS SQL "
    "SQS SSH SSL SSM SSO STS TLS TTL URI URL USB VPC VPCs VPN WAF XML"
)
_ACRONYMS: Final = {name.lower(): name for name in _NAMES.split()}


def facts(service: str, model: OperationModel) -> Facts:
    """What can be said of an operation from its model: nothing is claimed of its effect, so nothing is called harmless."""
    found = placeholders.derived(service, model)
    iam_action = iam.action(service, model)
    level = iam.level(iam_action)
    final = _irreversible(service, model.name, level)
    return Facts(
        does=f"{_predicate(model.name)} {', '.join(f'{{{name}}}' for name in found.identifies)}".strip(),
        family="",
        destroys="",
        irreversible=final,
        loses="" if final or level.reads else unsaid.loses(service, model),
        undo="",
        lost="",
        iam_action=iam_action,
        resources=found.templates,
        identifies=found.identifies,
        dangerous={},
        describe=None,
        settled=Settled(at_once=True),
        untouched=None,
        partial="",
        refused_in_part={},
        also_needs=also_needs(iam.exceptions()["also_needs"].get(f"{service}:{model.name}", [])),
        told={},
        before=(),
        held=(),
        repeatable=False,
        patterns={},
        secret=(),
        demands={},
        changes=_only_changes(model, found.identifies),
        protects=None,
        reverse=(),
        curated=False,
    )


def _only_changes(model: OperationModel, identifies: tuple[str, ...]) -> bool:
    """Whether a call with nothing but its target changes nothing, as far as its name and its members tell."""
    members: Any = getattr(model.input_shape, "members", {})
    further = [name for name, shape in members.items() if "idempotencyToken" not in shape.metadata and name != "DryRun"]
    return bool(identifies) and model.name.startswith(("Authorize", "Modify", "Revoke")) and bool(set(further) - set(identifies))


def _irreversible(service: str, name: str, level: Level) -> bool:
    """Whether nothing undoes the call, as far as its name and its access level tell: what reads cannot do harm."""
    if unsaid.always(service, name):
        return True
    return not level.reads and (name.removeprefix("Batch").startswith(DESTRUCTIVE) or bool(_DESTROYS_WITHIN.search(name)))


def _predicate(name: str) -> str:
    """`DeleteDBInstance` as `delete DB instance`, `DeleteVpc` as `delete VPC`."""
    return " ".join(_ACRONYMS.get(word.lower()) or _small(word) for word in _WORD.findall(name))


def _small(word: str) -> str:
    return word if word.isupper() and len(word) > 1 else word.lower()
