"""What one simulated run starts from: the same for every policy, so that their outcomes can be compared in pairs."""

import heapq
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from spotbatch.tools.simulation.faults import Faults
from spotbatch.tools.simulation.pool import Pool


@dataclass(frozen=True, eq=False)
class Workload:
    """What is to be done."""

    name: str
    items_s: NDArray[np.float64]
    """Seconds of work in each item, in order."""
    state_write_s: float = 0.0
    """What saving the job's state takes. The machine does nothing else meanwhile."""
    restore_s: float = 0.0
    """What loading it takes, paid at every resumption."""
    resumable: bool = True
    """True: progress can be saved in the middle of an item. False: an item that is cut short starts again from nothing."""
    deadline_s: float | None = None
    """Seconds after the start by which everything must be done. None: no deadline."""

    @property
    def work_s(self) -> float:
        return float(self.items_s.sum())


@dataclass(frozen=True, eq=False)
class Setting:
    """One start of one workload on one trace. All times are seconds; moments are the trace's own seconds."""

    trace: str
    pools: tuple[Pool, ...]
    start_s: float
    """The moment at which the run begins. What was before it is known only to policies with a capacity signal."""
    horizon_s: float
    """Seconds after the start at which an unfinished run is counted as it stands."""
    workload: Workload
    machines: int = 1
    """Machines wanted at a time, one worker process each."""
    boot_s: float = 300.0
    """From a launch that was granted to the first item (or the restore before it): paid, no progress."""
    notice_s: float = 120.0
    """So long before a machine ends it is told. 0: never told."""
    launch_failure_s: float = 30.0
    """What a launch that is refused takes."""
    retry_s: float = 300.0
    """Pause after every pool has refused."""
    price_ratio: float = 0.30
    """Spot price over on-demand price where a pool has none of its own."""
    first_hour_free: bool = False
    """True: the cloud does not bill a Spot machine that it takes back itself within the first hour (AWS)."""
    on_demand: bool = False
    """True: on-demand machines may be bought when Spot ones cannot be had, or the deadline demands it."""
    legacy_limit_s: float | None = None
    """A machine ends at this age whatever happens (GCP preemptible: 24 h). None: no such limit."""
    seed: int = 0
    """Every random choice comes from it, the same for all policies."""
    faults: Faults = field(default_factory=Faults)
    keep_events: bool = False
    """True: the outcome carries what each machine did, for the picture."""

    def ideal_s(self) -> float:
        """Makespan on as many on-demand machines that are never interrupted: one boot, then items in order, each to whoever is free first."""
        free = [0.0] * self.machines
        for seconds in self.workload.items_s.tolist():
            heapq.heapreplace(free, free[0] + seconds)
        return self.boot_s + max(free)

    def ratio(self, pool: Pool) -> float:
        return self.price_ratio if pool.price_ratio is None else pool.price_ratio
