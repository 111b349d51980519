"""What goes wrong in a simulated run besides the interruptions of its trace."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Faults:
    """Shares are of all chances, 0 to 1. Default: nothing goes wrong."""

    notice_lost: float = 0.0
    """Share of the notices that reach neither the machine nor the handler."""
    notice_late_s: float = 0.0
    """Notices come up to so many seconds late, evenly spread."""
    upload_fails: float = 0.0
    """Share of the uploads of a checkpoint that end in an error after the time they took."""
    delivered_twice: float = 0.0
    """Share of the messages (bells, events) that come a second time."""
    bulk_drop_at_s: float | None = None
    """So many seconds after the start half of the machines end at once, without notice."""
    dies_booting: float = 0.0
    """Share of the granted launches that end before the boot does."""
    clock_skew_s: float = 0.0
    """Machines' own clocks are off by up to so many seconds either way."""
