"""Spot pools, one per instance type and zone, and how each allocation strategy chooses among them."""

import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

_VCPUS = {"nano": 0.5, "micro": 1, "small": 1, "medium": 1, "large": 2, "xlarge": 4}
_PRICE_PER_VCPU = 0.048
"""Dollars an hour for one vCPU on demand, whatever the family. Prices of the lab only put pools in an order."""

PoolKey = tuple[str, str]
"""Instance type and zone."""


@dataclass(frozen=True)
class Candidate:
    """One way to get capacity: a type in a subnet's zone, as one override of a request names it."""

    instance_type: str
    zone: str
    subnet: str
    weight: float = 1.0
    priority: float = float("inf")
    max_price: float | None = None
    template: dict = field(default_factory=dict, compare=False)
    """Launch template data of this override."""

    @property
    def pool(self) -> PoolKey:
        return self.instance_type, self.zone


class Pools:
    """Knows how many more machines each pool can give.

    A pool nobody has set holds 20 to 59, always the same number for the same name. What EC2 takes away is out of the pool:
    it gives nothing for `recovery_seconds` after an interruption, then what it held before.
    """

    def __init__(self, *, recovery_seconds: float = 180.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._recovery_seconds = recovery_seconds
        self._clock = clock
        self._depths: dict[PoolKey, int] = {}
        self._taken_until: dict[PoolKey, float] = {}

    def depth(self, pool: PoolKey) -> int:
        """How many more machines it would give now."""
        if self._taken_until.get(pool, 0.0) > self._clock():
            return 0
        return self._held(pool)

    def set_depth(self, pool: PoolKey, depth: int) -> None:
        """Say how many more machines it gives from now on; ends a recovery."""
        self._depths[pool] = depth
        self._taken_until.pop(pool, None)

    def take(self, pool: PoolKey) -> None:
        """One machine less to give."""
        self._depths[pool] = self._held(pool) - 1

    def give_back(self, pool: PoolKey) -> None:
        """A machine ended by its owner is there for others again."""
        self._depths[pool] = self._held(pool) + 1

    def interrupted(self, pool: PoolKey) -> None:
        """EC2 wants the pool's capacity for itself: nothing to be had until it has recovered."""
        self._taken_until[pool] = self._clock() + self._recovery_seconds

    def on_demand_price(self, instance_type: str) -> float:
        """Dollars an hour on demand, as the lab has it."""
        size = instance_type.partition(".")[2]
        multiple = size.removesuffix("xlarge")
        vcpus = _VCPUS.get(size) or (4 * int(multiple) if multiple.isdigit() else 4)
        return round(_PRICE_PER_VCPU * vcpus, 4)

    def price(self, pool: PoolKey) -> float:
        """Dollars an hour on Spot: from 30 % of on-demand in a deep pool to 70 % in an empty one."""
        return round(self.on_demand_price(pool[0]) * (0.3 + 0.4 / (1 + self.depth(pool) / 10)), 4)

    def known(self) -> list[PoolKey]:
        """Pools that somebody has asked for or set."""
        return sorted(self._depths)

    def choose(
        self, candidates: Sequence[Candidate], strategy: str, held: Counter[PoolKey], missing: float, pools_to_use: int = 1
    ) -> Candidate | None:
        """The candidate that the next machine comes from, or None if no pool has one.

        `held` counts the owner's machines by pool, `missing` is capacity still to be had; strategy in Spot Fleet's or Auto Scaling's spelling.
        """
        open_ones = [one for one in candidates if self.depth(one.pool) > 0 and (one.max_price is None or self.price(one.pool) <= one.max_price)]
        if not open_ones:
            return None

        def depth(one: Candidate) -> int:
            return self.depth(one.pool)

        def unit_price(one: Candidate) -> float:
            return self.price(one.pool) / one.weight

        deepest = max(map(depth, open_ones))
        match strategy.replace("-", "").lower():
            case "diversified":
                return min(open_ones, key=lambda one: (held[one.pool], -depth(one)))
            case "lowestprice":
                cheapest = sorted(open_ones, key=unit_price)[:pools_to_use]
                return min(cheapest, key=lambda one: (held[one.pool], unit_price(one)))
            case "capacityoptimizedprioritized":
                # Capacity comes first: a pool that cannot hold the rest of the request is no answer to a priority.
                roomy = [one for one in open_ones if depth(one) * one.weight >= missing] or [one for one in open_ones if depth(one) == deepest]
                return min(roomy, key=lambda one: (one.priority, -depth(one)))
            case "pricecapacityoptimized":
                return min((one for one in open_ones if depth(one) * 2 >= deepest), key=unit_price)
        return max(open_ones, key=depth)

    def _held(self, pool: PoolKey) -> int:
        if pool not in self._depths:
            self._depths[pool] = 20 + zlib.crc32("/".join(pool).encode()) % 40
        return self._depths[pool]
