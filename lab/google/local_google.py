"""Start and stop Cloud Storage and Pub/Sub on 127.0.0.1."""

import os
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from lab.engine.go_tool import GoTool
from lab.google.object_limit import ObjectLimit
from lab.loopback import free_ports, listens
from lab.machine.processes import end_with_parent

PROGRAMS = ("fake-gcs-server", "pstest")
PROJECT = "lab"
START_SECONDS = 20.0


class LocalGoogle:
    """Cloud Storage (fake-gcs-server, with the limit on writes that it lacks) and Pub/Sub (Google's pstest), in memory, for one block.

    Both end with the block, or with this process. `folder` takes their logs. `write_seconds` is how long an object cannot be written
    again; Google's is 1. Programs that are missing are built first, a minute each. Raises `ToolError` where they cannot be built,
    RuntimeError with the log's end if one does not start.
    """

    def __init__(self, folder: Path, write_seconds: float = 1.0) -> None:
        self._folder, self._write_seconds = folder, write_seconds
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.environment: dict[str, str] = {}
        """What Google's clients need to talk to these servers and to nothing else."""

    def __enter__(self) -> "LocalGoogle":
        programs = {name: GoTool(name).build() for name in PROGRAMS}
        self._folder.mkdir(parents=True, exist_ok=True)
        objects, messages = free_ports(2)
        self.limit = ObjectLimit(objects, self._write_seconds)
        try:
            arguments = ("-scheme", "http", "-host", "127.0.0.1", "-port", str(objects), "-backend", "memory")
            # Sessions of long uploads are addresses: they, too, must lead through the limit.
            self._run(programs, "fake-gcs-server", *arguments, "-external-url", self.limit.endpoint)
            self._run(programs, "pstest", "-port", str(messages))
            self._wait("fake-gcs-server", lambda: _answers(f"http://127.0.0.1:{objects}/_internal/healthcheck"))
            self._wait("pstest", lambda: listens(messages))
        except BaseException:
            self._end()
            raise
        self.environment = {
            "STORAGE_EMULATOR_HOST": self.limit.endpoint,
            "PUBSUB_EMULATOR_HOST": f"127.0.0.1:{messages}",
            "GOOGLE_CLOUD_PROJECT": PROJECT,
        }
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _run(self, programs: dict[str, Path], name: str, *arguments: str) -> None:
        with (self._folder / f"{name}.log").open("wb") as log:
            environment = {"PATH": os.defpath, "HOME": str(self._folder), "TMPDIR": str(self._folder)}
            self._running[name] = subprocess.Popen(
                [programs[name], *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, preexec_fn=end_with_parent
            )

    def _wait(self, name: str, ready: Callable[[], bool]) -> None:
        until = time.monotonic() + START_SECONDS
        while not ready():
            if self._running[name].poll() is not None or time.monotonic() > until:
                log = (self._folder / f"{name}.log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{name} did not answer within {START_SECONDS:.0f} s; its log ends with\n{log}")
            time.sleep(0.05)

    def _end(self) -> None:
        for process in self._running.values():
            process.kill()
        for process in self._running.values():
            process.wait()
        self.limit.stop()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:
            return reply.status == 200
    except OSError:
        return False
