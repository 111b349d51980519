"""Run the Pulumi command line once, to its end or to a time-out, and leave no process of it behind."""

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from lab.engine.command_result import CommandResult

GRACE_SECONDS = 5
"""How long an interrupted command may take to finish the steps it is in before it is killed."""


def run(
    command: Sequence[str | Path],
    folder: Path,
    environment: Mapping[str, str],
    *,
    seconds: float,
    event_log: Path | None = None,
    on_line: Callable[[str], None] = lambda line: None,
) -> CommandResult:
    """Run the command in a session of its own and tell each line as it comes.

    After `seconds` it is interrupted, as Ctrl-C would, and killed with all its children 5 s later; a Ctrl-C of ours does the same.
    """
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout and process.stderr
    lines: list[str] = []
    out: list[str] = []
    readers = [
        threading.Thread(target=_read, args=(process.stdout, [lines, out], on_line), daemon=True),
        threading.Thread(target=_read, args=(process.stderr, [lines], on_line), daemon=True),
    ]
    for reader in readers:
        reader.start()
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        lines.append(f"stopped: `{' '.join(str(part) for part in command[1:3])}` was not done after {seconds:g} s\n")
        _end(process)
    except KeyboardInterrupt:
        _end(process)
        raise
    finally:
        kill_session(process.pid)
        for reader in readers:
            reader.join(timeout=2)
    return CommandResult(
        ok=process.returncode == 0,
        code=process.returncode,
        text="".join(lines),
        stdout="".join(out),
        seconds=round(time.monotonic() - began, 2),
        events=_events(event_log) if event_log and event_log.exists() else [],
    )


def kill_session(session: int) -> None:
    """SIGKILL to every process of a session that we started (the command line puts its plugins into groups of their own)."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _session_of(entry) == session:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(entry.name), signal.SIGKILL)


def _session_of(process: Path) -> int:
    try:
        # After the name, which may itself contain spaces and brackets: state, parent, group, session.
        return int((process / "stat").read_text().rpartition(")")[2].split()[3])
    except (OSError, IndexError):
        return -1


def _end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _read(pipe: IO[str], into: Sequence[list[str]], on_line: Callable[[str], None]) -> None:
    with pipe:
        for line in pipe:
            for lines in into:
                lines.append(line)
            on_line(line.rstrip("\n"))


def _events(log: Path) -> list[dict[str, Any]]:
    # A killed command line leaves its last line unfinished.
    whole = [line for line in log.read_text().splitlines() if line.endswith("}")]
    events = [json.loads(line) for line in whole]
    return [event for event in events if event.get("diagnosticEvent", {}).get("severity") != "debug"]
