"""Components that run interruptible batch work on AWS."""

from .queue_access import QueueAccess
from .template import Template

__all__ = ["QueueAccess", "Template"]
