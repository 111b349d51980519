"""Show how a long piece of set-up gets on: a bar in a terminal, a line now and then elsewhere."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

LINE_SECONDS = 20
"""How often a log that is no terminal gets a line."""


class ProgressDisplay:
    """Show how a long piece of set-up gets on. Call it with what is being done, how many steps are done, and of how many (0: unknown)."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[steps]}"), TimeElapsedColumn())
        self._bar = Progress(*columns, console=self._console, transient=True)
        self._task = self._bar.add_task("", total=None, steps="", visible=False)
        self._said = ""
        self._said_at = 0.0

    def __enter__(self) -> "ProgressDisplay":
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def __call__(self, doing: str, done: int = 0, total: int = 0) -> None:
        steps = f"{done}/{total}" if total else ""
        if self._console.is_terminal:
            self._bar.update(self._task, description=doing, completed=done, total=total or None, steps=steps, visible=True)
        elif doing != self._said or time.monotonic() - self._said_at > LINE_SECONDS:
            self._said, self._said_at = doing, time.monotonic()
            self._console.print(f"{doing} {steps}".rstrip(), highlight=False, soft_wrap=True)
