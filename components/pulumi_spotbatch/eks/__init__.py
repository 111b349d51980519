"""Components that run interruptible batch work on EKS."""

from spotbatch.tools.convert_provisioner import convert_provisioner

from .instances import Instances
from .job import SpotJob
from .karpenter import Karpenter
from .karpenter_access import KarpenterAccess
from .node_pool import SpotNodePool
from .placement import Placement

__all__ = ["Instances", "Karpenter", "KarpenterAccess", "Placement", "SpotJob", "SpotNodePool", "convert_provisioner"]
