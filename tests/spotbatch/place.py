"""Programs under `spotbatch run` as real processes, on one queue, in folders as different machines would have them."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from spotbatch.clouds import connect
from spotbatch.ledger import Ledger
from spotbatch.task import Task
from tests.spotbatch.machines import processes_of

PROGRAMS = Path(__file__).parent / "programs"


class Place:
    """One queue (default: a local one), and folders as different machines would have them."""

    def __init__(self, folder: Path, queue: str = "") -> None:
        self.folder, self.log = folder, folder / "job.log"
        self.queue = queue or f"local:{folder / 'queue'}"
        self.environment = {**os.environ, "SPOTBATCH_QUEUE": self.queue, "JOB_LOG": str(self.log), "SAVE_STEPS": "100"}
        self.started: list[subprocess.Popen[bytes]] = []
        self._output = (folder / "events.log").open("ab")

    def start(
        self, *command: str, options: tuple[str, ...] = (), on: str = "here", metadata: str = "", before: tuple[str, ...] = ()
    ) -> subprocess.Popen[bytes]:
        """`spotbatch run` on that machine, with a lease of 2 s and saves every 2 s; its checkpoints are in the folder `kept`.

        `metadata` is the endpoint of its metadata service; `before`: what the line begins with, such as nsenter.
        """
        (self.folder / on).mkdir(exist_ok=True)
        spotbatch = [*before, sys.executable, "-c", "from spotbatch.tools.cli import main; main()", "run", "--checkpoint-dir", "kept"]
        words = [*spotbatch, "--lease", "2", "--save-every", "2", "--run", "run", *options, "--", *command]
        environment = {**self.environment, **({"AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata} if metadata else {})}
        process = subprocess.Popen(words, env=environment, cwd=self.folder / on, stdout=subprocess.DEVNULL, stderr=self._output)
        self.started.append(process)
        return process

    def steps(self, count: int, seconds: float = 0.02, **how: Any) -> subprocess.Popen[bytes]:
        return self.start(sys.executable, str(PROGRAMS / "steps.py"), "kept", str(count), str(seconds), **how)

    @functools.cached_property
    def ledger(self) -> Ledger:
        return Ledger(connect(self.queue))

    def kept(self, name: str, on: str = "here") -> Path:
        return self.folder / on / "kept" / name

    def ended(self, process: subprocess.Popen[bytes], seconds: float = 60) -> int:
        return process.wait(timeout=seconds)

    def text(self) -> str:
        return (self.folder / "events.log").read_text()

    def events(self, name: str = "") -> list[dict]:
        lines = [json.loads(line) for line in self.text().splitlines() if line.startswith("{") and line.endswith("}")]
        return [line for line in lines if not name or line["event"] == name]

    def task(self) -> Task:
        found = self.ledger.task("run", "000000")
        assert found is not None
        return found

    def close(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.wait()
        self._output.close()


def walked(count: int) -> dict:
    at = 1
    for _ in range(count):
        at = (at * 6364136223846793005 + 1442695040888963407) % 2**64
    return {"step": count, "at": at}


def steps_logged(place: Place) -> list[int]:
    return [int(line) for line in place.log.read_text().split()] if place.log.exists() else []


def tree_of(pid: int) -> list[int]:
    return [pid, *(below for child in processes_of(pid) for below in tree_of(child))]


def members(group: int) -> list[int]:
    """Processes of a group that are alive."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, leader = path.read_text().rsplit(")", 1)[1].split()[:3]
        except OSError:
            continue
        if int(leader) == group and state not in ("Z", "X"):
            found.append(int(path.parent.name))
    return found
