"""One agent a machine and queue: two would take the machine's record from each other, and end each other's workers without end."""

import hashlib
import socket


class AnotherAgent(OSError):
    """An agent of this machine works on the queue already."""


def hold(queue: str, machine: str) -> None:
    """Be the one until this process ends, however it ends. Raises AnotherAgent."""
    held = _bound(queue, machine)
    if held is None:
        raise AnotherAgent(f"machine {machine}: another agent works on {queue} here already; allowed: one, with as many --processes")
    held.detach()


def free(queue: str, machine: str) -> bool:
    """Does nobody hold it now?"""
    held = _bound(queue, machine)
    if held is not None:
        held.close()
    return held is not None


def _bound(queue: str, machine: str) -> socket.socket | None:
    name = hashlib.sha256(f"{queue}\n{machine}".encode()).hexdigest()
    held = socket.socket(socket.AF_UNIX)
    try:
        # Linux's own namespace: no file, so none that stays behind.
        held.bind(f"\0spotbatch-{name}")
    except OSError:
        held.close()
        return None
    return held
