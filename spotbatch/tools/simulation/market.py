"""Which launches a recorded trace grants, and when it takes each machine back."""

import math
import random
from dataclasses import dataclass

from spotbatch.tools.simulation.setting import Setting


@dataclass(eq=False)
class Grant:
    """A Spot machine that a pool gave."""

    pool: int
    """Index in `Setting.pools`."""
    granted_s: float
    at_most_s: float
    """When it ends by itself: lifetime, age limit, death while booting."""
    ends_s: float
    """When the cloud takes it: nobody but the market knows before the notice. Later where an older machine of its pool goes first."""


class Market:
    """The pools of one setting. Where a pool gives fewer machines than are held there, the youngest end."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._grants: list[list[Grant]] = [[] for _ in setting.pools]
        self._launches = [0] * len(setting.pools)

    @property
    def held(self) -> list[int]:
        """Machines in each pool."""
        return [len(grants) for grants in self._grants]

    def launch(self, pool: int, moment: float) -> Grant | None:
        """A machine, or None where the pool has none to give at that moment."""
        setting, source, grants = self._setting, self._setting.pools[pool], self._grants[pool]
        if source.capacity_at(moment) <= len(grants):
            return None
        number = self._launches[pool]
        self._launches[pool] += 1
        at_most = math.inf
        if source.lifetimes_s is not None:
            at_most = min(at_most, moment + float(source.lifetimes_s[number % len(source.lifetimes_s)]))
        if setting.legacy_limit_s is not None:
            at_most = min(at_most, moment + setting.legacy_limit_s)
        chance = random.Random(f"{setting.seed} {source.name} {number}")
        if chance.random() < setting.faults.dies_booting:
            at_most = min(at_most, moment + setting.boot_s * chance.random())
        grant = Grant(pool, moment, at_most, min(at_most, source.falls_below(len(grants) + 1, moment)))
        grants.append(grant)
        return grant

    def release(self, grant: Grant, moment: float) -> list[Grant]:
        """The machine is gone. Those that end later for it: an end that has been announced stands."""
        source, grants = self._setting.pools[grant.pool], self._grants[grant.pool]
        grants.remove(grant)
        moved = []
        for rank, other in enumerate(grants, 1):
            ends = min(other.at_most_s, source.falls_below(rank, moment))
            if ends > other.ends_s > moment + self._setting.notice_s:
                other.ends_s = ends
                moved.append(other)
        return moved
