"""Calls without a row of ours that take something away and do not say so in their names, by botocore's models and documentation.

In place of what is there stands something else afterwards, or what is older than a new rule goes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from botocore.model import OperationModel, Shape

# Whatever they are given. Some carry another call, or a statement: only their input tells what they do.
_ALWAYS: Final = frozenset(
    {
        "athena:StartQueryExecution",
        "autoscaling:StartInstanceRefresh",
        "cloudcontrol:UpdateResource",
        "cloudformation:UpdateStackInstances",
        "cloudformation:UpdateStackSet",
        "cloudtrail:UpdateEventDataStore",
        "ds:RestoreFromSnapshot",
        "ecr:PutLifecyclePolicy",
        "efs:CreateReplicationConfiguration",
        "dms:StartMetadataModelConversion",
        "dms:StartMetadataModelExportToTarget",
        "elasticbeanstalk:UpdateApplicationResourceLifecycle",
        "emr:AddJobFlowSteps",
        "emr:ModifyInstanceGroups",
        "fis:StartExperiment",
        "fsx:CopySnapshotAndUpdateVolume",
        "fsx:RestoreVolumeFromSnapshot",
        "imagebuilder:UpdateLifecyclePolicy",
        "iotsitewise:UpdateAssetModel",
        "iotsitewise:UpdateAssetModelCompositeModel",
        "mediastore:PutLifecyclePolicy",
        "odb:RestoreAutonomousDatabase",
        "opensearchserverless:CreateLifecyclePolicy",
        "s3control:CreateJob",
        "s3control:PutBucketLifecycleConfiguration",
        "s3tables:PutTableBucketMaintenanceConfiguration",
        "s3tables:PutTableMaintenanceConfiguration",
        "s3tables:PutTableRecordExpirationConfiguration",
        "scheduler:CreateSchedule",
        "scheduler:UpdateSchedule",
        "ssm:CreateAssociation",
        "ssm:StartAssociationsOnce",
        "ssm:StartAutomationExecution",
        "ssm:UpdateAssociation",
        "workmail:PutRetentionPolicy",
        "workspaces:MigrateWorkspace",
        "workspaces:RestoreWorkspace",
    }
)
# With these parameters: an expression over the call.
_WITH: Final = {
    "autoscaling:PutScheduledUpdateGroupAction": "DesiredCapacity != `null` || MaxSize != `null`",
    "cloudhsmv2:ModifyBackupAttributes": "!NeverExpires",
    "customer-profiles:UpdateDomain": "DefaultExpirationDays != `null`",
    "dlm:UpdateLifecyclePolicy": "PolicyDetails != `null` || RetainInterval != `null`",
    "dms:ReloadReplicationTables": "ReloadOption != 'validate-only'",
    "dms:ReloadTables": "ReloadOption != 'validate-only'",
    "dms:StartReplication": "StartReplicationType == 'reload-target'",
    "dms:StartReplicationTask": "StartReplicationTaskType == 'reload-target'",
    "ec2:ModifyFleet": "TargetCapacitySpecification != `null` && ExcessCapacityTerminationPolicy != 'no-termination'",
    "ec2:ModifySpotFleetRequest": "TargetCapacity != `null` && ExcessCapacityTerminationPolicy != 'noTermination'",
    "eks:UpdateNodegroupConfig": "scalingConfig.desiredSize != `null` || scalingConfig.maxSize != `null`",
    "elasticache:StartMigration": "ClearTargetCacheData",
    "iotsitewise:CreateBulkImportJob": "deleteFilesAfterImport",
    "kinesisvideo:UpdateDataRetention": "Operation != 'INCREASE_DATA_RETENTION'",
    "timestream-influxdb:RestoreFromDbBackup": "restoreMode == 'REPLACE_EXISTING'",
}
# How long something is kept: nothing tells the former time, so a new one may be a shorter one, and what is older goes.
_KEPT_FOR: Final = re.compile(r"(?<!enableBackup)(?<!isBackup)(?<!Governance)[rR]etention(?!Locked)|^TtlDuration$")
# What makes or begins something, or keeps it for longer, takes nothing that was there.
_MAKES: Final = re.compile(
    r"(?:Batch)?(?:Allocate|Associate|Convert|Copy|Create|Enable|Export|Generate|Import|Increase|Invoke|Provision|Publish|Register"
    r"|Request|Restore|Run|Send|Start|Submit|Test|Put(?:Record|Event)s?)(?![a-z])"
)
_DEEPEST: Final = 5


def always(service: str, name: str) -> bool:
    """Whether every call of the operation takes something away."""
    return f"{service}:{name}" in _ALWAYS


def loses(service: str, model: OperationModel) -> str:
    """An expression over a call's parameters that says whether it takes something away; empty for none that could."""
    if said := _WITH.get(f"{service}:{model.name}"):
        return said
    if model.input_shape is None or _MAKES.match(model.name):
        return ""
    return " || ".join(_kept_for(model.input_shape, "", ()))


def _kept_for(shape: Shape, path: str, within: tuple[str, ...]) -> Iterator[str]:
    """For each member that says how long something is kept, whether it is given; for one that is switched, whether it is on."""
    members: Any = getattr(shape, "members", {})
    if len(within) > _DEEPEST or shape.name in within:
        return
    for name, inner in members.items():
        here = f"{path}.{name}" if path else name
        if _KEPT_FOR.search(name):
            given = f"({here})[0]" if "[]" in here else here
            yield given if inner.type_name == "boolean" else f"{given} != `null`"
        else:
            element: Any = getattr(inner, "member", None)
            yield from _kept_for(element or inner, f"{here}[]" if element is not None else here, (*within, shape.name))
