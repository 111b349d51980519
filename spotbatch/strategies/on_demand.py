"""When to pay for an on-demand machine: a pure function of the work left, the time left and what Spot machines have lived so far.

Slack is what the deadline leaves over the work. Waiting for Spot capacity uses it up second for second; an interruption uses up only one
changeover, and buys hours at the Spot price. So enough slack is kept for the interruptions to come, and only the rest is waited away.
"""

from dataclasses import dataclass
from typing import Literal

YOUNG_LIFE_SECONDS = 3 * 3600.0
"""What a Spot machine is thought to live before any has been seen: the same as `spacing.YOUNG_LIFE_SECONDS`, and of the same source."""

Choice = Literal["wait", "bridge", "stay"]
"""wait: no on-demand machine. bridge: one, until a Spot machine has booted. stay: one, to the end."""


@dataclass(frozen=True)
class Pace:
    """Where a job stands. Seconds all."""

    left: float
    """Work that is not done, and what saving it takes."""
    until_deadline: float | None
    """None: there is no deadline."""
    changeover: float
    """From asking for a machine until it works: boot, restore, and the save before it."""
    spot_seconds: float
    """What this job's Spot machines have lived so far, together,"""
    interruptions: int
    """and how often one was taken."""
    look: float
    """How long it may be until this is asked again."""
    at_risk: float = 0.0
    """Work that is done, and lost if the machine that did it ends now: 0 where notices come and leave time for a save."""


def keep_for_interruptions(pace: Pace) -> Choice:
    """Asked again and again, while a Spot machine works too: then only `stay` means anything.

    `stay` once two changeovers more would miss the deadline; `bridge` while the slack is what interruptions to come may use up, and where there is
    no deadline; else `wait`.
    """
    if pace.until_deadline is None:
        return "bridge"
    slack = pace.until_deadline - pace.left - pace.at_risk - pace.look
    if slack < 2 * pace.changeover:
        return "stay"
    life = (pace.spot_seconds + YOUNG_LIFE_SECONDS) / (pace.interruptions + 1)
    return "bridge" if slack < (3 + pace.left / life) * pace.changeover else "wait"
