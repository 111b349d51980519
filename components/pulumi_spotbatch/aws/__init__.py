"""Components that run interruptible batch work on AWS."""

from .queue_access import QueueAccess
from .task_queue import SqsTaskQueue
from .template import Template

__all__ = ["QueueAccess", "SqsTaskQueue", "Template"]
