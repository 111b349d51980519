"""Small pools, settings and workloads that the tests of the simulator share."""

import numpy as np

from spotbatch.tools.simulation.pool import Pool
from spotbatch.tools.simulation.setting import Setting, Workload

FOREVER = 1e9


def pool(*steps: tuple[float, float, int], name: str = "aws/us-west-2a/t") -> Pool:
    begin, end, capacity = (np.array(column) for column in zip(*steps, strict=True))
    return Pool(name, begin.astype(float), end.astype(float), capacity.astype(np.int64))


def always(name: str = "aws/us-west-2a/t", lifetimes: np.ndarray | None = None) -> Pool:
    return Pool(name, np.array([0.0]), np.array([FOREVER]), np.array([1_000]), lifetimes)


def changing(name: str, seed: int, up_h: float, down_h: float, days: float = 60.0) -> Pool:
    """Up and down in turn, exponential."""
    random = np.random.default_rng(seed)
    count = int(days * 24 / (up_h + down_h)) + 2
    lasting = np.column_stack([random.exponential(up_h * 3600, count), random.exponential(down_h * 3600, count)]).ravel() + 1.0
    edges = np.concatenate([[0.0], np.cumsum(lasting)])
    return Pool(name, edges[:-1], edges[1:], np.tile([1, 0], count))


def three_zones(seed: int = 0) -> tuple[Pool, ...]:
    return tuple(changing(f"aws/us-west-2{zone}/t", 10 * seed + number, 3.0, 1.0) for number, zone in enumerate("abc"))


def job(hours: float, write_s: float = 30.0, restore_s: float = 60.0, deadline_h: float | None = None) -> Workload:
    return Workload("job", np.array([hours * 3600]), write_s, restore_s, True, None if deadline_h is None else deadline_h * 3600)


def queue(count: int, minutes: float) -> Workload:
    return Workload("queue", np.random.default_rng(3).uniform(0.5, 1.5, count) * minutes * 60, resumable=False)


def setting(pools: tuple[Pool, ...], workload: Workload, **more: object) -> Setting:
    return Setting(**({"trace": "test", "pools": pools, "start_s": 0.0, "horizon_s": 50 * 86_400.0, "workload": workload} | more))  # pyright: ignore[reportArgumentType]
