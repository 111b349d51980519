"""How jobs are told where their pods run."""

from collections.abc import Sequence
from typing import TypedDict

import pulumi


class Placement(TypedDict):
    """What a job needs of a node pool: pass `SpotNodePool.placement`."""

    cluster_name: pulumi.Input[str]
    """EKS cluster."""
    pool_names: Sequence[pulumi.Input[str]]
    """Node pools on whose nodes the pods may run."""
    taint_key: str
    """Key of the pools' taint, which the pods tolerate."""
    grace_seconds: int
    """Seconds after which a node that is drained ends its pods, whatever they do."""
