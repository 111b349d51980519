"""What `spotbatch run` is asked to run, and how its command line is read: every fault at once."""

import json
import shutil
import signal
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from spotbatch.submit import RUN_NAME

TASK = "000000"
"""A program is a run of one task with one item: its command."""

USAGE = """spotbatch run --checkpoint-dir DIR [OPTIONS] -- COMMAND ...

Run a command that survives interruptions: its folder of checkpoints is saved while it runs and restored wherever it runs next.

  --checkpoint-dir DIR   the folder that the command keeps its progress in; what a checkpoint does not have is removed at a restore
  --signal TERM          the signal that tells the command of a notice
  --grace 90             seconds it may take to end after that; less where the machine goes earlier
  --save-every 60        seconds between saves while it runs; only files that two looks a second apart find unchanged are taken
  --ready-file FILE      in DIR; the whole folder is saved when the command has written this file, and not otherwise
  --queue QUEUE          local:FOLDER, SQS URL or pubsub:projects/P/subscriptions/S (SPOTBATCH_QUEUE, else the machine's, else local:.spotbatch)
  --run NAME             the run's name; default: a hash of DIR and command
  --lease 60             seconds of silence after which another machine may take over

Ends with the command's status; 143 when interrupted (the same command line goes on, here or elsewhere); 2 for a wrong command line;
70 for a run that is dead; 75 when the queue cannot be reached."""

OPTIONS = ("--checkpoint-dir", "--signal", "--grace", "--save-every", "--ready-file", "--queue", "--run", "--lease")
_NOT_FOR_PASSING = {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}


class BadCommandLine(ValueError):
    """One line per fault: argument, value, what is allowed."""


@dataclass(frozen=True)
class Program:
    """A command, its folder, and how it wants to be told of a notice."""

    run: str
    command: list[str]
    folder: str
    signal: int = signal.SIGTERM
    grace: float = 90.0
    save_every: float = 60.0
    ready_file: str = ""

    @property
    def item(self) -> bytes:
        return json.dumps({"command": self.command}).encode()

    def to_text(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_text(text: str) -> "Program":
        return Program(**json.loads(text))


@dataclass(frozen=True)
class CommandLine:
    """`spotbatch run` as typed. `run` and `queue` are empty where they were not given."""

    program: Program
    queue: str
    lease: float

    @staticmethod
    def read(arguments: list[str]) -> "CommandLine":
        """Raises BadCommandLine."""
        faults: list[str] = []
        split = arguments.index("--") if "--" in arguments else len(arguments)
        given = _options(arguments[:split], faults)
        command = arguments[split + 1 :]
        if not command:
            faults.append("COMMAND: none was given; it follows ' -- ', as in spotbatch run --checkpoint-dir out -- python train.py")
        elif shutil.which(command[0]) is None:
            faults.append(f"COMMAND: {command[0]!r} is no program on the PATH, nor an executable file")

        def read(option: str, reader: Callable[[str], float], default: float) -> float:
            if option not in given:
                return default
            try:
                return reader(given[option])
            except ValueError as fault:
                faults.append(f"{option}: {given[option]!r} {fault}")
                return default

        folder = _folder(given.get("--checkpoint-dir"), faults)
        number = read("--signal", _signal, signal.SIGTERM)
        grace = read("--grace", _seconds(0, 86_400), 90)
        save_every = read("--save-every", _seconds(1, 86_400), 60)
        lease = read("--lease", _seconds(1, 3_600), 60)
        run = given.get("--run", "")
        if "--run" in given and not RUN_NAME.fullmatch(run):
            faults.append(f"--run: {run!r} is not a name of up to 64 letters, digits, '.', '_' and '-' that begins with a letter or digit")
        ready = given.get("--ready-file", "")
        if ready and (Path(ready).is_absolute() or any(part in ("", ".", "..") for part in ready.split("/"))):
            faults.append(f"--ready-file: {ready!r} is not a path inside the checkpoint folder, such as READY")
        if faults:
            raise BadCommandLine("\n".join(faults))
        return CommandLine(Program(run, command, folder, int(number), grace, save_every, ready), given.get("--queue", ""), lease)


def _options(words: list[str], faults: list[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    while words:
        name, equals, value = words[0].partition("=")
        if name not in OPTIONS:
            faults.append(f"{words[0]}: not an option of spotbatch run; there are {', '.join(OPTIONS)}, and the command follows ' -- '")
            words = words[1:]
        elif equals:
            given[name], words = value, words[1:]
        elif len(words) > 1:
            given[name], words = words[1], words[2:]
        else:
            faults.append(f"{name}: needs a value")
            words = []
    return given


def _folder(text: str | None, faults: list[str]) -> str:
    if not text:
        faults.append("--checkpoint-dir: is needed: the folder in which the command keeps its progress")
        return ""
    folder = Path(text).resolve()
    if folder.exists() and not folder.is_dir():
        faults.append(f"--checkpoint-dir: {text!r} is a file, a folder is needed")
    # A restore makes the folder what the checkpoint says: nothing else may live in it.
    elif any(place.resolve().is_relative_to(folder) for place in (Path.home(), Path.cwd())):
        faults.append(
            f"--checkpoint-dir: {text!r} holds the home or the current folder; one of the command's own is needed, such as {text}/checkpoints"
        )
    return str(folder)


def _seconds(least: float, most: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not least <= value <= most:
            raise ValueError(f"is not a number of seconds from {least:g} to {most:g}")
        return value

    return read


def _signal(text: str) -> float:
    named = signal.Signals.__members__.get("SIG" + text.upper().removeprefix("SIG"))
    if named is None or named in _NOT_FOR_PASSING:
        raise ValueError("is not a signal that a program can hear, such as TERM, INT, HUP, USR1 or USR2")
    return named
