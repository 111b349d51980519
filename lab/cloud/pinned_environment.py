"""Python programs that pin what we pin otherwise: each in a virtual environment of its own, made once per machine and shared by all clones."""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from lab.places import cache_folder


class PinnedEnvironment:
    """A virtual environment with exactly what a requirements file lists; `package` names it, by the version that the file pins."""

    def __init__(self, package: str, requirements: Path) -> None:
        self.package = package
        self._requirements = requirements

    @property
    def version(self) -> str:
        """The pinned release of the package."""
        wanted = f"{self.package}=="
        return next(line.partition("==")[2] for line in self._requirements.read_text().splitlines() if line.startswith(wanted))

    def python(self) -> Path:
        """The interpreter, installed on first use (about 20 s). Safe to call from several processes at once.

        Raises RuntimeError with pip's own words if it cannot be installed.
        """
        folder = cache_folder() / f"{self.package}-{self.version}"
        python = folder / "bin" / "python"
        mark = folder / "installed"
        wanted = hashlib.sha256(self._requirements.read_bytes() + sys.version.encode()).hexdigest()
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (folder.parent / f"{folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if mark.exists() and mark.read_text() == wanted and python.exists():
                return python
            shutil.rmtree(folder, ignore_errors=True)
            for command in (
                [sys.executable, "-m", "venv", str(folder)],
                [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", str(self._requirements)],
            ):
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    raise RuntimeError(f"{self.package} {self.version} could not be installed: {' '.join(command)}\n{done.stdout}{done.stderr}")
            mark.write_text(wanted)
        return python
