"""Which pool to ask for the next machine: a pure function of what has been seen of each."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

INTERRUPTED_HOURS, REFUSED_HOURS = 6.0, 2.0
"""How fast an interruption and a refusal lose their weight: recorded outages of a zone last 0.5 to 4 h on average."""
NEIGHBOUR = 0.4
"""Weight of what happened in the same region's other zones: recorded availabilities there correlate with 0.29 to 0.56."""
YOUNG_HOURS = 3.0
"""A pool that has had capacity for so long counts half as risky as one that has it just now: survivors last (strategies/spacing.py)."""


@dataclass(frozen=True)
class PoolSeen:
    """What a fleet knows of one pool. Hours all."""

    name: str
    region: str
    price_ratio: float
    """Spot price over on-demand price."""
    held: int = 0
    """Machines that it holds there now."""
    refused_hours_ago: float = math.inf
    interrupted_hours_ago: float = math.inf
    just_refused: bool = False
    """It refused the launch that is being tried now."""
    standing_hours: float | None = None
    """For how long a capacity signal has said, without a break, that the pool gives machines. 0: it gives none now. None: there is no signal."""


def away_from_trouble(pools: Sequence[PoolSeen]) -> int | None:
    """The pool with the lowest price, raised by recent interruptions and refusals there and in its region, by what is held there already, and,
    where there is a capacity signal, by how young its capacity is.

    The index; None when every pool has just refused. It never asks to leave a healthy machine.
    """
    best: tuple[bool, float, int] | None = None
    trouble = [math.exp(-pool.interrupted_hours_ago / INTERRUPTED_HOURS) + math.exp(-pool.refused_hours_ago / REFUSED_HOURS) for pool in pools]
    for index, pool in enumerate(pools):
        if pool.just_refused:
            continue
        near = [trouble[other] for other, seen in enumerate(pools) if other != index and seen.region == pool.region]
        around = NEIGHBOUR * sum(near) / len(near) if near else 0.0
        young = 0.0 if pool.standing_hours is None else YOUNG_HOURS / (YOUNG_HOURS + pool.standing_hours)
        rank = (pool.standing_hours == 0, pool.price_ratio * (1 + trouble[index] + around + young + pool.held), index)
        if best is None or rank < best:
            best = rank
    return None if best is None else best[2]
