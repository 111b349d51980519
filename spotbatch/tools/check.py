"""`spotbatch check`: does this job fit machines that are taken away? Runs a sample of its items for real, and asks docs/fit.md's questions."""

import json
import os
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from spotbatch import clouds
from spotbatch.notice import WARNING_SECONDS
from spotbatch.protocols import Payloads
from spotbatch.submit import Submission
from spotbatch.tools.options import Queue
from spotbatch.tools.questions import Answer, Question, Seen, Speed, ask, to_json, verdict
from spotbatch.tools.trial import Asked, Trial, run_trial

_SMALL, _LARGE = 1_000, 4_000_000
_COLOURS: dict[Answer, str] = {"yes": "green", "change": "yellow", "no": "red"}


def command(
    job: Annotated[str, typer.Argument(metavar="MODULE:CLASS", help="a BatchWorker, importable from the current folder")],
    items: Annotated[Path, typer.Option("--items", exists=True, dir_okay=False, readable=True, help="one JSON value a line, as for submit")],
    sample: Annotated[
        int, typer.Option("--sample", min=1, help="how many items to run: the three longest lines, the others evenly from the file")
    ] = 20,
    notice: Annotated[float, typer.Option("--notice", min=1, help="seconds of warning: AWS gives 120, GCP 30, or 120 if asked")] = WARNING_SECONDS,
    as_json: Annotated[bool, typer.Option("--json", help="the same as JSON")] = False,
    queue: Queue = clouds.DEFAULT_QUEUE,
) -> None:
    """Ask whether a job fits: yes, no, or what to change. Runs items for real, twice and more. 0 for yes, 1 otherwise."""
    with items.open("rb") as lines:
        texts = [line.decode() for line in Submission.read(lines, 1).lines]
    payloads = clouds.connect(queue).payloads
    chosen = sampled(texts, sample)
    print(f"spotbatch: running {len(chosen)} of {len(texts):,} items, each at least twice; what the job prints comes below", file=sys.stderr)
    trials = trials_of(job, [texts[number] for number in chosen], 2 * notice)
    if trials[0].bad_job:
        raise LookupError(trials[0].bad_job)
    questions = ask(Seen(trials, [number + 1 for number in chosen], len(texts), notice, speed_of(payloads)))
    told = verdict(questions)
    if as_json:
        print(
            json.dumps({"job": job, "verdict": told, "sample": len(chosen), "items": len(texts), "notice": notice, "questions": to_json(questions)})
        )
    else:
        _show(job, questions, told)
    raise typer.Exit(int(told != "yes"))


def sampled(texts: list[str], sample: int) -> list[int]:
    """Which items to run, in order: the three longest, as they are likely to take longest, and others evenly from first to last."""
    if len(texts) <= sample:
        return list(range(len(texts)))
    chosen = set(sorted(range(len(texts)), key=lambda number: -len(texts[number]))[: min(3, sample)])
    others = [number for number in range(len(texts)) if number not in chosen]
    wanted = sample - len(chosen)
    chosen |= {others[round(at * (len(others) - 1) / max(1, wanted - 1))] for at in range(wanted)}
    return sorted(chosen)


def speed_of(payloads: Payloads) -> Speed:
    """How quickly the bucket takes payloads from here. Leaves nothing there. Raises StoreError."""
    prefix, taken = f"check/{uuid.uuid4().hex}", dict[str, float]()
    try:
        for number, size in enumerate((_SMALL, _SMALL, _SMALL, _LARGE)):
            data, began = os.urandom(size), time.perf_counter()
            payloads.put(f"{prefix}/{number}", data)
            taken[f"{prefix}/{number}"] = time.perf_counter() - began
    finally:
        for key in taken:
            payloads.delete(key)
    *small, large = taken.values()
    latency = statistics.median(small)
    return Speed(latency, _LARGE / max(large - latency, 1e-3))


def trials_of(job: str, items: list[str], item_seconds: float) -> list[Trial]:
    """From nothing; the same once more, so that it meets what the first left behind; and from the middle, with the state saved there."""
    middle = len(items) // 2
    with tempfile.TemporaryDirectory(prefix="spotbatch-check-") as name:
        folder, parent = Path(name), os.getpid()
        first = run_trial(Asked(job, items, save_before=middle, parent=parent), folder, item_seconds)
        if first.bad_job or first.not_started or first.not_restored or not first.seconds:
            return [first]
        trials = [first, run_trial(Asked(job, items, epoch=2, parent=parent), folder, item_seconds)]
        if middle and first.midway is not None:
            asked = Asked(job, items[middle:], epoch=3, state=first.midway.data, parent=parent)
            trials.append(run_trial(asked, folder, item_seconds))
        return trials


def _show(job: str, questions: list[Question], told: Answer) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for one in questions:
        table.add_row(Text(one.answer, style=_COLOURS[one.answer]), one.name, Text(one.seen))
        if one.change:
            table.add_row("", "", Text(f"-> {one.change}"))
    open_points = sum(one.answer != "yes" for one in questions)
    ends = {
        "yes": f"yes: {job} fits",
        "change": f"change {open_points} of {len(questions)} points, then {job} fits",
        "no": f"no: {job} does not fit as it is",
    }
    console = Console()
    console.print(table)
    console.print(Text(ends[told], style=f"bold {_COLOURS[told]}"))
