"""The XML of EC2's API of 2014, whose names CloudTrail keeps for the operations of that time."""

from collections.abc import Mapping

from botocore.model import ListShape, StructureShape

# The operations that change something and are as old as that. Reading ones that are recorded like them are below.
_OF_OLD = """
    AcceptVpcPeeringConnection AllocateAddress AssignPrivateIpAddresses AssociateAddress AssociateDhcpOptions
    AssociateRouteTable AttachInternetGateway AttachNetworkInterface AttachVolume AttachVpnGateway
    AuthorizeSecurityGroupEgress AuthorizeSecurityGroupIngress BundleInstance CancelBundleTask CancelConversionTask
    CancelExportTask CancelReservedInstancesListing CancelSpotInstanceRequests ConfirmProductInstance CopyImage CopySnapshot
    CreateCustomerGateway CreateDhcpOptions CreateImage CreateInstanceExportTask CreateInternetGateway CreateKeyPair
    CreateNetworkAcl CreateNetworkAclEntry CreateNetworkInterface CreatePlacementGroup CreateReservedInstancesListing
    CreateRoute CreateRouteTable CreateSecurityGroup CreateSnapshot CreateSpotDatafeedSubscription CreateSubnet CreateTags
    CreateVolume CreateVpc CreateVpcPeeringConnection CreateVpnConnection CreateVpnConnectionRoute CreateVpnGateway
    DeleteCustomerGateway DeleteDhcpOptions DeleteInternetGateway DeleteKeyPair DeleteNetworkAcl DeleteNetworkAclEntry
    DeleteNetworkInterface DeletePlacementGroup DeleteRoute DeleteRouteTable DeleteSecurityGroup DeleteSnapshot
    DeleteSpotDatafeedSubscription DeleteSubnet DeleteTags DeleteVolume DeleteVpc DeleteVpcPeeringConnection
    DeleteVpnConnection DeleteVpnConnectionRoute DeleteVpnGateway DeregisterImage DetachInternetGateway
    DetachNetworkInterface DetachVolume DetachVpnGateway DisableVgwRoutePropagation DisassociateAddress
    DisassociateRouteTable EnableVgwRoutePropagation EnableVolumeIO ImportKeyPair ModifyImageAttribute
    ModifyInstanceAttribute ModifyNetworkInterfaceAttribute ModifySnapshotAttribute ModifySubnetAttribute
    ModifyVolumeAttribute ModifyVpcAttribute MonitorInstances PurchaseReservedInstancesOffering RebootInstances
    RegisterImage RejectVpcPeeringConnection ReleaseAddress ReplaceNetworkAclAssociation ReplaceNetworkAclEntry ReplaceRoute
    ReplaceRouteTableAssociation ReportInstanceStatus RequestSpotInstances ResetImageAttribute ResetInstanceAttribute
    ResetNetworkInterfaceAttribute ResetSnapshotAttribute RevokeSecurityGroupEgress RevokeSecurityGroupIngress RunInstances
    StartInstances StopInstances TerminateInstances UnassignPrivateIpAddresses UnmonitorInstances
    DescribeAvailabilityZones DescribeDhcpOptions DescribeImages DescribeInstanceAttribute DescribeInstanceStatus
    DescribeInstances DescribeInternetGateways DescribeKeyPairs DescribeNetworkAcls DescribeNetworkInterfaces
    DescribeRegions DescribeRouteTables DescribeSecurityGroups DescribeSnapshots DescribeSubnets DescribeTags
    DescribeVolumeStatus DescribeVolumes DescribeVpcs GetConsoleOutput GetPasswordData
"""
OF_OLD = frozenset(_OF_OLD.split())
# Lists, by boto3's name for them: the element around the items, and the element of an item that is a text.
_SETS: Mapping[str, tuple[str, str]] = {
    "InstanceIds": ("instancesSet", "instanceId"),
    "Resources": ("resourcesSet", "resourceId"),
    "Tags": ("tagSet", ""),
    "Filters": ("filterSet", ""),
    "Values": ("valueSet", "value"),
    "TagSpecifications": ("tagSpecificationSet", ""),
    "BlockDeviceMappings": ("blockDeviceMapping", ""),
    "NetworkInterfaces": ("networkInterfaceSet", ""),
    "PrivateIpAddresses": ("privateIpAddressesSet", "privateIpAddress"),
    "SecurityGroupIds": ("groupSet", "groupId"),
    "Groups": ("groupSet", "groupId"),
    "VolumeIds": ("volumeSet", "volumeId"),
    "SnapshotIds": ("snapshotSet", "snapshotId"),
    "ImageIds": ("imagesSet", "imageId"),
    "Owners": ("ownersSet", "owner"),
    "VpcIds": ("vpcSet", "vpcId"),
    "SubnetIds": ("subnetSet", "subnetId"),
    "KeyNames": ("keySet", "keyName"),
    "GroupIds": ("securityGroupIdSet", "groupId"),
    "DhcpConfigurations": ("dhcpConfigurationSet", ""),
}
# Lists that are not called a set.
_PLAIN = frozenset({"IpPermissions", "IpRanges", "Ipv6Ranges", "PrefixListIds", "Add", "Remove"})
_RENAMED: Mapping[tuple[str, str], str] = {
    ("CreateVolume", "AvailabilityZone"): "zone",
    ("CreateNetworkAclEntry", "Protocol"): "aclProtocol",
    ("ReplaceNetworkAclEntry", "Protocol"): "aclProtocol",
    ("CreateSecurityGroup", "Description"): "groupDescription",
    ("AuthorizeSecurityGroupIngress", "UserIdGroupPairs"): "groups",
    ("AuthorizeSecurityGroupEgress", "UserIdGroupPairs"): "groups",
    ("RevokeSecurityGroupIngress", "UserIdGroupPairs"): "groups",
    ("RevokeSecurityGroupEgress", "UserIdGroupPairs"): "groups",
}


def set_of(operation: str, name: str, shape: ListShape) -> str:
    """The element around the items of a list."""
    if (operation, name) in _RENAMED:
        return _RENAMED[operation, name]
    if name in _PLAIN:
        return name[:1].lower() + name[1:]
    if name in _SETS:
        return _SETS[name][0]
    wire = str(shape.serialization.get("name") or name)
    return f"{wire[:1].lower()}{wire[1:]}Set"


def element_of(operation: str, name: str, of_list: ListShape | None = None) -> str:
    """The element of a member, or of one text in a list."""
    if of_list is not None:
        if name in _SETS and _SETS[name][1]:
            return _SETS[name][1]
        name = str(of_list.member.serialization.get("name") or of_list.serialization.get("name") or name)
        return name[:1].lower() + name[1:] if not isinstance(of_list.member, StructureShape) else name
    return _RENAMED.get((operation, name), name[:1].lower() + name[1:])
