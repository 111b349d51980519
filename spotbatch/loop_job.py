"""A job that is a function with a loop of its own, not a class."""

from collections.abc import Callable
from typing import Any

from spotbatch.worker import BatchWorker


class LoopJob(BatchWorker):
    """What MODULE:FUNCTION becomes. The settings of BatchWorker are its own too, at their defaults."""

    loop: Callable[[Any], object]
    """Called with a `Loop` in each worker process, and again after it has raised."""

    @staticmethod
    def of(function: Callable[[Any], object], name: str) -> type["LoopJob"]:
        return type(name, (LoopJob,), {"loop": staticmethod(function)})
