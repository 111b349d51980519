"""A server of the lab that lives in a folder: started, found again, and ended with everything below it."""

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, ClassVar, Self

from lab.machine.processes import end_tree, send
from lab.places import CHECKOUT

STOP_SECONDS = 10.0


class ServedFolder:
    """`module` runs in a process of its own, and says in `NAME.json` of the folder where it is; `NAME.log` has what it prints.

    As a context manager it lives as long as the block, and ends by itself if this process is killed. `start(background=True)` outlives
    this process; `attach(folder)` finds it again, also to stop it.
    """

    name: ClassVar[str]
    module: ClassVar[str]
    start_seconds: ClassVar[float]

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._process: subprocess.Popen[bytes] | None = None
        self._address: dict[str, Any] = {}

    @classmethod
    def attach(cls, folder: Path) -> Self | None:
        """The one that runs in a folder, or None."""
        found = cls(folder)
        with contextlib.suppress(OSError, ValueError):
            found._address = json.loads(found._file.read_text())
            if found._serves(found._address["pid"]):
                return found
        return None

    @property
    def pid(self) -> int:
        return self._address["pid"]

    def start(self, *, background: bool = False) -> Self:
        """Start, and return when it answers. The folder is emptied first."""
        raise NotImplementedError

    def _serve(self, python: Path, settings: dict[str, Any], *, background: bool, environment: dict[str, str] | None = None) -> Self:
        """Run the server with `settings` beside the folder and the owner's process id. Raises RuntimeError, with the log's end, if it ends."""
        settings = {"folder": str(self.folder), "owner": None if background else os.getpid(), **settings}
        with (self.folder / f"{self.name}.log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(python), "-m", self.module, json.dumps(settings)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=CHECKOUT,
                env=environment,
                start_new_session=True,
            )
        until = time.monotonic() + self.start_seconds
        while not self._file.exists():
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise RuntimeError(f"The local {self.name} did not start; {self.folder / f'{self.name}.log'} ends with\n{self.log()[-2500:]}")
            time.sleep(0.05)
        self._address = json.loads(self._file.read_text())
        return self

    def stop(self) -> None:
        """End it and everything it started; nothing of it runs on return. Logs stay in the folder."""
        pid = self._process.pid if self._process is not None else self._address.get("pid")
        if pid is not None and self._serves(pid):
            send(pid, signal.SIGTERM)
            until = time.monotonic() + STOP_SECONDS
            while self._serves(pid) and time.monotonic() < until:
                time.sleep(0.02)
            if self._serves(pid):
                end_tree(pid)
        if self._process is not None:
            self._process.wait()
        self._file.unlink(missing_ok=True)

    def log(self) -> str:
        """What it has written."""
        return (self.folder / f"{self.name}.log").read_text(errors="replace")

    @property
    def _file(self) -> Path:
        return self.folder / f"{self.name}.json"

    def _serves(self, pid: int) -> bool:
        """Whether that process still runs and is a server of this folder: a pid may have been given to somebody else."""
        if self._process is not None and self._process.poll() is not None:
            return False
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False
        return self.module.encode() in command and json.dumps(str(self.folder)).encode() in command

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
