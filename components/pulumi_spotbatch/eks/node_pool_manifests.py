"""The NodePool and EC2NodeClass of a pool for batch work, from plain arguments."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from .instances import Instances, requirements

GRACE_SECONDS = 120
"""As long as AWS's warning: a pod that ignores its signal, or is protected from it, is ended when the machine goes anyway."""

EMPTY_SECONDS = 60
"""How long an empty node is kept for the next pod."""

SPOT_WEIGHT, ON_DEMAND_WEIGHT = 50, 1
"""Karpenter tries the heavier pool first."""

_WAIT = {"pulumi.com/waitFor": "condition=Ready"}


def node_class(
    name: str,
    role_name: pulumi.Input[str],
    image_alias: pulumi.Input[str],
    subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]],
    security_group_ids: pulumi.Input[Sequence[pulumi.Input[str]]],
    root_gib: int,
    tags: Mapping[str, pulumi.Input[str]],
) -> dict[str, Any]:
    """What a machine is: image, network, disk, metadata only with tokens and not for pods."""
    return {
        "apiVersion": "karpenter.k8s.aws/v1",
        "kind": "EC2NodeClass",
        "metadata": {"name": name, "annotations": _WAIT},
        "spec": {
            "role": role_name,
            "amiSelectorTerms": [{"alias": image_alias}],
            "subnetSelectorTerms": _terms(subnet_ids),
            "securityGroupSelectorTerms": _terms(security_group_ids),
            # One hop: a pod gets no token, so neither the node's keys nor its notices; Pod Identity and SIGTERM serve it instead.
            "metadataOptions": {"httpEndpoint": "enabled", "httpProtocolIPv6": "disabled", "httpPutResponseHopLimit": 1, "httpTokens": "required"},
            "blockDeviceMappings": [
                {
                    "deviceName": "/dev/xvda",
                    "rootVolume": True,
                    "ebs": {"volumeSize": f"{root_gib}Gi", "volumeType": "gp3", "encrypted": True, "deleteOnTermination": True},
                }
            ],
            "tags": dict(tags),
        },
    }


def node_pool(
    name: str,
    node_class_name: str,
    instances: Instances,
    capacity_types: Sequence[str],
    limits: Mapping[str, str],
    taint_key: str,
    labels: Mapping[str, str],
    weight: int | None = None,
) -> dict[str, Any]:
    """When a machine comes and goes. Only two things take one from a running pod: the cloud, and whoever deletes the pool."""
    return {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": name, "annotations": _WAIT},
        "spec": {
            **({} if weight is None else {"weight": weight}),
            "limits": dict(limits),
            "disruption": {
                "consolidationPolicy": "WhenEmpty",
                "consolidateAfter": f"{EMPTY_SECONDS}s",
                "budgets": [{"nodes": "0", "reasons": ["Drifted", "Underutilized"]}, {"nodes": "100%", "reasons": ["Empty"]}],
            },
            "template": {
                "metadata": {"labels": dict(labels)},
                "spec": {
                    "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": node_class_name},
                    "taints": [{"key": taint_key, "effect": "NoSchedule"}],
                    # Karpenter's own default is 30 days, after which it takes a node whatever runs there.
                    "expireAfter": "Never",
                    "terminationGracePeriod": f"{GRACE_SECONDS}s",
                    "requirements": requirements(instances, capacity_types),
                },
            },
        },
    }


def _terms(ids: pulumi.Input[Sequence[pulumi.Input[str]]]) -> Any:
    if isinstance(ids, Sequence):
        return [{"id": one} for one in ids]
    return pulumi.Output.from_input(ids).apply(lambda known: [{"id": one} for one in known])
