"""The processes behind one instance: started, told things, ended."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.machine.processes import end_tree, ended, marked, send
from lab.places import CHECKOUT


class MachineProcess:
    """Runs `python -m lab.machine` for an instance, with its metadata service on a free loopback port.

    Its standard input is its life line: orders go down it, and when this process dies the machine ends itself.
    """

    def __init__(self, root: Path, console: Path, python: Path, over: Callable[[int], None]) -> None:
        """`over` is called with the exit status when the machine has gone, whatever the reason."""
        self.root = root
        self.console = console
        self._python = python
        self._over = over
        self._process: subprocess.Popen[bytes] | None = None
        self._watch: asyncio.Task[None] | None = None
        self.metadata_endpoint = ""

    @property
    def pid(self) -> int | None:
        """None once it has gone."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    def start(self, order: dict[str, Any]) -> None:
        """Power on; `order` is what lab.machine reads first."""
        self.root.mkdir(parents=True, exist_ok=True)
        with socket.create_server(("127.0.0.1", 0)) as listener, self.console.open("ab") as console:
            self.metadata_endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
            self._process = subprocess.Popen(
                [str(self._python), "-m", "lab.machine", str(listener.fileno())],
                stdin=subprocess.PIPE,
                stdout=console,
                stderr=console,
                cwd=CHECKOUT,
                env={"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"},
                pass_fds=[listener.fileno()],
                start_new_session=True,
            )
        self._watch = asyncio.create_task(self._wait())
        self._tell({**order, "root": str(self.root)})

    def change_metadata(self, values: dict[str, str | None]) -> None:
        """Set paths of the metadata service, or remove them (None)."""
        self._tell({"metadata": values})

    def shut_down(self) -> None:
        """Press the power button: services are stopped, then the machine goes."""
        self._tell({"power": "off"})

    def kill(self) -> None:
        """Cut the power: no process of the machine does anything after this."""
        if (pid := self.pid) is not None:
            end_tree(pid)

    def _tell(self, message: dict[str, Any]) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):
                self._process.stdin.write(json.dumps(message).encode() + b"\n")
                self._process.stdin.flush()

    def _end_strays(self) -> None:
        # Only when the machine's first process was killed by its own job is there anything here.
        for pid in marked("SPOTBATCH_ROOT", str(self.root)):
            send(pid, signal.SIGKILL)

    async def _wait(self) -> None:
        assert self._process is not None
        status = await ended(self._process)
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._end_strays()
        self._over(status)
