"""One service under the lab's systemd: started, restarted within its limits, stopped as its unit says."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from lab.machine.processes import descendants, ended, marked, send
from lab.machine.unit_file import UnitFile, environment_lines

_VARIABLE = re.compile(r"\$\$|\$\{(\w+)\}")


class Service:
    """Runs one unit's process. Its control group is everything below that process or with its INVOCATION_ID: systemd sets that variable too."""

    def __init__(self, unit: UnitFile, environment: dict[str, str], log: Callable[[str], None], power_off: Callable[[], None]) -> None:
        self.unit = unit
        self.state = "inactive"
        """systemd's ActiveState: inactive, activating, active, deactivating or failed."""
        self.main: subprocess.Popen[bytes] | None = None
        self._environment = environment
        self._log = log
        self._power_off = power_off
        self._invocation = ""
        self._starts: list[float] = []
        self._supervisor: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start unless it runs. Raises OSError or BadUnit when the program or an environment file cannot be had."""
        if self._supervisor is not None and not self._supervisor.done():
            return
        self._starts.clear()
        self._launch()
        self._supervisor = asyncio.create_task(self._supervise())

    async def finished(self) -> int:
        """Wait until the process ends for good (Type=oneshot waits so); its last exit status."""
        if self._supervisor is not None:
            await self._supervisor
        return self.main.returncode if self.main is not None else 0

    async def stop(self) -> None:
        """The unit's signal as KillMode says, then SIGKILL to the whole group after TimeoutStopSec, or when the main process has gone."""
        if self.state not in ("active", "activating"):
            return
        self.state = "deactivating"
        self._log(f"systemd: Stopping {self.unit.name}")
        main = self.main
        if main is not None and main.poll() is None:
            receivers = [main.pid, *(self._group() if self.unit.kill_mode == "control-group" else [])]
            for pid in dict.fromkeys(receivers):
                send(pid, getattr(signal, self.unit.kill_signal))
            limit = None if self.unit.stop_seconds == float("inf") else self.unit.stop_seconds
            try:
                await asyncio.wait_for(ended(main), limit)
            except TimeoutError:
                self._log(f"systemd: {self.unit.name}: still there after TimeoutStopSec={self.unit.stop_seconds:g}: killing")
        if self.unit.kill_mode != "process":
            self._kill_group()
        if main is not None and main.poll() is None:
            send(main.pid, signal.SIGKILL)
            await ended(main)
        if self._supervisor is not None:
            await self._supervisor
        self._log(f"systemd: Stopped {self.unit.name}")

    def _launch(self) -> None:
        self._invocation = uuid.uuid4().hex
        variables = {**self._environment, "INVOCATION_ID": self._invocation}
        variables |= self.unit.environment
        for name in self.unit.environment_files:
            path = Path(name.removeprefix("-"))
            if path.exists() or not name.startswith("-"):
                variables |= environment_lines(path.read_text())
        self.main = subprocess.Popen(
            self._words(self.unit.command, variables),
            env=variables,
            cwd=self.unit.working_directory,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._starts.append(time.monotonic())
        self.state = "activating" if self.unit.type == "oneshot" else "active"
        self._log(f"systemd: Started {self.unit.name} (pid {self.main.pid})")

    def _words(self, command: tuple[str, ...], variables: dict[str, str]) -> list[str]:
        """The command line as systemd.service(5) has it: ${X} replaced, $X alone split into words, $$ a dollar; then PATH is searched."""
        words: list[str] = []
        for word in command:
            if (whole := re.fullmatch(r"\$(\w+)", word)) is not None:
                words += variables.get(whole[1], "").split()
            else:
                words.append(_VARIABLE.sub(lambda found: variables.get(found[1], "") if found[1] else "$", word))
        program = words[0].lstrip("-@:+!")
        found = shutil.which(program, path=variables.get("PATH"))
        if found is None:
            raise FileNotFoundError(f"{self.unit.name}: Unable to locate executable '{program}': No such file or directory")
        return [found, *words[1:]]

    async def _supervise(self) -> None:
        while True:
            main = self.main
            assert main is not None
            status = await ended(main)
            if self.state == "deactivating":
                self.state = "inactive"
                return
            if self.unit.kill_mode != "process":
                self._kill_group()
            clean = status in self.unit.success_statuses or status in (-signal.SIGTERM, -signal.SIGHUP, -signal.SIGINT, -signal.SIGPIPE)
            how = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
            self._log(f"systemd: {self.unit.name}: Main process exited, {how}")
            self.state = "inactive" if clean else "failed"
            if not self._restarts(clean, status):
                return
            self.state = "activating"
            await asyncio.sleep(self.unit.restart_seconds)
            if self.state != "activating":
                self.state = "inactive"
                return
            recent = [at for at in self._starts if at > time.monotonic() - self.unit.start_limit_seconds]
            if self.unit.start_limit_burst and len(recent) >= self.unit.start_limit_burst:
                self._log(f"systemd: {self.unit.name}: Start request repeated too quickly.")
                self.state = "failed"
                if self.unit.start_limit_action != "none":
                    self._power_off()
                return
            try:
                self._launch()
            except OSError as fault:
                self._log(f"systemd: {self.unit.name}: {fault}")
                self.state = "failed"
                return

    def _restarts(self, clean: bool, status: int) -> bool:
        if status in self.unit.restart_prevented_by:
            return False
        match self.unit.restart:
            case "always":
                return True
            case "on-success":
                return clean
            case "on-failure":
                return not clean
            case "on-abnormal":
                return not clean and status < 0
        return False

    def _group(self) -> list[int]:
        below = descendants(self.main.pid) if self.main is not None and self.main.poll() is None else []
        # Processes that set their environment anew and left their parent are the machine's: they die with it.
        return list(dict.fromkeys([*below, *(pid for pid in marked("INVOCATION_ID", self._invocation) if pid != os.getpid())]))

    def _kill_group(self) -> None:
        for pid in self._group():
            send(pid, signal.SIGKILL)
