"""What happens when a cloud says that a machine will go: mark it, take it out of its pool, and queue its tasks again when it is gone.

Any message may come twice, late, in any order or not at all: each says "look", and the ledger decides. No machine is ever ended here.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from spotbatch.ledger import Ledger
from spotbatch.log import say
from spotbatch.machine import Machine
from spotbatch.notice import UNANNOUNCED, MalformedEvent, Notice, parse_event
from spotbatch.protocols import Pool
from spotbatch.sweep import Sweep, Swept
from spotbatch.task import Task

REMINDER = "deadline"

SWEEP_SECONDS = 30.0
"""Half of what the timer's function has: the rest is for counting, as pools scale by what it publishes in the end."""


@dataclass
class Handled:
    """What one message led to."""

    notices: int = 0
    """Notices of machines that are ours."""
    not_ours: int = 0
    """Notices of other machines, or of an earlier boot."""
    without_drain: int = 0
    """Announced machines that went without having given everything back."""
    requeued: list[Task] = field(default_factory=list)


class Handler:
    """One queue's interruption handler.

    `remind(machine, seconds)` sends `reminder(machine)` back to `message` after so many seconds, or earlier.
    """

    def __init__(self, ledger: Ledger, pool: Pool, remind: Callable[[str, float], None]) -> None:
        self._ledger, self._pool, self._remind = ledger, pool, remind
        self._sweep = Sweep(ledger)

    def message(self, message: object) -> Handled:
        """Act on an EventBridge event, or on a reminder of our own.

        Raises MalformedEvent, which trying again does not cure; anything else that it raises, trying again may.
        """
        handled, faults = Handled(), []
        if isinstance(message, dict) and "spotbatch" in message:
            self._look(_reminded(message), handled)
            return handled
        for notice in parse_event(message):
            # One event may name many machines: a fault with one of them holds up no other.
            try:
                self._notice(notice, handled)
            except Exception as fault:
                faults.append(fault)
        if faults:
            raise faults[0] if len(faults) == 1 else ExceptionGroup(f"{len(faults)} machines of one event", faults)
        return handled

    def sweep(self) -> tuple[Swept, Handled]:
        """Queue again what gone machines held, and ring again for what waits: all that is left when every message is lost."""
        swept = Sweep(self._ledger, SWEEP_SECONDS).everything()
        return swept, Handled(without_drain=_undrained(swept.requeued), requeued=swept.requeued)

    def _notice(self, notice: Notice, handled: Handled) -> None:
        machine = self._ledger.machines.mark(notice)
        if machine is None:
            handled.not_ours += 1
            if notice.hook is not None:
                # It never registered, so nothing on it can drain: its group need not wait.
                self._pool.complete(notice.machine, notice.hook)
            return
        handled.notices += 1
        say("notice", machine=machine.id, kind=notice.kind, reason=notice.reason, sent=notice.sent, deadline=machine.deadline)
        if notice.kind in ("rebalance", "scheduled"):
            return
        try:
            if notice.kind == "interruption" and self._pool.detach(machine.id):
                say("detached", machine=machine.id)
        finally:
            self._at_deadline(machine, handled)

    def _look(self, machine_id: str, handled: Handled) -> None:
        """What a reminder asks for: by now the machine may be gone, have another deadline, or be back under another boot."""
        machine = self._ledger.machines.read(machine_id)
        if machine is None:
            self._reap(machine_id, handled, announced=True)
        else:
            self._at_deadline(machine, handled)

    def _at_deadline(self, machine: Machine, handled: Handled) -> None:
        left = (machine.deadline or 0.0) - self._ledger.store.now()
        if left > 0:
            self._remind(machine.id, left)
            return
        self._reap(machine.id, handled, announced=not machine.reason.startswith(UNANNOUNCED))
        if machine.hook is not None:
            self._pool.complete(machine.id, machine.hook)

    def _reap(self, machine_id: str, handled: Handled, *, announced: bool) -> None:
        swept = self._sweep.machine(machine_id)
        handled.requeued += swept.requeued
        handled.without_drain += _undrained(swept.requeued) if announced else 0
        for task in swept.requeued:
            say("reaped", machine=machine_id, run=task.run, task=task.id, epoch=task.epoch, items=task.items_done)
        if swept.bad:
            raise ExceptionGroup(f"machine {machine_id}: tasks that cannot be read", [ValueError(fault) for fault in swept.bad])


def reminder(machine: str) -> dict[str, str]:
    """The message to send to oneself."""
    return {"spotbatch": REMINDER, "machine": machine}


def _reminded(message: dict[str, Any]) -> str:
    if message["spotbatch"] != REMINDER:
        raise MalformedEvent(f"spotbatch: {message['spotbatch']!r:.80} is not {REMINDER!r}")
    machine = message.get("machine")
    if not isinstance(machine, str) or not machine:
        raise MalformedEvent(f"machine: {machine!r:.80} is not a machine id")
    return machine


def _undrained(requeued: list[Task]) -> int:
    """How many announced machines these tasks were taken from."""
    last = [task.history[-1] for task in requeued if task.history]
    return len({entry.get("machine") for entry in last if entry.get("what") == "interrupted"})
