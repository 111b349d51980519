"""The user's job in a simulated run: items take their seconds, state takes its time to load."""

from collections.abc import Callable
from typing import Any

import numpy as np

from spotbatch.strategies.spacing import by_age_and_cost
from spotbatch.tools.simulation.setting import Workload
from spotbatch.worker import BatchWorker

STEP_SECONDS = 30.0
"""Work that can be resumed goes in steps of so many seconds at most: items of the product, of which it saves any number at a time."""
STEPS_PER_NOTICE = 3
"""Steps are no longer than such a part of the notice: it leaves time for the end of a step and a save only then."""
TASKS_PER_MACHINE = 125
"""Items that cannot be resumed are cut into about so many tasks a machine."""
ITEMS_PER_TASK = 100
STATE = bytes(1_100)
"""Stands for the job's state: too large for the ledger's record, so that it is uploaded."""


class Tally:
    """What was done in a run, by item: the only thing that knows of work done twice."""

    def __init__(self, workload: Workload, machines: int, notice_s: float) -> None:
        self.seconds: list[float] = []
        """Of each step."""
        self.tasks: list[range] = []
        """The steps of each task."""
        self._item_of: list[int] = []
        if workload.resumable:
            longest = min(STEP_SECONDS, notice_s / STEPS_PER_NOTICE) if notice_s > 0 else STEP_SECONDS
            for item, seconds in enumerate(workload.items_s.tolist()):
                count = max(1, int(np.ceil(seconds / longest)))
                self.tasks.append(range(len(self.seconds), len(self.seconds) + count))
                self.seconds += [seconds / count] * count
                self._item_of += [item] * count
        else:
            self.seconds = workload.items_s.tolist()
            self._item_of = list(range(len(self.seconds)))
            size = max(1, min(ITEMS_PER_TASK, len(self.seconds) // (TASKS_PER_MACHINE * machines)))
            self.tasks = [range(at, min(at + size, len(self.seconds))) for at in range(0, len(self.seconds), size)]
        self.step_s = max(self.seconds) if workload.resumable else 0.0
        """What a worker with a state has to end before it can save: its longest step."""
        self.begun = [0] * len(self.seconds)
        self.done = [False] * len(self.seconds)
        self.done_s = 0.0
        """Work that is done and not lost again, saved or not: what workers would tell with their beats."""

    def lost(self, task: int, saved: int) -> None:
        """The task goes on from what was saved: its first so many steps."""
        for step in self.tasks[task][saved:]:
            if self.done[step]:
                self.done[step] = False
                self.done_s -= self.seconds[step]

    @property
    def items_twice(self) -> int:
        return len({item for item, begun in zip(self._item_of, self.begun, strict=True) if begun > 1})


class SimulatedItems(BatchWorker):
    """Items are numbers of steps. `passes(kind, seconds)` lets the time pass and may raise; what was done until then counts as executed."""

    def __init__(self, tally: Tally, workload: Workload, passes: Callable[[str, float], None]) -> None:
        self._tally, self._workload, self._passes = tally, workload, passes

    def process_item(self, item: Any) -> None:
        tally = self._tally
        tally.begun[item] += 1
        self._passes("work", tally.seconds[item])
        if not tally.done[item]:
            tally.done[item] = True
            tally.done_s += tally.seconds[item]


class SimulatedSteps(SimulatedItems):
    """A job with a state: loaded at each resumption, uploaded with each checkpoint, and worth spacing by what that costs."""

    checkpoint_items = 1_000_000
    spacing = staticmethod(by_age_and_cost)

    def save_state(self) -> bytes | None:
        return STATE if self._workload.state_write_s or self._workload.restore_s else None

    def restore_state(self, state: bytes | None) -> None:
        if state is not None:
            self._passes("restore", self._workload.restore_s)
