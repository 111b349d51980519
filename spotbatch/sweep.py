"""Take back what gone machines held, and ring again for tasks that nobody came for. The handler's timer runs it, and so do idle agents.

It goes by running tasks, never by machines: a record that was tidied away must not hide what its machine held.
"""

import contextlib
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from spotbatch.bad_record import BadRecord
from spotbatch.ledger import Ledger
from spotbatch.machine import Machine
from spotbatch.owner import Owner
from spotbatch.place import machine_of
from spotbatch.protocols import Record
from spotbatch.task import Cause, Task

FIRST_RING = 60.0
LAST_RING = 900.0
"""Seconds after which a queued task is rung for again; doubled each time up to the last, as the sweep is the only safety net for bells."""


@dataclass
class Swept:
    """What one sweep did."""

    requeued: list[Task] = field(default_factory=list)
    rung: int = 0
    running: int = 0
    queued: int = 0
    bad: list[str] = field(default_factory=list)
    """Records that could not be understood: left as they are, and reported."""


def why_gone(machine: Machine | None, owner: Owner, now: float) -> str:
    """Why whoever held the claim cannot run it any more; empty while it may. Ages are in the store's time."""
    if machine is None:
        return "the machine has no record"
    if machine.boot != owner.boot:
        return "the machine has booted again"
    if machine.agent != owner.agent:
        return "the machine's agent has restarted"
    if machine.deadline is not None and machine.deadline <= now:
        return "the machine's deadline has passed"
    if now - machine.beat > machine.lease:
        return f"the machine has been silent for {now - machine.beat:.0f} s"
    return ""


def cause_of(machine: Machine | None, owner: Owner) -> Cause:
    """The record says whether it was an interruption, whichever test found the machine gone."""
    return "interrupted" if machine is not None and machine.leaves(owner) else "lost"


class Sweep:
    """Acts for about `seconds` at most, and goes on counting; what is left then is the next sweep's. Default: no limit."""

    def __init__(self, ledger: Ledger, seconds: float = math.inf) -> None:
        self.ledger = ledger
        self._end = time.monotonic() + seconds

    def everything(self) -> Swept:
        """Reap every running task whose owner is gone, and ring again. Raises StoreError."""
        swept = self._reap(self.ledger.store.tasks_in("running"))
        self._ring_again(swept)
        return swept

    def machine(self, machine: str) -> Swept:
        """Reap what one machine held, if it is gone."""
        return self._reap(self.ledger.store.tasks_in("running", machine))

    def _reap(self, records: Iterable[Record]) -> Swept:
        swept = Swept()
        seen: dict[str, Machine | None] = {}
        for record in records:
            if time.monotonic() > self._end or self._seems_alive(record, seen):
                swept.running += 1
                continue
            try:
                # The listing may be stale: the task first, *then* its owner's record, then the swap on the version read.
                task = self.ledger.task(record["run"], record["task"])
                if task is None or task.state != "running" or task.owner is None:
                    continue
            except BadRecord as fault:
                swept.bad.append(str(fault))
                continue
            machine = self._owner_of(task.owner, swept)
            why = why_gone(machine, task.owner, self.ledger.store.now())
            requeued = self.ledger.take_from(task, cause_of(machine, task.owner), why) if why else None
            if requeued is not None:
                swept.requeued.append(requeued)
            else:
                swept.running += 1
        return swept

    def _seems_alive(self, record: Record, seen: dict[str, Machine | None]) -> bool:
        """One read a machine instead of two a task: what is old news here can only put a reaping off, never bring one about."""
        try:
            owner = Task.from_record(record).owner
            if owner is None:
                return False
            if owner.machine not in seen:
                seen[owner.machine] = self._machine(owner.machine)
            return not why_gone(seen[owner.machine], owner, self.ledger.store.now())
        except BadRecord:
            return False

    def _owner_of(self, owner: Owner, swept: Swept) -> Machine | None:
        """The owner's machine; one that cannot be understood counts as gone: its agent finds out and registers anew."""
        try:
            return self._machine(owner.machine)
        except BadRecord as fault:
            swept.bad.append(str(fault))
            return None

    def _machine(self, name: str) -> Machine | None:
        """A place on a shared machine leaves with the machine, and only the machine itself is marked."""
        machine, whole = self.ledger.machines.read(name), None
        if machine is not None and (shared := machine_of(name)) is not None:
            with contextlib.suppress(BadRecord):
                whole = self.ledger.machines.read(shared)
        if machine is None or whole is None or whole.boot != machine.boot or whole.state != "draining":
            return machine
        ends = [each.deadline for each in (machine, whole) if each.deadline is not None]
        return replace(machine, state="draining", deadline=min(ends, default=None))

    def _ring_again(self, swept: Swept) -> None:
        """The longest unheard first, so that a backlog larger than the time lets nobody wait for ever."""
        now, due = self.ledger.store.now(), list[tuple[float, str, str]]()
        for record in self.ledger.store.tasks_in("queued"):
            swept.queued += 1
            try:
                task = Task.from_record(record)
            except BadRecord as fault:
                swept.bad.append(str(fault))
                continue
            if now - task.rung_at >= min(LAST_RING, FIRST_RING * 2 ** min(task.rings, 10)):
                due.append((task.rung_at, task.run, task.id))
        for _, run, name in sorted(due):
            if time.monotonic() > self._end:
                return
            fresh = self.ledger.task(run, name)
            swept.rung += fresh is not None and fresh.state == "queued" and self.ledger.rung(fresh)
