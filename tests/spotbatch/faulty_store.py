"""A store whose writes go wrong on demand, in the ways a network makes them go wrong."""

from collections.abc import Callable, Iterator

from spotbatch.protocols import Ambiguous, Conflict, Record, Store, StoreError

FAULTS = ("seen twice", "landed unheard", "lost", "late")
"""seen twice: the client's own retry finds its first attempt. landed unheard: it happened, and the answer got lost. lost: it never
arrived. late: it arrives when `land_late` is called."""


class FaultyStore:
    """Passes everything on, except for the swaps and reads that a test spoils."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.now = store.now
        self.spoiled: list[str] = []
        """Faults of the next swaps, first one first; an empty text is a swap that goes well."""
        self.unreadable = 0
        """How many of the next reads fail."""
        self.meanwhile: list[Callable[[], object]] = []
        """What others do just before the next swap arrives: the first of these."""
        self.asked: list[str] = []
        """Every key that was read."""
        self.written: list[Record] = []
        """Every record that came to be, in order."""
        self._late: list[tuple[Record, int]] = []

    def read(self, key: str) -> Record | None:
        self.asked.append(key)
        if self.unreadable:
            self.unreadable -= 1
            raise StoreError(f"{key}: spoiled by the test")
        return self.store.read(key)

    def swap(self, record: Record, expected: int) -> None:
        if self.meanwhile:
            self.meanwhile.pop(0)()
        fault = self.spoiled.pop(0) if self.spoiled else ""
        if fault == "late":
            self._late.append((record, expected))
            raise Ambiguous(record["key"])
        if fault != "lost":
            self.store.swap(record, expected)
            self.written.append(record)
        if fault == "seen twice":
            raise Conflict(record["key"])
        if fault:
            raise Ambiguous(record["key"])

    def land_late(self) -> int:
        """Let what is on its way arrive; how much of it still fitted."""
        landed, late, self._late = 0, self._late, []
        for record, expected in late:
            try:
                self.store.swap(record, expected)
            except Conflict:
                continue
            self.written.append(record)
            landed += 1
        return landed

    def remove(self, key: str, expected: int) -> None:
        self.store.remove(key, expected)

    def run_tasks(self, run: str) -> Iterator[Record]:
        return self.store.run_tasks(run)

    def tasks_in(self, state: str, machine: str | None = None) -> Iterator[Record]:
        return self.store.tasks_in(state, machine)

    def runs(self) -> Iterator[Record]:
        return self.store.runs()

    def machines(self) -> Iterator[Record]:
        return self.store.machines()
