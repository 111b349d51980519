"""A ledger's store in this process: what `clouds/local.py` keeps in a file, without the file."""

from collections.abc import Callable, Iterator

from spotbatch.protocols import Conflict, Record


class MemoryStore:
    """Records by key, tasks indexed by state and by run. Whoever reads a record must not change it."""

    def __init__(self, clock: Callable[[], float], written: Callable[[Record], None] = lambda record: None) -> None:
        self.now = clock
        self._written = written
        self._records: dict[str, Record] = {}
        self._states: dict[str, dict[str, Record]] = {}
        self._tasks: dict[str, dict[str, Record]] = {}

    def read(self, key: str) -> Record | None:
        return self._records.get(key)

    def swap(self, record: Record, expected: int) -> None:
        key, before = record["key"], self._records.get(record["key"])
        if (before["version"] if before else 0) != expected:
            raise Conflict(key)
        self._records[key] = record
        if record["kind"] == "task":
            if before is not None:
                del self._states[before["state"]][key]
            self._states.setdefault(record["state"], {})[key] = record
            self._tasks.setdefault(record["run"], {})[key] = record
        self._written(record)

    def remove(self, key: str, expected: int) -> None:
        found = self._records.get(key)
        if found is None:
            return
        if found["version"] != expected:
            raise Conflict(key)
        del self._records[key]
        if found["kind"] == "task":
            del self._states[found["state"]][key]
            del self._tasks[found["run"]][key]

    def run_tasks(self, run: str) -> Iterator[Record]:
        return iter([record for _, record in sorted(self._tasks.get(run, {}).items())])

    def tasks_in(self, state: str, machine: str | None = None) -> Iterator[Record]:
        found = self._states.get(state, {}).values()
        return iter([record for record in found if machine is None or record["machine"] == machine])

    def runs(self) -> Iterator[Record]:
        return self._of_kind("run")

    def machines(self) -> Iterator[Record]:
        return self._of_kind("machine")

    def _of_kind(self, kind: str) -> Iterator[Record]:
        return iter([self._records[key] for key in sorted(self._records) if self._records[key]["kind"] == kind])
