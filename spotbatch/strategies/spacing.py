"""How far apart a worker's checkpoints are: pure functions of what the worker sees, named in `BatchWorker.spacing`."""

import math
from dataclasses import dataclass

CLOSEST_SECONDS = 2.0
"""Checkpoints are never closer than this,"""
CLOSEST_SAVES = 20
"""nor than so many times what the last save took: saving costs at most a twentieth."""

YOUNG_LIFE_SECONDS = 3 * 3600.0
"""What a machine that has just started may expect to live: nine AWS zones of 2023, V100, had a mean of 3.1 h."""
CHEAPEST_SAVE_SECONDS = 1.0
"""A save never counts as cheaper: it stops the work, and each write of the ledger is billed."""
WARNED_BEFORE, UNWARNED_BEFORE = 2.0, 0.02
"""What a worker believes before it has seen an interruption of its task: one in a hundred comes without its notice. The first such one teaches it."""
NOTICE_SLACK_SECONDS = 10.0
"""Of a notice, what hearing of it and the end of a step may take."""


@dataclass(frozen=True)
class Observed:
    """What a worker knows when it plans its next checkpoint. Seconds all."""

    save_seconds: float = 0.0
    """What the last save took; before the first one, what restoring took. 0: not known yet."""
    age: float = 0.0
    """How long ago the machine booted."""
    notice_seconds: float = 0.0
    """How long before its end the machine is told. 0: never, or its metadata cannot be read just now. Infinite: nobody takes it."""
    warned: int = 0
    """How often this task was given back in time, after a notice,"""
    unwarned: int = 0
    """and how often it was taken back instead: without a notice, or with one that came too late."""
    item_seconds: float = 0.0
    """What must end after a notice before there is something to save: the longest item so far of a job with a state. 0: nothing."""


def steady(seen: Observed) -> float:
    """Never closer than 2 s, nor than 20 times what the last save took."""
    return max(CLOSEST_SECONDS, CLOSEST_SAVES * seen.save_seconds)


def by_age_and_cost(seen: Observed) -> float:
    """Young's interval, sqrt(2 x save x expected life), for the machine's age and for the interruptions that a notice does not cover.

    A machine that has lived for an hour may expect an hour more than a new one (survivors last: the recorded lifetimes have Weibull shapes of
    0.60 to 0.67), so saves grow rare with age. Where the notice is long enough for an item's end and a save, only interruptions that come without one
    count.
    """
    save = max(CHEAPEST_SAVE_SECONDS, seen.save_seconds)
    life = YOUNG_LIFE_SECONDS + max(0.0, seen.age)
    if seen.item_seconds + save <= seen.notice_seconds - NOTICE_SLACK_SECONDS:
        unwarned = seen.unwarned + UNWARNED_BEFORE
        life *= (seen.warned + WARNED_BEFORE + unwarned) / unwarned
    return max(CLOSEST_SECONDS, math.sqrt(2 * save * life))
