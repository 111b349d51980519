"""Small projects for the real engine, on a provider that needs no cloud."""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.engine import Engine
from lab.engine.cli import find_cli
from lab.engine.stack import Stack

HERE = Path(__file__).parent
PROJECT = f"""
name: small
runtime: {{name: python, options: {{toolchain: pip, virtualenv: .venv}}}}
stackConfigDir: stacks
plugins:
  providers:
    - {{name: echo, path: {HERE / "echo"}}}
"""
THING = """
import pulumi

class Thing(pulumi.CustomResource):
    token: pulumi.Output[str]
    name: pulumi.Output[str]

    def __init__(self, title, opts=None, **inputs):
        super().__init__("echo:index:Thing", title, {"token": None, "name": None, **inputs}, opts)
"""


@pytest.fixture
def small(tmp_path: Path) -> Callable[..., Stack]:
    """Write a project whose program is the given lines, and give its stack `local`."""

    def make(program: str, configuration: str = "config: {}\n", home: str = "lab", **environment: str) -> Stack:
        project = tmp_path / "project"
        (project / "stacks").mkdir(parents=True, exist_ok=True)
        (project / "Pulumi.yaml").write_text(PROJECT)
        (project / "stacks" / "Pulumi.local.yaml").write_text(configuration)
        (project / "__main__.py").write_text(THING + program)
        return Engine(project, tmp_path / home, environment, cli=find_cli()).stack("local")

    return make


def processes_with(mark: str) -> list[int]:
    """Processes whose environment carries the mark: all that a marked command started, whatever sessions they made."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and int(entry.name) != os.getpid() and mark.encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue  # ended meanwhile, or is somebody else's
    return found


def command_line_of(mark: str) -> int:
    """The `pulumi` among the processes that carry the mark."""
    for pid in processes_with(mark):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/exe").readlink().name == "pulumi":
                return pid
    raise AssertionError(f"no command line among {processes_with(mark)}")


def until(condition: Callable[[], object], seconds: float) -> bool:
    """Whether the condition came true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return bool(condition())
