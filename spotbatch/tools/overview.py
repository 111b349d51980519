"""What `spotbatch status` tells, read from the ledger in pages: the tasks of one run or of all, and every machine's record."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from spotbatch.bad_record import BadRecord
from spotbatch.claim_story import claims, number
from spotbatch.ledger import Ledger
from spotbatch.machine import Machine
from spotbatch.protocols import Record
from spotbatch.task import CAUSES, STATES, Task
from spotbatch.tools.options import run_record


@dataclass
class Age:
    """The oldest of something, and where."""

    seconds: float
    machine: str
    task: str = ""
    """RUN/TASK, where it is known."""


@dataclass
class Overview:
    """One look. Times and ages are the store's."""

    now: float
    tasks: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATES, 0))
    items_total: int = 0
    items_done: int = 0
    taken_back: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CAUSES, 0))
    """How often tasks were taken back, by cause."""
    dead: list[tuple[str, str, str]] = field(default_factory=list)
    """Run, task and why, for each dead task."""
    alive: int = 0
    """Machines that beat within their lease and before their deadline."""
    draining: int = 0
    """How many of them take nothing new."""
    oldest_beat: Age | None = None
    """The longest silence among machines that hold a task; what has no record at all counts as silent since its claim."""
    oldest_item: Age | None = None
    """The item that has run longest, as its machine said at its last beat."""
    oldest_save: Age | None = None
    """The running task that has gone longest without a checkpoint, since its claim at most."""
    machine_seconds: float = 0.0
    """From each machine's registration until now, or to the last beat of one that is gone; no boots, and nothing before a reboot."""
    idle_seconds: float = 0.0
    """How much of it the machine held no task of these runs. At most, where a task's history was cut."""
    history_cut: bool = False
    """A task has changed more often than its history keeps, so that some work counts as idle."""
    unreadable: list[str] = field(default_factory=list)
    """Records that could not be understood, and why."""
    unknown: int = 0
    """How many of them are tasks: they may be in any state."""

    @property
    def ended(self) -> bool:
        return not self.tasks["queued"] and not self.tasks["running"]

    def to_json(self) -> dict[str, Any]:
        return {
            "tasks": self.tasks,
            "items": {"total": self.items_total, "done": self.items_done},
            "taken_back": self.taken_back,
            "machines": {
                "alive": self.alive,
                "draining": self.draining,
                "hours": round(self.machine_seconds / 3600, 4),
                "idle_hours": round(self.idle_seconds / 3600, 4),
            },
            "oldest": {
                name: age and {"seconds": round(age.seconds, 1), "machine": age.machine, "task": age.task}
                for name, age in (("beat", self.oldest_beat), ("item", self.oldest_item), ("save", self.oldest_save))
            },
            "dead": [{"run": run, "task": task, "why": why} for run, task, why in self.dead],
            "unreadable": self.unreadable,
        }


def overview(ledger: Ledger, run: str | None) -> Overview:
    """Of one run, or of all. Raises LookupError for an unknown run; StoreError."""
    runs = [run_record(ledger, run)] if run is not None else list(ledger.store.runs())
    seen = Overview(ledger.store.now())
    tasks: list[Task] = []
    for record in runs:
        for task in _readable(ledger.store.run_tasks(str(record.get("run"))), Task, seen):
            _count(seen, task)
            tasks.append(task)
    seen.unknown = len(seen.unreadable)
    machines = {machine.id: machine for machine in _readable(ledger.store.machines(), Machine, seen)}
    began = min((number(record.get("submitted")) for record in runs), default=seen.now)
    _look_at_claims(seen, tasks, machines)
    _look_at_machines(seen, tasks, machines.values(), began)
    return seen


def _readable(records: Iterable[Record], kind: Any, seen: Overview) -> Iterable[Any]:
    for record in records:
        try:
            yield kind.from_record(record)
        except BadRecord as fault:
            seen.unreadable.append(str(fault))


def _count(seen: Overview, task: Task) -> None:
    seen.tasks[task.state] += 1
    seen.items_total += task.items_total
    seen.items_done += task.items_done
    for cause in CAUSES:
        seen.taken_back[cause] += task.attempts[cause]
    seen.history_cut |= not any(entry.get("what") == "submitted" for entry in task.history)
    if task.state == "dead":
        last = str(task.history[-1].get("why", "")) if task.history else ""
        seen.dead.append((task.run, task.id, "cancelled" if task.cancelled else (task.traceback.strip().rsplit("\n", 1)[-1] or last)))


def _look_at_claims(seen: Overview, tasks: list[Task], machines: dict[str, Machine]) -> None:
    for task in tasks:
        if task.owner is None:
            continue
        name, machine = f"{task.run}/{task.id}", machines.get(task.owner.machine)
        claimed = claims(task)[-1].began if claims(task) else seen.now
        silent = seen.now - (machine.beat if machine is not None else claimed)
        seen.oldest_beat = _older(seen.oldest_beat, Age(silent, task.owner.machine))
        saved = max(claimed, task.checkpoints[-1].at if task.checkpoints else 0.0)
        seen.oldest_save = _older(seen.oldest_save, Age(seen.now - saved, task.owner.machine, name))
        if machine is not None and machine.item_seconds:
            seen.oldest_item = _older(seen.oldest_item, Age(machine.item_seconds, task.owner.machine))


def _older(known: Age | None, found: Age) -> Age:
    return found if known is None or found.seconds > known.seconds else known


def _look_at_machines(seen: Overview, tasks: list[Task], machines: Iterable[Machine], began: float) -> None:
    """Machines serve a queue: of one run, only what falls between its submit and its end counts."""
    ended = max((number(task.history[-1].get("at")) for task in tasks if task.history), default=0.0) if seen.ended else seen.now
    held: dict[str, list[tuple[float, float]]] = {}
    for task in tasks:
        for claim in claims(task):
            held.setdefault(claim.machine, []).append((claim.began, seen.now if claim.ended is None else claim.ended))
    for machine in machines:
        alive = seen.now - machine.beat <= machine.lease and not (machine.deadline is not None and machine.deadline <= seen.now)
        seen.alive += alive
        seen.draining += alive and machine.state == "draining"
        first, last = max(machine.registered, began), min(seen.now if alive else machine.beat, ended)
        if last > first:
            seen.machine_seconds += last - first
            seen.idle_seconds += last - first - _covered(held.get(machine.id, []), first, last)


def _covered(spans: list[tuple[float, float]], first: float, last: float) -> float:
    """Seconds between `first` and `last` that lie in at least one of the spans."""
    total, reached = 0.0, first
    for begin, end in sorted(spans):
        begin, end = max(begin, reached), min(end, last)
        if end > begin:
            total, reached = total + end - begin, end
    return total
