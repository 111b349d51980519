"""Stands between a worker process and a command: however the worker ends, no part of the command outlives it.

`python -I guard.py COMMAND ...`, as leader of the command's process group; its standard input is a pipe that only the worker holds open.
It ends as the command ends: with the same status, or by the same signal.
"""

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import sys
import threading

_PR_SET_PDEATHSIG = 1
_NOT_FOUND, _NOT_RUNNABLE = 127, 126
"""What a shell ends with."""


def _end_with_guard() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _end_with_worker() -> None:
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


def main(command: list[str]) -> int:
    # A handler, not "ignore": the command inherits what is ignored, and not what is handled.
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, lambda *_: None)
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_end_with_guard)
    except OSError as fault:
        print(f"spotbatch run: {command[0]}: {fault.strerror}", file=sys.stderr, flush=True)
        return _NOT_FOUND if isinstance(fault, FileNotFoundError) else _NOT_RUNNABLE
    threading.Thread(target=_end_with_worker, daemon=True).start()
    status = child.wait()
    if status < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))
