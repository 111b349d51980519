"""One task's history, claim by claim, and what each early end cost: from the ledger's record alone."""

import datetime
from dataclasses import dataclass
from typing import Any

from spotbatch.task import CAUSES, Task


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


def claims(task: Task) -> list[ClaimStory]:
    """Every claim that the history still has, oldest first."""
    found: list[ClaimStory] = []
    queued = 0.0
    for entry in task.history:
        what, at = str(entry.get("what")), float(entry.get("at", 0.0))
        if what == "claimed":
            waited = max(0.0, at - queued) if queued else 0.0
            found.append(ClaimStory(int(entry.get("epoch", 0)), str(entry.get("machine", "?")), at, int(entry.get("items", 0)), waited))
        elif found and found[-1].ended is None and what in (*CAUSES, "done", "cancelled"):
            last = found[-1]
            last.ended, last.how, last.why, last.items_after = at, what, str(entry.get("why", "")), int(entry.get("items", 0))
            last.saved = float(entry.get("saved", 0.0))
        queued = at if what != "claimed" else 0.0
    return found


def lines(task: Task, now: float) -> list[str]:
    """The story as text, a claim a line."""
    told = [f"task {task.id} of run {task.run}: {task.state}, {task.items_done} of {task.items_total} items, last change at {_moment(task)}"]
    stories = claims(task)
    if not any(entry.get("what") == "submitted" for entry in task.history):
        told.append("(the ledger keeps the newest 40 changes: there were earlier ones)")
    for story in stories:
        lasted = (now if story.ended is None else story.ended) - story.began
        after = task.items_done if story.ended is None else story.items_after
        told.append(
            f"claim {story.epoch} on {story.machine}: {_clock(story.began)}, waited {story.waited:.1f} s, lasted {lasted:.1f} s,"
            f" items {story.items_before} to {after}, {story.how}" + (f" ({story.why})" if story.why else "")
        )
        if story.how in CAUSES:
            told.append(f"  cost: {story.unsaved:.1f} s of work at most is done again{_next_wait(story, stories, task, now)}")
    if not stories:
        told.append("nobody has claimed it yet")
    early = [story for story in stories if story.how in CAUSES]
    again = sum(story.unsaved for story in early)
    counts = ", ".join(f"{sum(story.how == cause for story in early)} {cause}" for cause in CAUSES)
    told.append(f"in all: {len(stories)} claims, {len(early)} ended early ({counts}), {again:.1f} s of work at most done again")
    return told


def _next_wait(story: ClaimStory, stories: list[ClaimStory], task: Task, now: float) -> str:
    at = stories.index(story) + 1
    if at < len(stories):
        return f", {stories[at].waited:.1f} s until the next claim"
    waiting = task.state == "queued" and story.ended is not None
    return f", waiting for {now - (story.ended or now):.1f} s" if waiting else ""


def _moment(task: Task) -> str:
    entry: dict[str, Any] = task.history[-1] if task.history else {}
    return _clock(float(entry.get("at", 0.0)))


def _clock(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat(sep=" ", timespec="seconds").removesuffix("+00:00") + " UTC"
