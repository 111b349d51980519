"""Components that run interruptible batch work on AWS."""

from .auto_scaling_group import SpotAutoScalingGroup
from .drill import InterruptionDrill
from .fleet import SpotFleet
from .interruption_handler import InterruptionHandler
from .launch_template import SpotLaunchTemplate
from .network import Network
from .queue_access import QueueAccess
from .task_queue import SqsTaskQueue
from .template import Template

__all__ = [
    "InterruptionDrill",
    "InterruptionHandler",
    "Network",
    "QueueAccess",
    "SpotAutoScalingGroup",
    "SpotFleet",
    "SpotLaunchTemplate",
    "SqsTaskQueue",
    "Template",
]
