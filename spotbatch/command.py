"""A running command and everything that it started, as one process group."""

import os
import signal
import subprocess
import sys

from spotbatch import guard


class Command:
    """Starts at once. Ends with this process, however that ends."""

    def __init__(self, words: list[str], epoch: int) -> None:
        self._guard = subprocess.Popen(
            [sys.executable, "-I", str(guard.__file__), *words],
            stdin=subprocess.PIPE,
            process_group=0,
            env={**os.environ, "SPOTBATCH_EPOCH": str(epoch)},
        )
        self.group = self._guard.pid

    def poll(self) -> int | None:
        """None while it runs; then its exit status, or minus the signal that ended it. What it left running in its group is ended."""
        if self._guard.returncode is None and os.waitid(os.P_PID, self.group, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return None
        return self._reap()

    def signal(self, number: int) -> None:
        """To every process of the group."""
        if self._guard.returncode is None:
            os.killpg(self.group, number)

    def kill(self) -> int:
        """End the group at once; nothing if it has ended."""
        return self._reap()

    def _reap(self) -> int:
        if self._guard.returncode is None:
            # Before the leader is waited for: until then its number is nobody else's.
            os.killpg(self.group, signal.SIGKILL)
            if self._guard.stdin:
                self._guard.stdin.close()
        return self._guard.wait()
