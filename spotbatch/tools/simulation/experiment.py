"""The same starts, with the same random numbers, for every policy, on both cores."""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace

import numpy as np

from spotbatch.tools.simulation.outcome import Outcome
from spotbatch.tools.simulation.plan import Plan
from spotbatch.tools.simulation.policies import ALL
from spotbatch.tools.simulation.setting import Setting
from spotbatch.tools.simulation.trace import Trace

AT_ONCE = 5
"""Starts of one policy that a process runs before it reports."""
PROCESSES = 2


@dataclass(frozen=True, eq=False)
class Experiment:
    """What every start and every policy shares."""

    trace: Trace
    plan: Plan
    starts: int = 60
    seed: int = 0
    notice_s: float = 120.0
    price_ratio: float = 0.30
    first_hour_free: bool = False

    def settings(self) -> list[Setting]:
        """One for each start, the same for each policy."""
        moments = self.trace.starts(self.starts, self.plan.run_s, np.random.default_rng([self.seed, 0]))
        return [self._setting(number, moment) for number, moment in enumerate(moments)]

    def _setting(self, number: int, moment: float) -> Setting:
        pools = self.trace.pools_for(moment, self.plan.horizon_s, np.random.default_rng([self.seed, 1, number]))
        seed = self.seed + number
        return Setting(
            trace=self.trace.name,
            pools=(pools[seed % len(pools)],) if self.plan.one_pool else pools,
            start_s=moment,
            horizon_s=self.plan.horizon_s,
            workload=self.plan.workload,
            machines=self.plan.machines,
            boot_s=self.plan.boot_s,
            notice_s=self.notice_s,
            price_ratio=self.price_ratio,
            first_hour_free=self.first_hour_free,
            on_demand=self.plan.on_demand,
            seed=seed,
        )

    def run(self, names: list[str], progress: Callable[[str, int], None] = lambda name, starts: None, processes: int = PROCESSES) -> "Outcomes":
        """Every start under every policy. `progress` hears how many more starts of which policy are done."""
        settings = self.settings()
        found: dict[str, dict[int, Outcome]] = {name: {} for name in names}
        # The product's own code takes longest: first, so that no core waits for it at the end.
        parts = [range(at, min(at + AT_ONCE, len(settings))) for at in range(0, len(settings), AT_ONCE)]
        jobs = [(name, part) for name in sorted(names, key="ours".__ne__) for part in parts]
        for name, numbers, outcomes in _results(settings, jobs, min(processes, os.cpu_count() or 1)):
            found[name].update(zip(numbers, outcomes, strict=True))
            progress(name, len(numbers))
        return {name: [done[number] for number in range(len(settings))] for name, done in found.items()}

    def told(self, name: str, number: int) -> Outcome:
        """One start again, with what each machine did."""
        return ALL[name].run(replace(self.settings()[number], keep_events=True))


Outcomes = dict[str, list[Outcome]]
"""By policy, in the order of the starts."""

_Job = tuple[str, range]
_settings: list[Setting] = []
"""In a child process: what its parent gave it once."""


def _results(settings: list[Setting], jobs: list[_Job], processes: int) -> Iterator[tuple[str, range, list[Outcome]]]:
    if processes <= 1:
        _prepare(settings)
        yield from (_run(job) for job in jobs)
        return
    # Spawned, not forked: the progress bar and the product's own code have threads.
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _prepare, (settings,)) as pool:
        try:
            for done in as_completed([pool.submit(_run, job) for job in jobs]):
                yield done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _prepare(settings: list[Setting]) -> None:
    _settings[:] = settings


def _run(job: _Job) -> tuple[str, range, list[Outcome]]:
    name, numbers = job
    return name, numbers, [ALL[name].run(_settings[number]) for number in numbers]
