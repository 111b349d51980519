"""Build a Go program from a module of the lab's own, once per machine."""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from lab.places import CHECKOUT, cache_folder

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many steps are done and how many there are (0: not known yet)."""


class ToolError(Exception):
    """A program that the lab needs cannot be had on this machine; the message says what is missing."""


class GoTool:
    """A program that is built from `lab/tools/NAME` (a go.mod with one `tool` line) and cached under the hash of its go.sum and sources.

    Raises `ToolError` when Go is missing, too old, or cannot fetch or build the module.
    """

    def __init__(self, name: str, version_variable: str = "", modules: Path = CHECKOUT / "lab" / "tools") -> None:
        self.name = name
        self.module = modules / name
        self._version_variable = version_variable
        text = (self.module / "go.mod").read_text()
        self.package = _only(re.findall(r"^tool (\S+)$", text, re.M), f"{self.module}/go.mod must have exactly one `tool` line")
        self.version = _only(_versions(self.package, text), f"{self.module}/go.mod must require the module of {self.package}")
        own = sorted(file.name for file in self.module.glob("*.go"))
        sums = b"".join((self.module / file).read_bytes() for file in ("go.mod", "go.sum", *own))
        self.path = cache_folder() / "tools" / f"{name}-{hashlib.sha256(sums).hexdigest()[:12]}" / name

    def build(self, progress: Progress = lambda *_: None) -> Path:
        """Path of the program; built now unless it was before. Two clones that build at once build it once."""
        if self.path.exists():
            return self.path
        if not shutil.which("go"):
            raise ToolError(f"Go is not on PATH (https://go.dev/dl), and {self.name} is built from {self.package}")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with _lock(self.path.parent / "lock"):
            if not self.path.exists():
                self._build(progress)
        return self.path

    def _build(self, progress: Progress) -> None:
        progress(f"fetching the sources of {self.name} {self.version}", 0, 0)
        packages = self._go("list", "-deps", "-f", "{{.ImportPath}}", self.package).stdout.splitlines()
        flags = "-s -w" + (f" -X {self._version_variable}={self.version}" if self._version_variable else "")
        unfinished = self.path.with_suffix(f".{os.getpid()}")
        command = ["go", "build", "-v", "-ldflags", flags, "-o", str(unfinished), self.package]
        with subprocess.Popen(command, cwd=self.module, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr
            lines: list[str] = []
            for line in process.stderr:
                lines.append(line.rstrip())
                progress(f"building {self.name} {self.version}", min(len(lines), len(packages)), len(packages))
        if process.returncode:
            unfinished.unlink(missing_ok=True)
            raise ToolError(f"go build of {self.package} failed:\n" + "\n".join(lines[-8:]))
        unfinished.rename(self.path)

    def _go(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(["go", *arguments], cwd=self.module, capture_output=True, text=True)
        if result.returncode:
            raise ToolError(f"go {arguments[0]} in {self.module} failed:\n" + "\n".join(result.stderr.strip().splitlines()[-8:]))
        return result


def _versions(package: str, go_mod: str) -> list[str]:
    if f"module {package}\n" in go_mod:
        # A few lines of ours around one library: its version tells what the program does.
        return re.findall(r"^(?:\t|require )\S+ (v\S+)$", go_mod, re.M)
    required = re.findall(r"^(?:\t|require )(\S+) (v\S+)", go_mod, re.M)
    return [version for module, version in required if package == module or package.startswith(module + "/")]


def _only(found: list[str], otherwise: str) -> str:
    if len(found) != 1:
        raise ToolError(otherwise)
    return found[0]


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
