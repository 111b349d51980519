"""Which pool to ask for the next machine: a pure function of what has been seen of each."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

INTERRUPTED_HOURS, REFUSED_HOURS = 6.0, 2.0
"""How fast an interruption and a refusal lose their weight: recorded outages of a zone last 0.5 to 4 h on average."""
NEIGHBOUR = 0.4
"""Weight of what happened in the same region's other zones: recorded availabilities there correlate with 0.29 to 0.56."""


@dataclass(frozen=True)
class PoolSeen:
    """What a fleet knows of one pool by its own launches. Hours all."""

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


def away_from_trouble(pools: Sequence[PoolSeen]) -> int | None:
    """The pool with the lowest price, raised by recent interruptions and refusals there and in its region, and by what is held there already.

    The index; None when every pool has just refused. It never asks to leave a healthy machine: survivors last.
    """
    best: tuple[float, int] | None = None
    trouble = [math.exp(-pool.interrupted_hours_ago / INTERRUPTED_HOURS) + math.exp(-pool.refused_hours_ago / REFUSED_HOURS) for pool in pools]
    for index, pool in enumerate(pools):
        if pool.just_refused:
            continue
        near = [trouble[other] for other, seen in enumerate(pools) if other != index and seen.region == pool.region]
        around = NEIGHBOUR * sum(near) / len(near) if near else 0.0
        weight = pool.price_ratio * (1 + trouble[index] + around + pool.held)
        if best is None or (weight, index) < best:
            best = (weight, index)
    return None if best is None else best[1]
