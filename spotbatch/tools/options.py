"""What several commands ask for: the queue, and a run or a task by name."""

import difflib
from collections.abc import Iterator
from typing import Annotated

import typer

from spotbatch.ledger import Ledger
from spotbatch.protocols import Record
from spotbatch.submit import run_key
from spotbatch.task import Task

Queue = Annotated[
    str,
    typer.Option("--queue", envvar="SPOTBATCH_QUEUE", help="local:FOLDER, the URL of an SQS queue, or pubsub:projects/PROJECT/subscriptions/NAME"),
]
Run = Annotated[str, typer.Argument(help="the run's name, as submit printed it")]

_NAMES_SHOWN = 5


def run_record(ledger: Ledger, run: str) -> Record:
    """The record of a run. Raises LookupError with the names that are nearest; StoreError."""
    record = ledger.store.read(run_key(run))
    if record is None:
        raise LookupError(f"run {run!r} is not known here; {_instead(run, [str(known.get('run')) for known in ledger.store.runs()])}")
    return record


def tasks_of(ledger: Ledger, run: str) -> Iterator[Task]:
    """Every task of one run. Raises LookupError, BadRecord, StoreError."""
    run_record(ledger, run)
    for record in ledger.store.run_tasks(run):
        yield Task.from_record(record)


def task_of(ledger: Ledger, run: str, task: str) -> Task:
    """One task by its number, short or with its zeros. Raises LookupError with the numbers there are; BadRecord, StoreError."""
    found = ledger.task(run, task.zfill(6))
    if found is None:
        known = [one.id for one in tasks_of(ledger, run)]
        raise LookupError(
            f"task {task!r} is not known in run {run!r}, which has {', '.join(known[:3])}{f' ... {known[-1]}' if len(known) > 3 else ''}"
        )
    return found


def _instead(run: str, known: list[str]) -> str:
    if not known:
        return "the queue has no run at all: is --queue (SPOTBATCH_QUEUE) the one you submitted to?"
    if near := difflib.get_close_matches(run, known, _NAMES_SHOWN):
        return f"did you mean {' or '.join(near)}?"
    return f"the queue has {', '.join(known[:_NAMES_SHOWN])}{f' and {len(known) - _NAMES_SHOWN} more' if len(known) > _NAMES_SHOWN else ''}"
