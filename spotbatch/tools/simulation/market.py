"""Which launches a recorded trace grants, and when it takes each machine back."""

import random
from dataclasses import dataclass

from spotbatch.tools.simulation.setting import Setting


@dataclass(frozen=True)
class Grant:
    """A Spot machine that a pool gave."""

    pool: int
    """Index in `Setting.pools`."""
    slot: int
    """Which of the pool's machines it is, from 1: it ends when the capacity falls below that."""
    granted_s: float
    ends_s: float
    """When the cloud takes it: nobody but the market knows before the notice."""


class Market:
    """The pools of one setting. Machines of one pool are alike: which of them an edge takes is chance, the same for equal launches."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._held: list[set[int]] = [set() for _ in setting.pools]
        self._launches = [0] * len(setting.pools)

    def launch(self, pool: int, moment: float) -> Grant | None:
        """A machine, or None where the pool has none to give at that moment."""
        setting, source = self._setting, self._setting.pools[pool]
        free = sorted(set(range(1, source.capacity_at(moment) + 1)) - self._held[pool])
        if not free:
            return None
        number = self._launches[pool]
        self._launches[pool] += 1
        chance = random.Random(f"{setting.seed} {source.name} {number}")
        slot = chance.choice(free)
        ends = source.falls_below(slot, moment)
        if source.lifetimes_s is not None:
            ends = min(ends, moment + float(source.lifetimes_s[number % len(source.lifetimes_s)]))
        if setting.legacy_limit_s is not None:
            ends = min(ends, moment + setting.legacy_limit_s)
        if chance.random() < setting.faults.dies_booting:
            ends = min(ends, moment + setting.boot_s * chance.random())
        self._held[pool].add(slot)
        return Grant(pool, slot, moment, ends)

    def release(self, grant: Grant) -> None:
        """The machine is gone."""
        self._held[grant.pool].discard(grant.slot)
