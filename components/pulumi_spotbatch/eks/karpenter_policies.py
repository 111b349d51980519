"""What Karpenter's controller may do: the statements that Karpenter v1.14.1 publishes, no more and no less, in the six policies it splits them into.

One document would pass IAM's 6,144 characters at a cluster name of 8 to 17 characters, by region.
https://karpenter.sh/v1.14/reference/cloudformation/
"""

import json
from collections.abc import Mapping
from typing import Any

_LAUNCH = ["ec2:RunInstances", "ec2:CreateFleet"]
_LAUNCHED = ["fleet", "instance", "volume", "network-interface", "launch-template", "spot-instances-request"]
_READS = [
    "CapacityReservations",
    "Images",
    "Instances",
    "InstanceStatus",
    "InstanceTypeOfferings",
    "InstanceTypes",
    "LaunchTemplates",
    "PlacementGroups",
    "SecurityGroups",
    "SpotPriceHistory",
    "Subnets",
]


def policies(cluster_arn: str, node_role_arn: str, queue_arn: str) -> Mapping[str, str]:
    """The six documents (JSON) by role. Partition, region, account and cluster are read from the cluster's ARN."""
    _, partition, _, region, account, cluster = cluster_arn.split(":")
    name = cluster.removeprefix("cluster/")
    statements = {
        "node-lifecycle": _node_lifecycle(f"arn:{partition}:ec2:{region}", name),
        "iam-integration": _iam_integration(f"arn:{partition}:iam::{account}:instance-profile/*", node_role_arn, name, region),
        "eks-integration": [_allow("AllowAPIServerEndpointDiscovery", "eks:DescribeCluster", cluster_arn)],
        "interruption": [
            _allow("AllowInterruptionQueueActions", ["sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"], queue_arn),
        ],
        "zonal-shift": [
            _allow(
                "AllowZonalShiftStatusReadOnly",
                "arc-zonal-shift:GetManagedResource",
                "*",
                # As a resource the cluster's ARN would allow nothing.
                {"StringEquals": {"arc-zonal-shift:ResourceIdentifier": cluster_arn}},
            ),
        ],
        "resource-discovery": [
            _allow(
                "AllowRegionalReadActions",
                [f"ec2:Describe{what}" for what in _READS],
                "*",
                {"StringEquals": {"aws:RequestedRegion": region}},
            ),
            _allow("AllowSSMReadActions", "ssm:GetParameter", f"arn:{partition}:ssm:{region}::parameter/aws/service/*"),
            _allow("AllowPricingReadActions", "pricing:GetProducts", "*"),
            _allow("AllowUnscopedInstanceProfileListAction", "iam:ListInstanceProfiles", "*"),
            _allow("AllowInstanceProfileReadActions", "iam:GetInstanceProfile", f"arn:{partition}:iam::{account}:instance-profile/*"),
        ],
    }
    return {
        role: json.dumps({"Version": "2012-10-17", "Statement": several}, separators=(",", ":"), sort_keys=True)
        for role, several in statements.items()
    }


def _node_lifecycle(ec2: str, cluster: str) -> list[dict[str, Any]]:
    launched = [f"{ec2}:*:{kind}/*" for kind in _LAUNCHED]
    ours = {
        "StringEquals": {f"aws:ResourceTag/kubernetes.io/cluster/{cluster}": "owned"},
        "StringLike": {"aws:ResourceTag/karpenter.sh/nodepool": "*"},
    }
    asked = {f"aws:RequestTag/kubernetes.io/cluster/{cluster}": "owned", "aws:RequestTag/eks:eks-cluster-name": cluster}
    pool = {"StringLike": {"aws:RequestTag/karpenter.sh/nodepool": "*"}}
    return [
        _allow(
            "AllowScopedEC2InstanceAccessActions",
            _LAUNCH,
            [
                *(f"{ec2}::{kind}/*" for kind in ("image", "snapshot")),
                *(f"{ec2}:*:{kind}/*" for kind in ("security-group", "subnet", "capacity-reservation", "placement-group")),
            ],
        ),
        _allow("AllowScopedEC2LaunchTemplateAccessActions", _LAUNCH, f"{ec2}:*:launch-template/*", ours),
        _allow("AllowScopedEC2InstanceActionsWithTags", [*_LAUNCH, "ec2:CreateLaunchTemplate"], launched, {"StringEquals": asked, **pool}),
        _allow(
            "AllowScopedResourceCreationTagging",
            "ec2:CreateTags",
            launched,
            {"StringEquals": {**asked, "ec2:CreateAction": ["RunInstances", "CreateFleet", "CreateLaunchTemplate"]}, **pool},
        ),
        _allow(
            "AllowScopedResourceTagging",
            "ec2:CreateTags",
            f"{ec2}:*:instance/*",
            {
                **ours,
                "StringEqualsIfExists": {"aws:RequestTag/eks:eks-cluster-name": cluster},
                "ForAllValues:StringEquals": {"aws:TagKeys": ["eks:eks-cluster-name", "karpenter.sh/nodeclaim", "Name"]},
            },
        ),
        _allow(
            "AllowScopedDeletion",
            ["ec2:TerminateInstances", "ec2:DeleteLaunchTemplate"],
            [f"{ec2}:*:instance/*", f"{ec2}:*:launch-template/*"],
            ours,
        ),
    ]


def _iam_integration(profiles: str, node_role_arn: str, cluster: str, region: str) -> list[dict[str, Any]]:
    asked = {
        f"aws:RequestTag/kubernetes.io/cluster/{cluster}": "owned",
        "aws:RequestTag/eks:eks-cluster-name": cluster,
        "aws:RequestTag/topology.kubernetes.io/region": region,
    }
    ours = {f"aws:ResourceTag/kubernetes.io/cluster/{cluster}": "owned", "aws:ResourceTag/topology.kubernetes.io/region": region}
    asked_class, our_class = {"aws:RequestTag/karpenter.k8s.aws/ec2nodeclass": "*"}, {"aws:ResourceTag/karpenter.k8s.aws/ec2nodeclass": "*"}
    return [
        _allow(
            "AllowPassingInstanceRole",
            "iam:PassRole",
            node_role_arn,
            {"StringEquals": {"iam:PassedToService": ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"]}},
        ),
        _allow(
            "AllowScopedInstanceProfileCreationActions", "iam:CreateInstanceProfile", profiles, {"StringEquals": asked, "StringLike": asked_class}
        ),
        _allow(
            "AllowScopedInstanceProfileTagActions",
            "iam:TagInstanceProfile",
            profiles,
            {"StringEquals": {**ours, **asked}, "StringLike": {**our_class, **asked_class}},
        ),
        _allow(
            "AllowScopedInstanceProfileActions",
            ["iam:AddRoleToInstanceProfile", "iam:RemoveRoleFromInstanceProfile", "iam:DeleteInstanceProfile"],
            profiles,
            {"StringEquals": ours, "StringLike": our_class},
        ),
    ]


def _allow(sid: str, actions: str | list[str], resources: str | list[str], conditions: Mapping[str, Any] | None = None) -> dict[str, Any]:
    statement: dict[str, Any] = {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}
    return {**statement, "Condition": conditions} if conditions else statement
