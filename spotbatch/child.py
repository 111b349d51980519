"""A worker process as its agent sees it."""

from dataclasses import dataclass
from typing import Protocol


class Process(Protocol):
    """What an agent needs of a worker process: `subprocess.Popen` has it."""

    def poll(self) -> int | None: ...

    def kill(self) -> None: ...

    def wait(self) -> int: ...

    def send_signal(self, sig: int) -> None: ...


@dataclass
class Child:
    """A worker process and the cell of the board that it writes."""

    cell: int
    id: str = ""
    process: Process | None = None
    starts: int = 0
    not_before: float = 0.0
    cut: bool = False
