"""What a machine knows of itself and does to itself, the same on every cloud."""

import os
import subprocess
from pathlib import Path


def boot_id() -> str:
    """A new text for every boot. Raises OSError."""
    # Machines of a lab share a kernel, so each has a root of its own, or is told.
    if given := os.environ.get("SPOTBATCH_BOOT_ID"):
        return given
    return (Path(os.environ.get("SPOTBATCH_ROOT") or "/") / "proc/sys/kernel/random/boot_id").read_text().strip()


def power_off() -> None:
    """Raises OSError, CalledProcessError."""
    command = ["shutdown", "-h", "now"] if os.geteuid() == 0 else ["sudo", "-n", "/usr/sbin/shutdown", "-h", "now"]
    subprocess.run(command, check=True, timeout=30)
