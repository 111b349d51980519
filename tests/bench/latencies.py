"""How quickly the loop answers, in the lab: stack `local` by the real engine, interruptions of every kind, times from the ledger and the logs."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from lab.cloud import LocalCloud
from lab.demo.timings import moments
from lab.engine import Engine
from lab.places import CHECKOUT
from spotbatch import clouds
from spotbatch.ledger import Ledger
from spotbatch.registry import CLOCK_MARGIN
from spotbatch.submit import Submission, submit
from spotbatch.task import Task
from spotbatch.watcher import POLL_SECONDS
from tests.bench.figures import Figure, percentiles, within

RUN = "bench"
ITEM_SECONDS = 0.2
NOTICE_SECONDS = 10.0
MACHINES = 8
WAVES = 4


def wait_for(what: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if what():
            return True
        time.sleep(0.05)
    return False


def items() -> list[bytes]:
    made = subprocess.run([sys.executable, "make_items.py", str(ITEM_SECONDS)], cwd=CHECKOUT / "examples/etl", capture_output=True, check=True)
    # Several days' worth: the machines must stay at work throughout.
    return made.stdout.splitlines() * 8


def log_times(consoles: list[Path], event: str, **fields: str) -> dict[str, float]:
    """When each machine first logged an event, by machine."""
    found: dict[str, float] = {}
    for console in consoles:
        for line in console.read_text(errors="replace").splitlines():
            start = line.find("{")
            try:
                told = json.loads(line[start:]) if start >= 0 else {}
            except ValueError:
                continue
            if told.get("event") == event and all(told.get(name) == value for name, value in fields.items()):
                found.setdefault(told["machine"], told["t"])
    return found


def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory() as name, LocalCloud(Path(name) / "cloud") as cloud:
        os.environ.update(cloud.environment)
        stack = Engine(CHECKOUT, Path(name) / "engine", cloud.environment).stack("local")
        up = stack.up()
        if not up.ok:
            raise RuntimeError(up.text)
        ledger = Ledger(clouds.connect(stack.outputs()["queue_url"]))
        list(submit(ledger, Submission.read(items(), 500, RUN)))

        def busy() -> set[str]:
            return {record["machine"] for record in ledger.store.tasks_in("running")}

        def state(machine: str) -> str:
            return found.state if (found := ledger.machines.read(machine)) is not None else "none"

        market = cloud.market
        marked: dict[str, float] = {}
        deadlines: dict[str, float] = {}
        aware: list[str] = []
        for _ in range(WAVES):
            wait_for(lambda: len([one for one in busy() if state(one) == "active"]) >= MACHINES, 90)
            # Longer than the margin by which a boot must have registered before an event, so that none is taken for a later boot.
            time.sleep(CLOCK_MARGIN + 2)
            at_work = [one for one in sorted(busy()) if state(one) == "active"]
            silent, told, flipped = at_work[:2], at_work[2:5], at_work[5:8]
            # Machines that hear nothing, and of which nothing is heard before their end.
            deadlines |= market.interrupt(silent, notice_seconds=1.0, event=False, metadata=False)
            time.sleep(4)
            # Machines that hear of it from the ledger alone: event -> handler -> mark -> worker.
            for machine in told:
                market.interrupt(machine, notice_seconds=NOTICE_SECONDS, metadata=False)
                if wait_for(lambda machine=machine: state(machine) == "draining", 20):
                    marked[machine] = time.time()
            # Machines that hear of it from their metadata alone.
            market.interrupt(flipped, notice_seconds=NOTICE_SECONDS, event=False)
            aware += flipped
            time.sleep(NOTICE_SECONDS + 4)
        tasks = [Task.from_record(record) for record in ledger.store.run_tasks(RUN)]
        notices = moments(market.history(), "notice")
        seen = log_times([machine.console for machine in market.machines()], "notice")
        entries = [(entry.get("machine", ""), entry["at"]) for task in tasks for entry in task.history if entry["what"] in ("interrupted", "lost")]
        given = [at - notices[machine] for machine, at in entries if machine in notices and machine not in deadlines]
        queued = [at - deadlines[machine] for machine, at in entries if machine in deadlines]
        saw = [seen[machine] - notices[machine] for machine in aware if machine in seen]
        heard = [seen[machine] - at for machine, at in marked.items() if machine in seen]
        stack.destroy()
    poll = POLL_SECONDS + 1
    back = f"<= {poll + ITEM_SECONDS + 1:.1f} s (poll, item, save)"
    return [
        Figure("mark -> worker sees it", percentiles(heard), f"<= {poll:.0f} s", within(heard, poll)),
        Figure("metadata flip -> worker sees it", percentiles(saw), f"<= {poll:.0f} s", within(saw, poll)),
        Figure("notice by any way -> given back", percentiles(given), back, within(given, poll + ITEM_SECONDS + 1)),
        Figure("deadline without any notice -> queued again", percentiles(queued), "<= 2 s", within(queued, 2)),
    ]
