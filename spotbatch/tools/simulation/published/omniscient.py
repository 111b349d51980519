"""P5, a bound: the cheapest way through one pool for somebody who knows its whole future."""

import numpy as np
from numpy.typing import NDArray

UNIT = 1_000_000
"""An on-demand tick's price as a whole number."""
COUNT_BITS = 20
"""Below the price, a cost carries how many Spot ticks are in it."""
NEVER = 1 << 62


def cheapest(available: NDArray[np.bool_], work: int, delay: int, spot: float) -> tuple[int, int, int] | None:
    """(ticks until the end, Spot ticks, on-demand ticks) at least cost, or None when the ticks do not suffice.

    Dynamic programme over idle, Spot or on-demand and the ticks run minus `delay` for each start, one step a tick.
    `available` a tick, `work` and `delay` in ticks, `spot` the price ratio; on-demand costs 1.
    """
    spot_tick, own_tick = (round(spot * UNIT) << COUNT_BITS) + 1, UNIT << COUNT_BITS
    size = work + delay + 1
    idle = np.full(size, NEVER, dtype=np.int64)
    idle[delay] = 0
    on_spot, on_demand, fresh = (np.full(size, NEVER, dtype=np.int64) for _ in range(3))
    best, ended = NEVER, 0
    for tick, given in enumerate(available.tolist(), start=1):
        np.minimum(idle, on_spot, out=idle)
        np.minimum(idle, on_demand, out=idle)
        # A tick that begins with a start moves `delay - 1` places back.
        if delay == 0:
            fresh[1:], fresh[0] = idle[:-1], NEVER
        else:
            fresh[: size + 1 - delay] = idle[delay - 1 :]
        on_demand[1:] = np.minimum(on_demand[:-1], fresh[1:]) + own_tick
        on_demand[0] = fresh[0] + own_tick
        if given:
            on_spot[1:] = np.minimum(on_spot[:-1], fresh[1:]) + spot_tick
            on_spot[0] = fresh[0] + spot_tick
        else:
            on_spot[:] = NEVER
        least = min(int(on_spot[-1]), int(on_demand[-1]))
        if least < best:
            best, ended = least, tick
    if best >= NEVER:
        return None
    spot_ticks = best & ((1 << COUNT_BITS) - 1)
    return ended, spot_ticks, ((best >> COUNT_BITS) - spot_ticks * round(spot * UNIT)) // UNIT
