"""The simulator's store keeps the promises that every store makes to the ledger."""

import pytest

from spotbatch.protocols import Conflict
from spotbatch.tools.simulation.memory_store import MemoryStore


def task(name: str, state: str, version: int, machine: str = "-") -> dict:
    return {"kind": "task", "key": f"task/run/{name}", "run": "run", "state": state, "machine": machine, "version": version, "nonce": "n"}


@pytest.fixture
def store() -> MemoryStore:
    found = MemoryStore(lambda: 7.0)
    found.swap(task("b", "queued", 1), 0)
    found.swap(task("a", "queued", 1), 0)
    found.swap({"kind": "machine", "key": "machine/m", "machine": "m", "version": 1, "nonce": "n"}, 0)
    return found


def names(records) -> list[str]:
    return [record["key"] for record in records]


def test_a_swap_on_another_version_than_the_stored_one_is_refused_and_changes_nothing(store: MemoryStore):
    for expected in (0, 2):
        with pytest.raises(Conflict):
            store.swap(task("a", "running", 2), expected)
    with pytest.raises(Conflict):
        store.swap(task("c", "queued", 2), 1)
    assert store.read("task/run/a") == task("a", "queued", 1) and store.read("task/run/c") is None


def test_tasks_are_listed_by_run_in_order_and_by_state_and_machine(store: MemoryStore):
    store.swap(task("a", "running", 2, "m"), 1)
    assert names(store.run_tasks("run")) == ["task/run/a", "task/run/b"]
    assert names(store.tasks_in("running", "m")) == ["task/run/a"] and not names(store.tasks_in("running", "other"))
    assert names(store.tasks_in("queued")) == ["task/run/b"]
    assert names(store.machines()) == ["machine/m"] and store.now() == 7.0


def test_a_removed_record_is_listed_nowhere_and_removing_what_is_absent_is_fine(store: MemoryStore):
    with pytest.raises(Conflict):
        store.remove("task/run/a", 2)
    store.remove("task/run/a", 1)
    store.remove("task/run/a", 1)
    assert store.read("task/run/a") is None
    assert names(store.run_tasks("run")) == ["task/run/b"] == names(store.tasks_in("queued"))
