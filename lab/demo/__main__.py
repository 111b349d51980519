"""`make demo`: deploy stack `local` to the local cloud, run a real job, take machines away as recorded, lose nothing."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from lab.cloud import LocalCloud
from lab.demo.count import count
from lab.demo.declared import by_component
from lab.demo.replay import Replay
from lab.demo.report import Report, show
from lab.demo.timings import moments, timings
from lab.demo.trace import SIXTH_HOUR
from lab.engine import Engine
from lab.places import CHECKOUT, python, state_folder
from lab.progress import ProgressDisplay
from spotbatch import clouds
from spotbatch.ledger import Ledger
from spotbatch.task import Task
from spotbatch.tools.prices.price_tables import PriceTables
from spotbatch.tools.savings_after import AssumedMachine, account

ETL = CHECKOUT / "examples/etl"
SPOTBATCH = str(python().with_name("spotbatch"))
ITEM_SECONDS = 0.35
ITEMS_PER_TASK = 50
NOTICE_SECONDS = 12.0
RUN = "demo"
LONGEST_RUN_SECONDS = 170.0
FIRST_ITEMS = 60
"""The replay begins once so many items are durable or three tasks are claimed: machines are then at work."""


class DemoFailed(Exception):
    """The demonstration did not show what it promises; the text says what."""


def tool(*arguments: str, cwd: Path = ETL, **environment: str) -> str:
    """Run a command of the project as a user would; its standard output. Raises DemoFailed with what it printed."""
    ran = subprocess.run([*arguments], cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, timeout=180)
    if ran.returncode:
        raise DemoFailed(f"{' '.join(arguments[:4])} ended with {ran.returncode}:\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}")
    return ran.stdout


def submit(queue: str, items: Path) -> str:
    return tool(SPOTBATCH, "submit", "--queue", queue, "--items", str(items), "--items-per-task", str(ITEMS_PER_TASK), "--run", RUN)


def undisturbed(folder: Path) -> subprocess.Popen[bytes]:
    """The same job on this computer, without machines that go: what its results must be."""
    queue = f"local:{folder}/undisturbed"
    items = folder / "unpaced.jsonl"
    items.write_text(tool(str(python()), "make_items.py"))
    submit(queue, items)
    log = (folder / "undisturbed.log").open("wb")
    command = [SPOTBATCH, "worker", "etl:SurvivalStatistics", "--queue", queue, "--until-empty"]
    environment = {**os.environ, "PYTHONPATH": str(ETL)}
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)


def tasks_of(ledger: Ledger) -> list[Task]:
    return [Task.from_record(record) for record in ledger.store.run_tasks(RUN)]


def work(ledger: Ledger, replay: Replay, detail: Callable[[str, str, int, int], None]) -> list[Task]:
    """Until every task is done and every recorded interruption has happened. Raises DemoFailed."""
    begun, replaying = time.monotonic(), False
    while True:
        tasks = tasks_of(ledger)
        done, total = sum(task.items_done for task in tasks), sum(task.items_total for task in tasks)
        states = [task.state for task in tasks]
        detail("the job runs", f"{states.count('running')} tasks running, {len(replay.taken)} machines taken, items", done, total)
        if not replaying and (done >= FIRST_ITEMS or states.count("running") >= 3):
            replay.begin()
            replaying = True
        if replay.failure:
            raise DemoFailed(f"the replay stopped: {replay.failure}") from replay.failure
        dead = [task for task in tasks if task.state == "dead"]
        if dead:
            raise DemoFailed(f"task {dead[0].id} is dead: {dead[0].traceback or dead[0].history[-3:]}")
        if all(state == "done" for state in states) and replaying and replay.finished:
            return tasks
        if time.monotonic() - begun > LONGEST_RUN_SECONDS:
            raise DemoFailed(f"after {LONGEST_RUN_SECONDS:.0f} s the job has done {done} of {total} items: {states}")
        time.sleep(1.0)


def demo(folder: Path, console: Console, progress: ProgressDisplay) -> Report:
    """The whole story. Raises DemoFailed."""
    begun = time.monotonic()

    def detail(doing: str, text: str, done: int = 0, total: int = 0) -> None:
        """What changes each second is for a terminal; a log keeps to the headlines."""
        progress(f"{doing}: {text.strip()[:90]}" if console.is_terminal else doing, done, total)

    def pulumi_line(text: str) -> None:
        if console.is_terminal:
            detail("pulumi", text)

    progress("the same job without interruptions, for comparison")
    comparison = undisturbed(folder)
    progress("starting the local cloud on 127.0.0.1")
    with LocalCloud(folder / "cloud") as cloud:
        os.environ.update(cloud.environment)
        stack = Engine(CHECKOUT, folder / "engine", cloud.environment).stack("local", pulumi_line)
        progress("pulumi up of stack local")
        up = stack.up()
        if not up.ok:
            raise DemoFailed(f"pulumi up failed:\n{up.text}")
        outputs = stack.outputs()
        resources = [event["resourcePreEvent"]["metadata"]["urn"] for event in up.events if "resourcePreEvent" in event]
        console.print(f"[green]pulumi up[/] of stack local: {up.changes.get('create', 0)} resources in {up.seconds:.1f} s", highlight=False)

        items = folder / "items.jsonl"
        items.write_text(tool(str(python()), "make_items.py", str(ITEM_SECONDS)))
        queue = outputs["queue_url"]
        submitted = submit(queue, items)
        console.print(f"[green]spotbatch submit[/]: run {RUN}, {len(submitted.splitlines()) - 1} tasks", highlight=False)

        ledger = Ledger(clouds.connect(queue))
        replay = Replay(cloud.market, SIXTH_HOUR, NOTICE_SECONDS)
        worked = time.monotonic()
        try:
            tasks = work(ledger, replay, detail)
        finally:
            replay.stop()
        job_seconds = time.monotonic() - worked
        results = tool(SPOTBATCH, "results", RUN, "--queue", queue)
        machines = cloud.market.machines()
        saved = account(ledger, queue, RUN, PriceTables(), AssumedMachine())
        notices = moments(cloud.market.history(), "notice")

        progress("pulumi destroy of stack local")
        destroyed = stack.destroy()
        if not destroyed.ok:
            raise DemoFailed(f"pulumi destroy failed:\n{destroyed.text}")
        left = cloud.market.living()
        if left:
            raise DemoFailed(f"machines are left after destroy: {', '.join(machine.id for machine in left)}")
        logs = sorted((cloud.folder / "machines").glob("i-*-items.log"))
        counted = count(items.read_text().splitlines(), results.splitlines(), logs)

    progress("comparing with the undisturbed run")
    if comparison.wait(timeout=60):
        raise DemoFailed(f"the undisturbed run failed:\n{(folder / 'undisturbed.log').read_text()[-2000:]}")
    expected = tool(SPOTBATCH, "results", RUN, "--queue", f"local:{folder}/undisturbed")
    (folder / "results.jsonl").write_text(results)
    return Report(
        counted=counted,
        tasks=len(tasks),
        machines=len(machines),
        bulk=replay.bulk,
        unannounced=len(replay.unannounced),
        stretch=SIXTH_HOUR,
        notice_seconds=NOTICE_SECONDS,
        timings=timings(tasks, notices, replay.taken),
        saved=saved,
        equal=results == expected,
        declared=by_component(resources),
        destroyed=destroyed.changes.get("delete", 0),
        summary=subprocess.run([python(), "summary.py"], cwd=ETL, input=results, capture_output=True, text=True, check=True).stdout,
        job_seconds=job_seconds,
        seconds=time.monotonic() - begun,
    )


def main() -> int:
    console = Console()
    if not console.is_terminal:
        console = Console(width=120)
    parent = state_folder()
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="demo-", dir=parent) as folder, ProgressDisplay() as progress:
        try:
            report = demo(Path(folder), console, progress)
        except DemoFailed as fault:
            console.print(f"[red]make demo failed:[/] {fault}", highlight=False, markup=True)
            return 1
    show(report, console)
    return 0 if report.lossless else 1


if __name__ == "__main__":
    sys.exit(main())
