"""A folder with a disk of its own, so small that a test can fill it."""

import errno
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class SmallDisk:
    """Mounted where only command lines that begin with `before` see it; they run in `within`."""

    def __init__(self, folder: Path, within: Path, holder: int) -> None:
        self.before = ("nsenter", "--preserve-credentials", "-U", "-m", f"--wdns={within}", "-t", str(holder))
        self.inside = Path(f"/proc/{holder}/root{folder}")
        """The same folder, for this process."""

    def fill(self) -> None:
        with (self.inside / "ballast").open("wb", buffering=0) as file:
            try:
                while file.write(b"\0" * 4096):
                    pass
            except OSError as fault:
                assert fault.errno == errno.ENOSPC

    def empty(self) -> None:
        (self.inside / "ballast").unlink()


@contextmanager
def small_disk(folder: Path, size: str, within: Path) -> Iterator[SmallDisk]:
    """Skips the test where a user may not mount."""
    folder.mkdir(parents=True, exist_ok=True)
    within.mkdir(exist_ok=True)
    script = 'mount -t tmpfs -o size="$1" tmpfs "$2" && echo mounted && exec sleep 600'
    command = ["unshare", "-U", "-r", "-m", "sh", "-c", script, "sh", size, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stderr is not None
        try:
            if holder.stdout.readline().strip() != "mounted":
                pytest.skip(f"NOT RUN: a disk of its own: {holder.stderr.read().strip()}")
            yield SmallDisk(folder, within, holder.pid)
        finally:
            holder.kill()
