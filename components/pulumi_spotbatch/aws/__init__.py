"""Components that run interruptible batch work on AWS."""

from .auto_scaling_group import SpotAutoScalingGroup
from .drill import InterruptionDrill
from .fleet import SpotFleet
from .launch_template import SpotLaunchTemplate
from .network import Network
from .queue_access import QueueAccess
from .task_queue import SqsTaskQueue
from .template import Template

__all__ = [
    "InterruptionDrill",
    "Network",
    "QueueAccess",
    "SpotAutoScalingGroup",
    "SpotFleet",
    "SpotLaunchTemplate",
    "SqsTaskQueue",
    "Template",
]
