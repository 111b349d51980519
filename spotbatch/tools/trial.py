"""A job run for `spotbatch check` in a process of its own: what each item took and gave, and the job's state on the way.

`python -m spotbatch.tools.trial FOLDER`: reads FOLDER/asked.json, writes a JSON object a line to FOLDER/seen.jsonl as things happen.
"""

import base64
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from spotbatch.checkpoint import result_text
from spotbatch.loop_job import LoopJob
from spotbatch.process import BadJob, end_with_parent, load
from spotbatch.worker import BatchWorker

SETUP_SECONDS = 600.0
"""What `setup` or a state's way back may take before the job counts as hanging."""

_LOOK = 0.02


@dataclass(frozen=True)
class Asked:
    """What a trial is to do."""

    job: str
    items: list[str]
    """As JSON texts."""
    epoch: int = 1
    state: str | None = None
    """To begin with, base64; None: from nothing."""
    save_before: int = -1
    """The item before which the state is saved as well."""
    parent: int = 0


@dataclass
class State:
    """What `save_state` gave."""

    data: str | None
    """Base64; None: the job has no state."""
    size: int
    seconds: float


@dataclass
class Trial:
    """What was seen of a job. Faults are the last line of a traceback, or how the process ended."""

    checkpoint_items: int = BatchWorker.checkpoint_items
    bad_job: str = ""
    """The job's name leads nowhere."""
    not_started: str = ""
    not_restored: str = ""
    restore_seconds: float = 0.0
    seconds: dict[int, float] = field(default_factory=dict)
    """By item, of those that ended."""
    results: dict[int, str] = field(default_factory=dict)
    faults: dict[int, str] = field(default_factory=dict)
    """By item: what it raised, or how it ended the process."""
    bad_results: dict[int, str] = field(default_factory=dict)
    bad_state: str = ""
    midway: State | None = None
    last: State | None = None


def run_trial(asked: Asked, folder: Path, item_seconds: float) -> Trial:
    """Run a job in a child process until it ends, or an item takes longer than `item_seconds`. Its output goes to standard error."""
    (folder / "asked.json").write_text(json.dumps(asdict(asked)))
    seen = folder / "seen.jsonl"
    seen.write_text("")
    command = [sys.executable, "-u", "-m", "spotbatch.tools.trial", str(folder)]
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, process_group=0)
    hung = False
    try:
        size, since = 0, time.monotonic()
        while child.poll() is None:
            time.sleep(_LOOK)
            if (now := seen.stat().st_size) != size:
                size, since = now, time.monotonic()
            if time.monotonic() - since > (item_seconds if _in_item(seen) else SETUP_SECONDS):
                hung = True
                break
    finally:
        if child.returncode is None:
            os.killpg(child.pid, signal.SIGKILL)
        status = child.wait()
    ended = f"it hangs: {item_seconds:g} s were not enough" if hung else _ended(status)
    # A line that was never finished tells nothing: the process was killed over it.
    return _read(seen.read_text().rpartition("\n")[0].splitlines(), ended)


def _in_item(seen: Path) -> bool:
    with seen.open("rb") as file:
        file.seek(-min(seen.stat().st_size, 80), os.SEEK_END)
        return file.read().rstrip(b"\n").rpartition(b"\n")[2].startswith(b'{"begins"')


def _ended(status: int) -> str:
    if status < 0:
        return f"it ends its process by signal {-status} ({signal.Signals(-status).name})"
    return f"it ends its process with status {status}" if status else ""


def _read(lines: list[str], ended: str) -> Trial:
    trial = Trial()
    stage: int | str | None = "setup"
    for line in lines:
        told: dict[str, Any] = json.loads(line)
        for name in ("bad_job", "not_started", "not_restored", "bad_state", "restore_seconds", "checkpoint_items"):
            setattr(trial, name, told.get(name, getattr(trial, name)))
        for name in ("midway", "last"):
            if name in told:
                setattr(trial, name, State(**told[name]))
        if "restore_seconds" in told or "last" in told:
            stage = None
        if "begins" in told:
            stage = told["begins"]
        if "item" in told:
            stage, item = None, told["item"]
            trial.seconds[item] = told["seconds"]
            for name in ("results", "faults", "bad_results"):
                if name in told:
                    getattr(trial, name)[item] = told[name]
    if ended and isinstance(stage, int):
        trial.faults[stage] = ended
    elif ended and stage == "setup" and not trial.not_started and not trial.bad_job:
        trial.not_started = ended
    return trial


def _try(job: BatchWorker, asked: Asked, tell: Callable[..., None]) -> None:
    job.run_name, job.task_id, job.epoch = "check", "000000", asked.epoch
    began = time.perf_counter()
    try:
        job.restore_state(None if asked.state is None else base64.b64decode(asked.state))
    except Exception:
        tell(not_restored=_last_line())
        return
    tell(restore_seconds=time.perf_counter() - began)
    for number, item in enumerate(map(json.loads, asked.items)):
        if number == asked.save_before:
            tell(**_saved(job, "midway"))
        tell(begins=number)
        began = time.perf_counter()
        try:
            result = job.process_item(item)
        except Exception:
            tell(item=number, seconds=time.perf_counter() - began, faults=_last_line())
            continue
        took = time.perf_counter() - began
        try:
            tell(item=number, seconds=took, results=result_text(result))
        except (TypeError, ValueError) as fault:
            tell(item=number, seconds=took, bad_results=f"a {type(result).__name__}: {fault}")
    tell(**_saved(job, "last"))


def _saved(job: BatchWorker, name: str) -> dict[str, Any]:
    began = time.perf_counter()
    try:
        state = job.save_state()
    except Exception:
        return {"bad_state": f"save_state raises {_last_line()}"}
    took = time.perf_counter() - began
    if state is not None and not isinstance(state, bytes):
        return {"bad_state": f"save_state returns a {type(state).__name__}"}
    data = None if state is None else base64.b64encode(state).decode()
    return {name: {"data": data, "size": len(state or b""), "seconds": took}}


def _last_line() -> str:
    return traceback.format_exc().strip().rsplit("\n", 1)[-1]


def main(folder: Path) -> int:
    asked = Asked(**json.loads((folder / "asked.json").read_text()))
    end_with_parent(asked.parent)
    with (folder / "seen.jsonl").open("a", buffering=1) as seen:

        def tell(**what: Any) -> None:
            seen.write(json.dumps(what) + "\n")

        try:
            kind = load(asked.job)
            if issubclass(kind, LoopJob):
                raise BadJob(f"job: {asked.job!r} has the loop in its own hands; only a class with process_item can be run item by item")
            job = kind()
            job.setup()
        except BadJob as fault:
            tell(bad_job=str(fault))
            return 0
        except Exception:
            tell(not_started=_last_line())
            return 0
        tell(checkpoint_items=job.checkpoint_items)
        _try(job, asked, tell)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
