"""The events on which Karpenter empties a node, as data: each becomes a rule that sends it to the interruption queue.

Karpenter takes these five kinds and throws away what it has no use for; the patterns let only that through which it acts on.
https://karpenter.sh/v1.14/concepts/disruption/#interruption
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class KarpenterEvent:
    """One kind of event."""

    name: str
    """Suffix of the rule's name; frozen, as it is part of resource names."""
    pattern: dict[str, Any]
    description: str


def _ec2(kind: str, **detail: Sequence[str]) -> dict[str, Any]:
    pattern: dict[str, Any] = {"source": ["aws.ec2"], "detail-type": [kind]}
    return {**pattern, "detail": detail} if detail else pattern


KARPENTER_EVENTS = (
    KarpenterEvent("spot", _ec2("EC2 Spot Instance Interruption Warning"), "A Spot node is taken back in two minutes"),
    KarpenterEvent(
        "rebalance",
        _ec2("EC2 Instance Rebalance Recommendation"),
        "A Spot node is at raised risk; Karpenter notes it on the node and does nothing else",
    ),
    KarpenterEvent(
        "state",
        _ec2("EC2 Instance State-change Notification", state=["stopping", "stopped", "shutting-down", "terminated"]),
        "A node's machine is stopping or gone; starting ones stay outside, half of all",
    ),
    KarpenterEvent(
        "scheduled",
        {"source": ["aws.health"], "detail-type": ["AWS Health Event"], "detail": {"service": ["EC2"], "eventTypeCategory": ["scheduledChange"]}},
        "Maintenance will stop a node, days ahead",
    ),
    KarpenterEvent(
        "reservation",
        _ec2("EC2 Capacity Reservation Instance Interruption Warning"),
        "A node on an interruptible capacity reservation is taken back",
    ),
)
