"""Every change of a machine's record: register, beat, mark, drained. Agent and handler write the same record, so each only by swap."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from spotbatch.bad_record import BadRecord
from spotbatch.machine import Machine, machine_key
from spotbatch.notice import Notice
from spotbatch.protocols import Identity, Store
from spotbatch.settle import Overtaken, write

CLOCK_MARGIN = 5.0
"""Seconds by which a boot must have registered before the machine could have stopped. Both times are the cloud's, never the machine's own:
events carry whole seconds, and the store's time is known within two."""


_Found = TypeVar("_Found", Machine, Machine | None)


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

    def register(self, identity: Identity, agent: str, lease: float = 60.0) -> Machine:
        """A starting agent writes its id; it keeps `draining` and the deadline of the same boot only."""
        while True:
            record, now = self.store.read(machine_key(identity.machine)), self.store.now()
            fresh = Machine(
                identity.machine,
                identity.boot,
                agent,
                now,
                now,
                lease=lease,
                instance_type=identity.instance_type,
                zone=identity.zone,
                notice_seconds=identity.notice_seconds,
                spot=identity.spot,
                launched=identity.launched,
            )
            try:
                found = Machine.from_record(record) if record else None
            except BadRecord:
                # Whatever damaged it: the agent that knows the truth writes it anew.
                found = None
            if found is not None and found.boot == identity.boot:
                # The boot's first registration stands: events of this boot stay events of this boot.
                fresh = replace(found, agent=agent, beat=now, lease=lease, stopping="", notice_seconds=identity.notice_seconds)
            elif found is not None and (fresh.launched or 0.0) < found.beat:
                # Booted again, not launched again: what lies between is no boot.
                fresh = replace(fresh, launched=None)
            try:
                return self._swap(record["version"] if record else 0, fresh)
            except Overtaken:
                continue

    def beat(self, known: Machine, *, metadata_ok: bool, item_seconds: float = 0.0) -> Machine:
        """Say that this agent lives, over whatever the handler has marked meanwhile. Raises Replaced."""
        return self._own(known, lambda found: replace(found, beat=self.store.now(), metadata_ok=metadata_ok, item_seconds=item_seconds))

    def look(self, known: Machine) -> Machine:
        """The own record as it stands now, without a write. Raises Replaced."""
        try:
            found = self.read(known.id)
        except BadRecord:
            found = None
        if found is None or (found.boot, found.agent) != (known.boot, known.agent):
            raise Replaced(known.key)
        return found

    def drain(self, known: Machine, notice: Notice) -> Machine:
        """The agent itself heard the notice: say so, for the handler's sweep. Raises Replaced."""
        return self._own(known, lambda found: marked(found, notice))

    def stop(self, known: Machine) -> Machine:
        """This agent was told to stop, the machine was not: say so until the next agent registers. Raises Replaced."""
        return self._own(known, lambda found: replace(found, stopping=found.agent))

    def drained(self, known: Machine) -> Machine:
        """Everything was given back. Raises Replaced."""
        return self._own(known, lambda found: replace(found, drained=self.store.now()))

    def mark(self, notice: Notice) -> Machine | None:
        """What the handler does with a notice; None: the machine is not ours, or the notice may mean an earlier boot of it.

        A later boot can only have registered once the machine had stopped: at the deadline, or before `sent` where there is none.
        """
        ends = notice.sent if notice.deadline is None else notice.deadline
        if notice.kind in ("scheduled", "gone"):
            # Updates repeat the old times, and a machine that was stopping is not the one that started since.
            ends = min(notice.sent, ends)

        def ours() -> Machine | None:
            found = self.read(notice.machine)
            return None if found is None or found.registered + CLOCK_MARGIN > ends else found

        return self._change(ours, lambda found: marked(found, _dated(notice, found)))

    def _own(self, known: Machine, change: Callable[[Machine], Machine]) -> Machine:
        return self._change(lambda: self.look(known), change)

    def _change(self, read: Callable[[], _Found], change: Callable[[Machine], Machine]) -> Machine | _Found:
        """Read, change, swap, and anew for as long as somebody else is quicker; what `read` finds missing stays so."""
        while True:
            found = read()
            if found is None:
                return found
            new = change(found)
            if new == found:
                return found
            try:
                return self._swap(found.version, new)
            except Overtaken:
                continue

    def _swap(self, expected: int, machine: Machine) -> Machine:
        return replace(machine, version=write(self.store, machine.to_record(), expected)["version"])


def _dated(notice: Notice, machine: Machine) -> Notice:
    """An interruption that does not say when the machine ends, with what the machine knows of that."""
    if notice.kind != "interruption" or notice.deadline is not None:
        return notice
    return replace(notice, deadline=notice.sent + machine.notice_seconds)


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
