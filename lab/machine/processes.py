"""Find and end everything a process started, however often it forked. Linux only: it reads /proc."""

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Make this process the parent of whatever its descendants leave behind, so that a double fork does not escape `descendants`."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_with_parent() -> None:
    """In a new process, before its program: end when the thread that started it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _table() -> dict[int, tuple[int, str]]:
    """Parent and state letter of every process."""
    table: dict[int, tuple[int, str]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            # A process may end while we read: it is then simply not in the table.
            with contextlib.suppress(OSError, IndexError):
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                table[int(entry.name)] = (int(parent), state)
    return table


def descendants(pid: int) -> list[int]:
    """Living processes below `pid`, parents before children; zombies do not count."""
    table = _table()
    children: dict[int, list[int]] = {}
    for child, (parent, _) in table.items():
        children.setdefault(parent, []).append(child)
    found: list[int] = []
    waiting = [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            waiting.append(child)
            if table[child][1] not in "ZX":
                found.append(child)
    return found


def zombie_children(pid: int) -> list[int]:
    """Children of `pid` that have ended and were not waited for."""
    return [child for child, (parent, state) in _table().items() if parent == pid and state == "Z"]


def marked(variable: str, value: str) -> list[int]:
    """Living processes whose environment has `variable=value` or a path below `value`: what is left when its machine died without it."""
    wanted = f"{variable}={value}".encode()
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                for pair in (entry / "environ").read_bytes().split(b"\0"):
                    if pair == wanted or pair.startswith(wanted + b"/"):
                        found.append(int(entry.name))
    return found


def send(pid: int, number: int) -> None:
    """Signal a process that may be gone already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def end_below(pid: int) -> None:
    """SIGKILL everything below `pid`, and look again until nothing new was forked meanwhile.

    Does not wait for the dying: a process with SIGKILL pending runs no more code of its own, however busy the machine is.
    """
    told: set[int] = set()
    while new := [child for child in descendants(pid) if child not in told]:
        for child in new:
            send(child, signal.SIGKILL)
        told.update(new)


def end_tree(pid: int) -> None:
    """SIGKILL `pid` and everything below it. It is stopped first, so that it can start nothing in between."""
    send(pid, signal.SIGSTOP)
    end_below(pid)
    send(pid, signal.SIGKILL)


async def ended(process: subprocess.Popen[bytes]) -> int:
    """Wait for a child without a thread; its exit status, negative for a signal."""
    if (status := process.poll()) is not None:
        return status
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    handle = os.pidfd_open(process.pid)
    loop.add_reader(handle, lambda: done.done() or done.set_result(None))
    try:
        await done
    finally:
        loop.remove_reader(handle)
        os.close(handle)
    return process.wait()
