"""Turn a file of items into tasks, so that the same submit again continues what was cut short and doubles nothing."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from spotbatch.ledger import Ledger
from spotbatch.protocols import StoreError
from spotbatch.settle import Overtaken, write
from spotbatch.task import Task, items_key

RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FAULTS_SHOWN = 20


class BadSubmit(ValueError):
    """The items, their number per task or the run's name are wrong; one line per fault."""


def _refuse(constant: str) -> None:
    raise ValueError(f"JSON has no {constant}")


def run_key(run: str) -> str:
    return f"run/{run}"


@dataclass(frozen=True)
class Submission:
    run: str
    items_per_task: int
    lines: list[bytes]
    job: str = ""
    """MODULE:CLASS whose workers alone may claim its tasks; empty: any. Part of the default name."""

    @staticmethod
    def read(lines: Iterable[bytes], items_per_task: int, run: str | None = None, job: str = "") -> "Submission":
        """Check everything at once. Raises BadSubmit naming each faulty line by number."""
        faults: list[str] = []
        kept: list[bytes] = []
        for number, line in enumerate(lines, 1):
            if not (text := line.strip()):
                continue
            try:
                json.loads(text, parse_constant=_refuse)
                kept.append(text)
            except (ValueError, RecursionError) as fault:
                faults.append(f"items, line {number}: {text[:60].decode(errors='replace')!r} is not JSON: {fault}")
        if not kept and not faults:
            faults.append("items: the file has no item; one JSON value a line is needed")
        if items_per_task < 1:
            faults.append(f"--items-per-task: {items_per_task} is not a whole number of at least 1")
        if run is not None and not RUN_NAME.fullmatch(run):
            faults.append(f"--run: {run!r} is not a name of up to 64 letters, digits, '.', '_' and '-' that begins with a letter or digit")
        if faults:
            more = [f"... and {len(faults) - _FAULTS_SHOWN} faults more"] if len(faults) > _FAULTS_SHOWN else []
            raise BadSubmit("\n".join(faults[:_FAULTS_SHOWN] + more))
        digest = hashlib.sha256(b"\n".join([job.encode(), str(items_per_task).encode(), *kept])).hexdigest()
        return Submission(run or digest[:12], items_per_task, kept, job)

    @property
    def digest(self) -> str:
        """What must be equal for a second submit to mean the same."""
        return hashlib.sha256(b"\n".join([str(self.items_per_task).encode(), *self.lines])).hexdigest()

    def tasks(self) -> Iterator[tuple[str, list[bytes]]]:
        for number, first in enumerate(range(0, len(self.lines), self.items_per_task)):
            yield f"{number:06d}", self.lines[first : first + self.items_per_task]


def submit(ledger: Ledger, submission: Submission) -> Iterator[str]:
    """Create what is not there yet, and yield each task's id. Raises BadSubmit when the run exists with other items; StoreError."""
    key = run_key(submission.run)
    while True:
        found = ledger.store.read(key)
        if found is not None:
            if found.get("digest") != submission.digest:
                raise BadSubmit(f"--run: {submission.run!r} was submitted before with other items or another number per task; choose another name")
            break
        record = {"kind": "run", "key": key, "run": submission.run, "digest": submission.digest, "job": submission.job}
        counts = {"items": len(submission.lines), "items_per_task": submission.items_per_task, "submitted": ledger.store.now()}
        try:
            write(ledger.store, {**record, **counts}, 0)
            break
        except Overtaken:
            continue
    for task, lines in submission.tasks():
        # Items first, then the record that makes them visible, then the bell: a cut anywhere is repaired by the same submit.
        ledger.payloads.put(items_key(submission.run, task), b"\n".join(lines) + b"\n")
        created = Task(submission.run, task, "queued", len(lines), submission.job)
        if ledger.create(created):
            ledger.ring(created)
        yield task


def results(ledger: Ledger, run: str) -> Iterator[str]:
    """Each result once, in item order, as JSON text. Raises LookupError for an unknown run; Damaged; StoreError."""
    if ledger.store.read(run_key(run)) is None:
        raise LookupError(f"run {run!r} is not known here")
    for record in ledger.store.run_tasks(run):
        task = ledger.task(record["run"], record["task"])
        if task is None:
            raise StoreError(f"{record['key']}: was listed, and is gone")
        for checkpoint in task.checkpoints:
            yield from ledger.progress(checkpoint).results
