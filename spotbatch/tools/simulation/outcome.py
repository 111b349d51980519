"""What one simulated run came to."""

from dataclasses import dataclass
from typing import Literal

EventKind = Literal["boot", "work", "restore", "checkpoint", "drain", "wait", "interruption", "end"]


@dataclass(frozen=True)
class Event:
    """For the picture: what a machine did from one moment to another, in seconds after the start. Moments have `begin == end`."""

    machine: str
    """Its id, unique within the run."""
    pool: str
    """Name of the pool; `on-demand` for an on-demand machine."""
    kind: EventKind
    begin_s: float
    end_s: float


@dataclass(frozen=True)
class Outcome:
    """Every figure that the table needs, of one policy and one start. An unfinished run counts as it stands at the horizon."""

    makespan_s: float
    """From the start to the end of the last item; the horizon where the run is unfinished."""
    ideal_s: float
    """The same work on the same number of on-demand machines that are never interrupted, one boot included."""
    useful_s: float
    """Machine seconds of work that counted: each item once."""
    spot_hours: float
    """Paid machine hours on Spot, from the granted launch on, without the free ones."""
    spot_cost: float
    """What these cost, in hours of the on-demand price: hours times the pool's price ratio."""
    on_demand_hours: float
    free_hours: float = 0.0
    """Spot hours that the first-hour rule makes free."""
    boot_s: float = 0.0
    restore_s: float = 0.0
    checkpoint_s: float = 0.0
    lost_s: float = 0.0
    """Work that was not saved when its machine ended, or was cut short."""
    waiting_s: float = 0.0
    """Seconds of wall clock times wanted machines in which fewer machines ran or booted than were wanted while work was left."""
    drain_s: float = 0.0
    """Paid seconds between having given everything back and the machine's end, and of machines that had nothing to do."""
    interruptions: int = 0
    """Machines that the cloud took while the run was not finished."""
    items_lost: int = 0
    """Items without a result at the end of a finished run. Must be 0."""
    items_twice: int = 0
    """Items of which any part was done more than once."""
    twice_s: float = 0.0
    """Seconds of work done again."""
    deadline_missed: bool = False
    finished: bool = True
    events: tuple[Event, ...] = ()
    """Empty unless the run was asked to keep them."""
