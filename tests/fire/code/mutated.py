"""A copy of the runtime that lacks one rule, and what the tests say of it."""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.fire.code.mutants import Mutant

ROOT = Path(__file__).parents[3]
SUITE = Path(__file__).with_name("suite.py")
SCHEDULES = 50
"""Schedules that each mutant goes through: most die within the first dozen."""


class NotThere(ValueError):
    """The text that a mutant replaces is not in its file exactly once: the code has moved on, and the mutant must follow."""


@dataclass(frozen=True)
class Verdict:
    schedules: bool
    """Whether the property test over schedules fails."""
    rule: str
    """The first test of a rule that fails, or nothing."""
    seconds: float


def copy(folder: Path, mutant: Mutant | None = None) -> None:
    """The runtime and its tests in `folder`, mutated. Raises NotThere."""
    leave_out = shutil.ignore_patterns("__pycache__", "clouds", "programs")
    shutil.copytree(ROOT / "spotbatch", folder / "spotbatch", ignore=shutil.ignore_patterns("__pycache__", "tools"))
    shutil.copytree(ROOT / "tests/spotbatch", folder / "tests/spotbatch", ignore=leave_out)
    shutil.copy(ROOT / "tests/__init__.py", folder / "tests")
    shutil.copy(ROOT / "pyproject.toml", folder)
    shutil.copy(SUITE, folder)
    if mutant is not None:
        path = folder / "spotbatch" / mutant.file
        text = path.read_text()
        if (count := text.count(mutant.old)) != 1:
            raise NotThere(f"mutant {mutant.name}: {count} times in spotbatch/{mutant.file}, not once: {mutant.old!r}")
        path.write_text(text.replace(mutant.old, mutant.new))


def verdict(folder: Path) -> Verdict:
    """What the tests say of the copy in `folder`. Raises RuntimeError with their output where they cannot be run."""
    begun = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "SCHEDULES": str(SCHEDULES), "TMPDIR": str(folder)}
    done = subprocess.run([sys.executable, "suite.py"], cwd=folder, env=environment, capture_output=True, text=True, timeout=200)
    if done.returncode:
        raise RuntimeError(f"{folder}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    found = json.loads(done.stdout.rsplit("\n", 2)[-2])
    return Verdict(bool(found["schedules"]), next(iter(found["rules"]), ""), time.monotonic() - begun)
