"""How node pools are told which Karpenter they belong to."""

from typing import TypedDict

import pulumi


class KarpenterAccess(TypedDict):
    """What a node pool needs of Karpenter: pass `Karpenter.access`, or fill it in for a Karpenter that is there already."""

    cluster_name: pulumi.Input[str]
    """EKS cluster."""
    node_role_name: pulumi.Input[str]
    """Name (not ARN) of the role of Karpenter's nodes."""
    interruption_queue: pulumi.Input[str]
    """Name of the queue in Karpenter's `settings.interruptionQueue`. Without one Karpenter never hears of an interruption, so pools are refused."""
