"""How EC2 takes a machine, and what may go wrong with the warning."""

from dataclasses import dataclass

ACTIONS = ("terminate", "stop", "hibernate")


@dataclass(frozen=True)
class Interruption:
    """How one interruption goes; the defaults are what EC2 promises."""

    notice_seconds: float = 120.0
    """From notice to the end. Fewer: the notice came late."""
    action: str = "terminate"
    """hibernate starts at once, without the two minutes."""
    event: bool = True
    """False: EventBridge is not told, as happens; the state change at the end is still told."""
    event_delay_seconds: float = 0.0
    """The event arrives so much later than it says, even after the machine's end."""
    metadata: bool = True
    """False: the machine's metadata service says nothing."""
    reason: str = "instance-terminated-no-capacity"
    """Status code of the Spot request afterwards."""
