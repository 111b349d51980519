"""A machine that several programs run on at once, each with an agent of its own."""

from collections.abc import Iterator
from dataclasses import replace

from spotbatch import sole_agent
from spotbatch.notice import Notice
from spotbatch.place import beside
from spotbatch.protocols import Host, Identity
from spotbatch.registry import Registry
from spotbatch.watcher import marks

PLACES = 64
"""Agents of one machine and queue."""


class SharedMachine:
    """One place on a machine. In the ledger, place 0 is the machine itself; each other is a machine beside it, as `i-0123.1`, so that no
    agent takes another's record.

    The cloud and the handler know the machine alone: what they mark there, every place hears.
    """

    def __init__(self, host: Host, queue: str, registry: Registry, place: int) -> None:
        self._host, self._queue, self._registry, self._place = host, queue, registry, place
        self._machine = host.identity()

    def identity(self) -> Identity:
        return replace(self._machine, machine=self._name(self._place))

    def notices(self) -> Iterator[Notice]:
        """The machine's own metadata and what is marked on it: neither's trouble hides the other. Raises OSError, StoreError, BadRecord."""
        blind: OSError | None = None
        try:
            yield from self._host.notices()
        except OSError as fault:
            blind = fault
        record = self._registry.read(self._machine.machine) if self._place else None
        if record is not None and record.boot == self._machine.boot:
            yield from marks(record, self._registry.store.now())
        if blind is not None:
            raise blind

    def complete_hook(self) -> None:
        """Once nobody else is left here: what waits for the hook ends the machine."""
        if all(sole_agent.free(self._queue, self._name(place)) for place in range(PLACES) if place != self._place):
            self._host.complete_hook()

    def shut_down(self) -> None:
        self._host.shut_down()

    def _name(self, place: int) -> str:
        return beside(self._machine.machine, place)
