"""One claim after another, as a task's history tells them: how long each waited and lasted, and what its early end may cost."""

from dataclasses import dataclass
from typing import Any

from spotbatch.task import CAUSES, Task

_END_OF_TIME = 1e11
"""The year 5138, in seconds since 1970: a calendar has no end, Python's has."""


@dataclass
class ClaimStory:
    """One claim, from its history entries. Times are the store's."""

    epoch: int
    machine: str
    began: float
    items_before: int
    waited: float = 0.0
    """Seconds in which the task was queued before."""
    ended: float | None = None
    how: str = "running"
    """done, cancelled, or the cause for which the task was taken back."""
    why: str = ""
    items_after: int = 0
    saved: float = 0.0
    """When its last checkpoint was made; 0: none."""

    @property
    def unsaved(self) -> float:
        """Seconds between the last checkpoint and an early end: what is done again at most. Before a loss they hold the silence too."""
        if self.ended is None or self.how not in CAUSES:
            return 0.0
        return max(0.0, self.ended - max(self.began, self.saved))


def number(value: Any) -> float:
    """0 for what is no number: a history only tells, and nothing may fail over it."""
    return float(value) if isinstance(value, int | float) and 0 <= value < _END_OF_TIME else 0.0


def claims(task: Task) -> list[ClaimStory]:
    """Every claim that the history still has, oldest first. Raises nothing."""
    found: list[ClaimStory] = []
    queued = 0.0
    for entry in task.history:
        what, at = str(entry.get("what")), number(entry.get("at"))
        if what == "claimed":
            waited = max(0.0, at - queued) if queued else 0.0
            found.append(ClaimStory(int(number(entry.get("epoch"))), str(entry.get("machine", "?")), at, int(number(entry.get("items"))), waited))
        elif found and found[-1].ended is None and what in (*CAUSES, "done", "cancelled"):
            last = found[-1]
            last.ended, last.how, last.why, last.items_after = at, what, str(entry.get("why", "")), int(number(entry.get("items")))
            last.saved = number(entry.get("saved"))
        queued = at if what != "claimed" else 0.0
    return found


def waste(task: Task) -> int:
    """Whole seconds of work that the end of the newest claim lost, at most."""
    told = claims(task)
    return int(told[-1].unsaved) if told else 0
