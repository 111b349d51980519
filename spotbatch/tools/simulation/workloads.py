"""The workloads of the benchmark, W1 to W5, by the name that `--workload` takes."""

from collections.abc import Callable
from functools import partial
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from spotbatch.tools.simulation.plan import Plan
from spotbatch.tools.simulation.setting import Workload

HOUR, MINUTE = 3600.0, 60.0


def _training(write_s: float) -> Plan:
    """W1: one job of 24 h."""
    return Plan(Workload("one job of 24 h that saves its state", np.array([24 * HOUR]), write_s, 60.0))


def _queue(machines: int) -> Plan:
    """W2: 1,000 items, log-normal, median 5 min, 99th percentile 1 h; the same items every time."""
    return Plan(Workload("1,000 items, median 5 min, p99 1 h", log_normal(1_000, 5 * MINUTE, HOUR), resumable=False), machines)


def _long_items() -> Plan:
    """W3: eight items of 3 h."""
    return Plan(Workload("8 items of 3 h without checkpoint", np.full(8, 3 * HOUR), resumable=False))


def _deadline(hours: float, changeover_h: float) -> Plan:
    """W4: 48 h of work; a changeover is boot and restore."""
    boot, restore, write = (660.0, 60.0, 30.0) if changeover_h == 0.2 else (150.0, 30.0, 10.0)
    name = f"48 h of work in {hours:g} h, changeover {changeover_h:g} h"
    work = Workload(name, np.array([48 * HOUR]), write, restore, deadline_s=hours * HOUR)
    return Plan(work, boot_s=boot, on_demand=True, one_pool=True)


def _burst() -> Plan:
    """W5: 200 items of 2 to 20 min on eight machines; the same items every time."""
    return Plan(Workload("200 items of 2 to 20 min", np.random.default_rng(5).uniform(2 * MINUTE, 20 * MINUTE, 200), resumable=False), 8)


def log_normal(items: int, median_s: float, p99_s: float) -> NDArray[np.float64]:
    """Seconds of each item: one from the middle of each of as many equally likely parts, in an order drawn once."""
    normal = NormalDist()
    places = [normal.inv_cdf((part + 0.5) / items) for part in range(items)]
    spread = np.log(p99_s / median_s) / normal.inv_cdf(0.99)
    seconds: NDArray[np.float64] = median_s * np.exp(spread * np.array(places))
    return np.random.default_rng(2).permutation(seconds)


WORKLOADS: dict[str, Callable[[], Plan]] = {
    "W1": partial(_training, 30.0),
    **{f"W1-c{write}": partial(_training, float(write)) for write in (10, 120, 600)},
    "W2": partial(_queue, 4),
    **{f"W2-n{machines}": partial(_queue, machines) for machines in (1, 2)},
    "W3": _long_items,
    "W4": partial(_deadline, 60, 0.2),
    **{f"W4-{hours}h": partial(_deadline, hours, 0.2) for hours in (52, 70)},
    **{f"W4-{hours}h-d0.05": partial(_deadline, hours, 0.05) for hours in (52, 60, 70)},
    "W5": _burst,
}
"""W1-c10 and so on: seconds to write the state, else 30. W2-n1: machines, else 4. W4-52h-d0.05: deadline and changeover, else 60 h and 0.2 h."""
