"""How long the way back took, read from the ledger's own history and the market's journal."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from spotbatch.task import Task


@dataclass(frozen=True)
class Timings:
    given_back: list[float] = field(default_factory=list)
    """Seconds from the notice until a task of that machine was given back, its progress durable."""
    queued_again: list[float] = field(default_factory=list)
    """Seconds from the deadline until a task that its machine still held was queued again."""
    saved_items: int = 0
    """Items that tasks kept over interruptions."""


def timings(tasks: Iterable[Task], notices: Mapping[str, float], deadlines: Mapping[str, float]) -> Timings:
    """`notices` and `deadlines` by machine, seconds since 1970."""
    found = Timings()
    saved = 0
    for task in tasks:
        for entry in task.history:
            machine = entry.get("machine", "")
            if entry["what"] not in ("interrupted", "lost") or machine not in deadlines:
                continue
            saved += entry["items"]
            if entry["at"] <= deadlines[machine]:
                found.given_back.append(entry["at"] - notices[machine])
            else:
                found.queued_again.append(entry["at"] - deadlines[machine])
    return Timings(sorted(found.given_back), sorted(found.queued_again), saved)


def middle_and_worst(seconds: list[float]) -> str:
    """`median (worst of n)` in seconds."""
    if not seconds:
        return "none was needed"
    return f"{seconds[len(seconds) // 2]:.1f} s (worst of {len(seconds)}: {seconds[-1]:.1f} s)"


def moments(history: Iterable[dict[str, Any]], what: str) -> dict[str, float]:
    """When something first happened to each machine, from the market's journal."""
    found: dict[str, float] = {}
    for record in history:
        if record["what"] == what:
            found.setdefault(record["machine"], record["at"])
    return found
