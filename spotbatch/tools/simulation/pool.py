"""One pool of a recorded trace: how many machines it would have given at any moment."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Pool:
    """A step function over the trace's seconds. A machine held when the capacity falls below what is held ends at that edge."""

    name: str
    """cloud/zone/type, as `aws/us-west-2b/p3.2xlarge`."""
    start_s: NDArray[np.float64]
    """Intervals [start, end) in order, without gaps."""
    end_s: NDArray[np.float64]
    capacity: NDArray[np.int64]
    """Machines it would give in each interval."""
    lifetimes_s: NDArray[np.float64] | None = None
    """Recorded lifetimes: the n-th machine launched here ends after the n-th of them (then from the front again). None: edges alone end it."""
    price_ratio: float | None = None
    """Spot price over the on-demand price here. None: the setting's."""
    is_seat: bool = False
    """One place of a group whose machines are all of one kind: no cloud's capacity signal tells it from the others."""

    @property
    def region(self) -> str:
        """`us-west-2` of `aws/us-west-2b/...`, `us-east1` of `gcp/us-east1-c/...`: what a zone shares outages with."""
        zone = self.name.split("/")[1] if "/" in self.name else self.name
        return zone.rpartition("-")[0] if self.name.startswith("gcp/") else zone.rstrip("abcdefgh")

    def index(self, moment: float) -> int:
        """The interval that holds the moment; the last one from the trace's end on."""
        return max(0, min(len(self.end_s) - 1, int(np.searchsorted(self.end_s, moment, side="right"))))

    def capacity_at(self, moment: float) -> int:
        return 0 if moment >= self.end_s[-1] else int(self.capacity[self.index(moment)])

    def stands_since(self, moment: float) -> float | None:
        """Since when it has given machines without a break; None when it gives none. Looks at nothing after the moment."""
        last = self.index(moment)
        if not self.capacity_at(moment):
            return None
        none = np.nonzero(self.capacity[:last] < 1)[0]
        return float(self.end_s[none[-1]] if len(none) else self.start_s[0])

    def falls_below(self, machines: int, moment: float) -> float:
        """The first edge from `moment` on after which the pool gives fewer than `machines`; the trace's end counts as one."""
        first = self.index(moment)
        below = np.nonzero(self.capacity[first:] < machines)[0]
        return float(self.end_s[-1] if not len(below) else max(moment, self.start_s[first + below[0]]))
