"""`spotbatch status`: how far a run is, what was taken back, which machines work, and whether anything stands still."""

import json
import sys
import time
from typing import Annotated

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from spotbatch import clouds
from spotbatch.ledger import Ledger
from spotbatch.task import CAUSES, STATES
from spotbatch.tools.options import Queue
from spotbatch.tools.overview import Age, Overview, overview

LOOK_SECONDS = 2.0
"""Between two looks of --watch."""

INTERRUPTED = 130
"""Exit status of a watch that Ctrl-C ended, as shells have it."""

_DEAD_SHOWN = 20
_BAR = 40
_COLOURS = {"queued": "", "running": "cyan", "done": "green", "dead": "red", "interrupted": "", "lost": "yellow", "failed": "red"}


def command(
    run: Annotated[str | None, typer.Argument(help="one run; default: all")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="the same as JSON; with --watch a line for each change")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="look every two seconds until all tasks have ended; 1 if one is dead or unreadable")] = False,
    queue: Queue = clouds.DEFAULT_QUEUE,
) -> None:
    """How far a run is, or all runs together: tasks, what was taken back and why, machines, the oldest of everything, idle machine hours."""
    ledger, title = Ledger(clouds.connect(queue)), f"{f'run {run}' if run else 'all runs'} on {queue}"
    if watch:
        raise typer.Exit(_watch(ledger, run, title, as_json=as_json))
    seen = overview(ledger, run)
    if as_json:
        print(json.dumps(seen.to_json()))
    else:
        Console().print(picture(seen, title, run))


def picture(seen: Overview, title: str, run: str | None) -> Group:
    """One look as text of any width."""
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(overflow="fold")
    bar = Table.grid(padding=(0, 2))
    bar.add_row(ProgressBar(max(1, seen.items_total), seen.items_done, width=_BAR), _progress(seen))
    rows.add_row("items", bar)
    rows.add_row("tasks", _counted(seen.tasks, STATES))
    rows.add_row("taken back", _counted(seen.taken_back, CAUSES))
    rows.add_row("machines", f"{seen.alive} alive" + (f", {seen.draining} of them draining" if seen.draining else ""))
    for name, age in (("oldest beat", seen.oldest_beat), ("oldest item", seen.oldest_item), ("oldest save", seen.oldest_save)):
        if age is not None:
            rows.add_row(name, _age(age))
    if seen.machine_seconds:
        rows.add_row("idle", _idle(seen, run))
    for name, task, why in seen.dead[:_DEAD_SHOWN]:
        rows.add_row("dead", Text(f"{name} {task}: {why}"))
    if len(seen.dead) > _DEAD_SHOWN:
        rows.add_row("", f"and {len(seen.dead) - _DEAD_SHOWN} more dead tasks; --json has them all")
    for fault in seen.unreadable:
        rows.add_row("unreadable", Text(fault, style="red"))
    return Group(Text(title, style="bold", overflow="fold"), rows)


def line(seen: Overview) -> str:
    """One look on a line, for where there is no terminal."""
    told = f"{_progress(seen)}; tasks: {_counted(seen.tasks, STATES)}; taken back: {_counted(seen.taken_back, CAUSES)}; machines: {seen.alive} alive"
    return told + (f"; unreadable: {'; '.join(seen.unreadable)}" if seen.unreadable else "")


def _watch(ledger: Ledger, run: str | None, title: str, *, as_json: bool) -> int:
    """Until nothing is queued or running. 0; 1 when a task is dead, or its record cannot be read; 130 after Ctrl-C."""
    console = Console()
    try:
        if console.is_terminal and not as_json:
            with Live(console=console, auto_refresh=False) as live:
                while True:
                    seen = overview(ledger, run)
                    live.update(picture(seen, title, run), refresh=True)
                    if seen.ended:
                        break
                    time.sleep(LOOK_SECONDS)
        else:
            told = ""
            while True:
                seen = overview(ledger, run)
                text = json.dumps(seen.to_json()) if as_json else line(seen)
                if text != told:
                    print(text, flush=True)
                told = text
                if seen.ended:
                    break
                time.sleep(LOOK_SECONDS)
    except KeyboardInterrupt:
        print("spotbatch: the watch has ended, the run goes on", file=sys.stderr)
        return INTERRUPTED
    return int(bool(seen.dead or seen.unknown))


def _progress(seen: Overview) -> str:
    share = f", {100 * seen.items_done // seen.items_total} %" if seen.items_total else ""
    return f"{seen.items_done:,} of {seen.items_total:,} items{share}"


def _counted(counts: dict[str, int], names: tuple[str, ...]) -> Text:
    parts = [Text(f"{counts[name]:,} {name}", style=_COLOURS[name] if counts[name] else "dim") for name in names]
    return Text(", ").join(parts)


def _age(age: Age) -> str:
    return f"{_duration(age.seconds)} on {age.machine}" + (f", task {age.task}" if age.task else "")


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _idle(seen: Overview, run: str | None) -> str:
    share = 100 * seen.idle_seconds / seen.machine_seconds
    most = ", at most" if seen.history_cut else ""
    told = f"{_duration(seen.idle_seconds)} of {_duration(seen.machine_seconds)} of machine time ({share:.0f} %{most}) without a task"
    return told + (" of this run" if run else "")
