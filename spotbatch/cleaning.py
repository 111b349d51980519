"""Remove payloads that no record needs, and whole runs. Never by age: a worker may wake after a day and point at what it wrote."""

from collections.abc import Iterator

from spotbatch.ledger import Ledger
from spotbatch.submit import run_key
from spotbatch.task import Task


class Unfinished(ValueError):
    """A run with tasks that may still run is not removed; the text says how many."""


def leftovers(ledger: Ledger, task: Task) -> Iterator[str]:
    """Payloads that the record does not name and nobody can name any more: of an earlier claim, or of a task that has ended."""
    named = {checkpoint.key for checkpoint in task.checkpoints}
    ended = task.state in ("done", "dead")
    for key in ledger.payloads.keys(f"runs/{task.run}/tasks/{task.id}/"):
        epoch = int(key.rsplit("/", 1)[1].partition("-")[0])
        if key not in named and (epoch < task.epoch or (ended and epoch == task.epoch)):
            yield key


def clean(ledger: Ledger, task: Task) -> int:
    """Delete a task's leftovers; how many there were. Raises StoreError."""
    keys = list(leftovers(ledger, task))
    for key in keys:
        ledger.payloads.delete(key)
    return len(keys)


def remove(ledger: Ledger, run: str) -> int:
    """Remove a run whose tasks have all ended: records first, so that nobody finds what is being deleted. How many tasks it had.

    Cut short, the same call again goes on. Raises Unfinished, LookupError, StoreError.
    """
    record = ledger.store.read(run_key(run))
    if record is None:
        raise LookupError(f"run {run!r} is not known here")
    tasks = [Task.from_record(task) for task in ledger.store.run_tasks(run)]
    if waiting := sum(task.state in ("queued", "running") for task in tasks):
        raise Unfinished(f"run {run!r} has {waiting} tasks that are queued or running: cancel it first")
    for task in tasks:
        ledger.store.remove(task.key, task.version)
    for key in list(ledger.payloads.keys(f"runs/{run}/")):
        ledger.payloads.delete(key)
    ledger.store.remove(run_key(run), record["version"])
    return len(tasks)
