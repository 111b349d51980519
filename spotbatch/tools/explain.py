"""`spotbatch explain`: one task's history, claim by claim, and what each early end cost; from the ledger's record alone."""

import datetime
from typing import Annotated, Any

import typer

from spotbatch import clouds
from spotbatch.claim_story import ClaimStory, claims, number
from spotbatch.ledger import Ledger
from spotbatch.task import CAUSES, Task
from spotbatch.tools.options import Queue, task_of


def command(
    task: Annotated[str, typer.Argument(help="the task's number, as submit printed it")],
    run: Annotated[str, typer.Option("--run", help="the run's name")],
    queue: Queue = clouds.DEFAULT_QUEUE,
) -> None:
    """Tell one task's history, claim by claim, and what each interruption cost."""
    ledger = Ledger(clouds.connect(queue))
    for line in lines(task_of(ledger, run, task), ledger.store.now()):
        print(line)


def lines(task: Task, now: float) -> list[str]:
    """The story as text, a claim a line."""
    told = [f"task {task.id} of run {task.run}: {task.state}, {task.items_done} of {task.items_total} items, last change at {_moment(task)}"]
    stories = claims(task)
    if not any(entry.get("what") == "submitted" for entry in task.history):
        told.append("(the ledger keeps the newest 40 changes: there were earlier ones)")
    waits = _waits(stories, task, now)
    for story, wait in zip(stories, waits, strict=True):
        lasted = (now if story.ended is None else story.ended) - story.began
        after = task.items_done if story.ended is None else story.items_after
        told.append(
            f"claim {story.epoch} on {story.machine}: {_clock(story.began)}, waited {story.waited:.1f} s, lasted {lasted:.1f} s,"
            f" items {story.items_before} to {after}, {story.how}" + (f" ({story.why})" if story.why else "")
        )
        if story.how in CAUSES:
            until = "until the next claim" if story is not stories[-1] else "and nobody has claimed it since"
            told.append(f"  cost: {story.unsaved:.1f} s of work at most is done again" + (f", {wait:.1f} s {until}" if wait is not None else ""))
    if not stories:
        told.append("nobody has claimed it yet")
    early = [story for story in stories if story.how in CAUSES]
    again, waited = sum(story.unsaved for story in early), sum(wait or 0.0 for wait in waits)
    counts = ", ".join(f"{sum(story.how == cause for story in early)} {cause}" for cause in CAUSES)
    cost = f"{again:.1f} s of work at most done again, {waited:.1f} s waiting for the next"
    told.append(f"in all: {len(stories)} claims, {len(early)} ended early ({counts}): {cost}")
    return told


def _waits(stories: list[ClaimStory], task: Task, now: float) -> list[float | None]:
    """After each claim, how long until the next one, or until now; None where nothing waits."""
    if not stories:
        return []
    ended = stories[-1].ended
    return [*(later.waited for later in stories[1:]), now - ended if ended is not None and task.state == "queued" else None]


def _moment(task: Task) -> str:
    entry: dict[str, Any] = task.history[-1] if task.history else {}
    return _clock(number(entry.get("at")))


def _clock(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat(sep=" ", timespec="seconds").removesuffix("+00:00") + " UTC"
