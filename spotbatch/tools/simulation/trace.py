"""Recorded interruptions, as pools that a run can start in."""

from dataclasses import dataclass, replace

import numpy as np

from spotbatch.tools.simulation.pool import Pool


@dataclass(frozen=True, eq=False)
class Trace:
    """One or more trace files, their pools side by side, each file from its own beginning."""

    name: str
    pools: tuple[Pool, ...]
    span_s: float | None
    """Seconds that every pool covers. None: lifetimes only, which have no calendar."""
    kinds: tuple[str, ...]
    """Of its files: availability, instance_log, fleet_events, fleet_count, lifetimes."""

    @property
    def cloud(self) -> str:
        """aws, gcp, or both joined by `+`, from the pools' names."""
        return "+".join(sorted({pool.name.split("/")[0] for pool in self.pools}))

    def starts(self, count: int, run_s: float, random: np.random.Generator) -> list[float]:
        """One moment drawn in each of `count` equal parts of the trace; where it has room, none that a run of `run_s` seconds would leave."""
        if self.span_s is None:
            return [0.0] * count
        room = self.span_s - run_s if self.span_s >= 2 * run_s else self.span_s
        return [float(room * (part + random.random()) / count) for part in range(count)]

    def pools_for(self, start_s: float, horizon_s: float, random: np.random.Generator) -> tuple[Pool, ...]:
        """The pools of one run: repeated until they cover it, recorded lifetimes in an order of its own."""
        return tuple(_covering(pool, self.span_s, start_s + horizon_s, random) for pool in self.pools)


def _covering(pool: Pool, span_s: float | None, until_s: float, random: np.random.Generator) -> Pool:
    if pool.lifetimes_s is not None:
        return replace(pool, lifetimes_s=random.permutation(pool.lifetimes_s))
    rounds = int(np.ceil((until_s + 1) / (span_s or until_s)))
    if rounds <= 1:
        return pool
    shift = np.repeat(np.arange(rounds) * (span_s or 0.0), len(pool.capacity))
    return replace(
        pool,
        start_s=np.tile(pool.start_s, rounds) + shift,
        end_s=np.tile(pool.end_s, rounds) + shift,
        capacity=np.tile(pool.capacity, rounds),
    )
