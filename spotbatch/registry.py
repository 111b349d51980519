"""Every change of a machine's record: register, beat, mark, drained. Agent and handler write the same record, so each only by swap."""

from collections.abc import Callable
from dataclasses import replace

from spotbatch.machine import Machine, machine_key
from spotbatch.notice import Notice
from spotbatch.protocols import Identity, Store
from spotbatch.settle import Overtaken, write

CLOCK_MARGIN = 60.0
"""Seconds by which a boot must have registered after an event to count as a later boot: event and boot times come from two clocks."""


class Replaced(Exception):
    """The record is gone, or names another boot or agent: this agent's time is over."""


class Registry:
    """The record of every machine of one queue."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def read(self, machine: str) -> Machine | None:
        """Raises BadRecord, StoreError."""
        record = self.store.read(machine_key(machine))
        return None if record is None else Machine.from_record(record)

    def register(self, identity: Identity, agent: str) -> Machine:
        """A starting agent writes its id; it keeps `draining` and the deadline of the same boot only."""
        while True:
            found, now = self.read(identity.machine), self.store.now()
            fresh = Machine(identity.machine, identity.boot, agent, now, now, instance_type=identity.instance_type, zone=identity.zone)
            if found is not None and found.boot == identity.boot:
                # The boot's first registration stands: events of this boot stay events of this boot.
                fresh = replace(found, agent=agent, registered=found.registered, beat=now)
            try:
                return self._swap(found.version if found else 0, fresh)
            except Overtaken:
                continue

    def beat(self, known: Machine, *, metadata_ok: bool) -> Machine:
        """Say that this agent lives, over whatever the handler has marked meanwhile. Raises Replaced."""
        return self._own(known, lambda found: replace(found, beat=self.store.now(), metadata_ok=metadata_ok))

    def look(self, known: Machine) -> Machine:
        """The own record as it stands now, without a write. Raises Replaced."""
        found = self.read(known.id)
        if found is None or (found.boot, found.agent) != (known.boot, known.agent):
            raise Replaced(known.key)
        return found

    def drain(self, known: Machine, notice: Notice) -> Machine:
        """The agent itself heard the notice: say so, for the handler's sweep. Raises Replaced."""
        return self._own(known, lambda found: marked(found, notice))

    def drained(self, known: Machine) -> Machine:
        """Everything was given back. Raises Replaced."""
        return self._own(known, lambda found: replace(found, drained=self.store.now()))

    def mark(self, notice: Notice) -> Machine | None:
        """What the handler does with a notice; None: the machine is not ours, or this boot began after the event."""
        while True:
            found = self.read(notice.machine)
            if found is None or found.registered > notice.sent + CLOCK_MARGIN:
                return None
            new = marked(found, notice)
            if new == found:
                return found
            try:
                return self._swap(found.version, new)
            except Overtaken:
                continue

    def _own(self, known: Machine, change: Callable[[Machine], Machine]) -> Machine:
        while True:
            found = self.look(known)
            new = change(found)
            if new == found:
                return found
            try:
                return self._swap(found.version, new)
            except Overtaken:
                continue

    def _swap(self, expected: int, machine: Machine) -> Machine:
        return replace(machine, version=write(self.store, machine.to_record(), expected)["version"])


def marked(machine: Machine, notice: Notice) -> Machine:
    """The record after a notice, in whatever order and number notices come: the earliest deadline stands."""
    if notice.kind == "rebalance":
        return machine if machine.rebalance_sent else replace(machine, rebalance_sent=notice.sent)
    if notice.kind == "scheduled":
        return replace(machine, due=min(machine.due or notice.deadline or 0.0, notice.deadline or 0.0) or None)
    deadlines = [moment for moment in (machine.deadline, notice.deadline) if moment is not None]
    kind = "interruption" if "interruption" in (notice.kind, machine.kind) else "stop"
    return replace(
        machine,
        state="draining",
        deadline=min(deadlines) if deadlines else None,
        kind=kind,
        reason=machine.reason or notice.reason,
        hook=machine.hook or notice.hook,
        notice_sent=min(machine.notice_sent or notice.sent, notice.sent),
    )
