"""A run that has ended, as a workload: how long its items took, as far as its ledger says."""

import numpy as np

from spotbatch import clouds
from spotbatch.ledger import Ledger
from spotbatch.submit import run_key
from spotbatch.task import Task
from spotbatch.tools.simulation.plan import Plan
from spotbatch.tools.simulation.setting import Workload


def plan_of(queue: str) -> Plan:
    """`local:FOLDER` or an SQS queue's URL, with `#RUN` behind it for another run than the one submitted last.

    A checkpoint says when it was made and which items it covers, so items are known in such groups; those that no record covers count as
    the mean of the others. Machines: as many as claimed tasks. Raises LookupError, clouds.BadQueueName, StoreError.
    """
    name, _, wanted = queue.partition("#")
    ledger = Ledger(clouds.connect(name))
    runs = sorted(ledger.store.runs(), key=lambda record: float(record.get("submitted", 0.0)))
    if not runs:
        raise LookupError(f"--from-run: {queue!r} has no run")
    if wanted and ledger.store.read(run_key(wanted)) is None:
        raise LookupError(f"--from-run: run {wanted!r} is not known in {name}, which has {', '.join(str(run['run']) for run in runs[-5:])}")
    run = wanted or str(runs[-1]["run"])
    tasks = [Task.from_record(record) for record in ledger.store.run_tasks(run)]
    open_ones = sum(task.state in ("queued", "running") for task in tasks)
    if open_ones:
        raise LookupError(f"--from-run: run {run!r} is not finished: {open_ones} of {len(tasks)} tasks are queued or running")
    known = [item_seconds(task) for task in tasks]
    recorded = [seconds for item in known for seconds in item if seconds is not None]
    if not recorded:
        raise LookupError(f"--from-run: run {run!r} has no record of when its items were done; describe the job in a YAML file for --workload")
    mean = float(np.mean(recorded))
    items = [mean if seconds is None else seconds for item in known for seconds in item]
    machines = {str(entry["machine"]) for task in tasks for entry in task.history if entry.get("what") == "claimed" and entry.get("machine")}
    text = f"run {run}: {len(items)} items, {len(recorded)} of them timed by its ledger"
    return Plan(Workload(text, np.array(items), resumable=False), max(1, len(machines)))


def item_seconds(task: Task) -> list[float | None]:
    """Of each item: the time between the checkpoints, or claim and checkpoint, around it."""
    found: list[float | None] = [None] * task.items_total
    claims = sorted(float(entry["at"]) for entry in task.history if entry.get("what") == "claimed" and "at" in entry)
    before = 0.0
    for checkpoint in task.checkpoints:
        claimed = max((at for at in claims if at <= checkpoint.at), default=0.0)
        began = max(before, claimed)
        if began and checkpoint.at > began and checkpoint.end > checkpoint.first:
            each = (checkpoint.at - began) / (checkpoint.end - checkpoint.first)
            found[checkpoint.first : checkpoint.end] = [each] * (checkpoint.end - checkpoint.first)
        before = checkpoint.at
    return found
