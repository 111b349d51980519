"""A unit of work, as the ledger records it."""

from dataclasses import dataclass, field
from typing import Any, Literal

from spotbatch.bad_record import BadRecord, checked, objects, seconds, text, whole
from spotbatch.checkpoint import Checkpoint
from spotbatch.owner import Owner

State = Literal["queued", "running", "done", "dead"]
Cause = Literal["interrupted", "lost", "failed"]
STATES = ("queued", "running", "done", "dead")
CAUSES = ("interrupted", "lost", "failed")

PROGRAM_JOB = "spotbatch run"
"""The job of a program's task: `spotbatch run` goes by the run's name, so nobody rings for it."""

UNOWNED = "-"
"""What the store indexes as owner machine of a task that nobody holds."""


def task_key(run: str, task: str) -> str:
    return f"task/{run}/{task}"


def items_key(run: str, task: str) -> str:
    return f"runs/{run}/items/{task}.jsonl"


@dataclass(frozen=True)
class Task:
    run: str
    id: str
    """Six digits, counted from 000000 in item order."""
    state: State
    items_total: int
    job: str = ""
    """Who alone may claim it, as MODULE:CLASS; empty: any worker."""
    epoch: int = 0
    """Counts claims and their ends; also the fencing token for side effects."""
    owner: Owner | None = None
    attempts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CAUSES, 0))
    """How often it was taken back, by cause. Interruptions never use up a budget."""
    checkpoints: tuple[Checkpoint, ...] = ()
    """In item order without gaps; what they cover is done."""
    rung_at: float = 0.0
    rings: int = 0
    """Rings since it was last queued: the sweep waits longer each time."""
    traceback: str = ""
    history: tuple[dict[str, Any], ...] = ()
    """The newest 40 changes: what, when, which machine, epoch."""
    cancelled: bool = False
    version: int = 0

    @property
    def key(self) -> str:
        return task_key(self.run, self.id)

    @property
    def items_done(self) -> int:
        return self.checkpoints[-1].end if self.checkpoints else 0

    def to_record(self) -> dict[str, Any]:
        return {
            "kind": "task",
            "key": self.key,
            "run": self.run,
            "task": self.id,
            "state": self.state,
            "machine": self.owner.machine if self.owner else UNOWNED,
            "items_total": self.items_total,
            "job": self.job,
            "items_done": self.items_done,
            "epoch": self.epoch,
            "owner": self.owner.to_record() if self.owner else None,
            "attempts": self.attempts,
            "checkpoints": [checkpoint.to_record() for checkpoint in self.checkpoints],
            "rung_at": self.rung_at,
            "rings": self.rings,
            "traceback": self.traceback,
            "history": list(self.history),
            "cancelled": self.cancelled,
            "version": self.version,
        }

    @staticmethod
    def from_record(record: dict[str, Any]) -> "Task":
        """Raises BadRecord naming record, field, value and what is allowed."""
        key = str(record.get("key"))
        attempts = checked(record, "attempts", lambda value: isinstance(value, dict) and all(map(whole, value.values())), "counts by cause")
        checkpoints = tuple(Checkpoint.from_record(key, entry) for entry in checked(record, "checkpoints", objects, "a list of objects"))
        total = checked(record, "items_total", whole, "a whole number")
        end = 0
        for checkpoint in checkpoints:
            if checkpoint.first != end or not checkpoint.first <= checkpoint.end <= total:
                raise BadRecord(key, "checkpoints", f"{checkpoint.first} to {checkpoint.end}", f"a list without gaps within {total} items")
            end = checkpoint.end
        state = checked(record, "state", lambda value: value in STATES, ", ".join(STATES))
        owner = Owner.from_record(key, record.get("owner"))
        if (state == "running") != (owner is not None):
            raise BadRecord(key, "owner", record.get("owner"), "somebody while running, nobody else")
        return Task(
            run=checked(record, "run", text, "a name"),
            id=checked(record, "task", text, "a task id"),
            state=state,
            items_total=total,
            job=checked(record, "job", text, "MODULE:CLASS or empty", ""),
            epoch=checked(record, "epoch", whole, "a whole number"),
            owner=owner,
            attempts={cause: attempts.get(cause, 0) for cause in CAUSES},
            checkpoints=checkpoints,
            rung_at=checked(record, "rung_at", seconds, "seconds since 1970", 0.0),
            rings=checked(record, "rings", whole, "a whole number", 0),
            traceback=checked(record, "traceback", text, "text", ""),
            history=tuple(checked(record, "history", objects, "a list of objects", [])),
            cancelled=bool(record.get("cancelled", False)),
            version=checked(record, "version", whole, "a whole number"),
        )
