"""What a placement rule may see and ask for during one run."""

import numpy as np

from spotbatch.tools.simulation.pool import Pool
from spotbatch.tools.simulation.setting import Setting

PRIOR_UP_HOURS = 2.0
"""A pool of which nothing was seen yet counts as having been up so long for one interruption."""


class View:
    """The pools of a setting as one run knows them: what it holds, what it has seen of each."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.now = setting.start_s
        """In the trace's seconds."""
        self.random = np.random.default_rng(setting.seed)
        """For pauses with jitter."""
        count = len(setting.pools)
        self.held = [0] * count
        self._launched, self._lost, self._up_s = [0] * count, [0] * count, [0.0] * count
        self.last_lost: dict[int, int] = {}
        """By place: the pool that last took its machine back."""
        self.set_aside: set[int] = set()
        """Pools that SpotHedge counts as preempted."""
        order = [self.home(place) for place in range(count)]
        self.by_price = sorted(order, key=lambda pool: setting.ratio(setting.pools[pool]))
        """Cheapest first; equal prices in an order that begins at another pool for each start."""

    def pool(self, index: int) -> Pool:
        return self.setting.pools[index]

    def home(self, place: int) -> int:
        """The pool of a rule that knows one only: another one for each start and each place."""
        return (self.setting.seed + place) % len(self.setting.pools)

    def gives(self, index: int) -> bool:
        return self.pool(index).capacity_at(self.now) > self.held[index]

    def end_of_next(self, index: int) -> float:
        """When a machine launched here now would end by itself, in the trace's seconds."""
        pool = self.pool(index)
        ends = [pool.falls_below(self.held[index] + 1, self.now)]
        if pool.lifetimes_s is not None:
            ends.append(self.now + float(pool.lifetimes_s[self._launched[index] % len(pool.lifetimes_s)]))
        if self.setting.legacy_limit_s is not None:
            ends.append(self.now + self.setting.legacy_limit_s)
        return min(ends)

    def next_edge(self) -> float:
        """When the next pool changes what it gives."""
        return min(float(pool.end_s[pool.index(self.now)]) for pool in self.setting.pools)

    def mean_up_hours(self, index: int) -> float:
        """(hours up seen + 2) / (interruptions seen + 1)"""
        return (self._up_s[index] / 3600 + PRIOR_UP_HOURS) / (self._lost[index] + 1)

    def grant(self, index: int) -> None:
        self.held[index] += 1
        self._launched[index] += 1

    def give_up(self, index: int, place: int, lived_s: float, taken: bool) -> None:
        """A machine of the run is gone."""
        self.held[index] -= 1
        self._up_s[index] += lived_s
        if taken:
            self._lost[index] += 1
            self.last_lost[place] = index
