"""What a table is made for: a workload, and the machines it wants."""

from dataclasses import dataclass

from spotbatch.tools.simulation.setting import Workload


@dataclass(frozen=True, eq=False)
class Plan:
    """A workload of the benchmark, or a user's own job."""

    workload: Workload
    machines: int = 1
    boot_s: float = 300.0
    on_demand: bool = False
    """Whether policies of several pools may buy on-demand machines."""
    one_pool: bool = False
    """True: each start gets one pool of the trace, in turn, as the papers about deadlines have it."""

    @property
    def share_s(self) -> float:
        """Seconds of work for each machine."""
        return self.workload.work_s / self.machines

    @property
    def run_s(self) -> float:
        """What a run takes at most when things go well: the deadline, or twice the ideal."""
        return self.workload.deadline_s or 2 * (self.boot_s + max(self.share_s, float(self.workload.items_s.max())))

    @property
    def horizon_s(self) -> float:
        """When a run counts as unfinished: nine days or, for longer jobs, twice the time above."""
        return max(9 * 86_400.0, 2 * self.run_s)
