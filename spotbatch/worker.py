"""What a user writes: a class with one method.

from spotbatch import BatchWorker

class Thumbnails(BatchWorker):
    def process_item(self, item):
        ...
"""

import sys
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

from spotbatch.strategies.spacing import Observed, steady


class BatchWorker:
    """Run items that survive interruptions.

    Write `process_item`; what it returns is stored with the checkpoint that covers the item and appears once, however often the item ran.
    Other side effects must bear being done twice: name them by the item, or let the far side compare `self.epoch`, which only grows.
    """

    checkpoint_items: int = 100
    """A checkpoint at the latest after so many items."""
    checkpoint_seconds: float = 60.0
    """And at the latest after so many seconds, whichever comes first; never closer than `spacing` says."""
    spacing: Callable[[Observed], float] = staticmethod(steady)
    """How close checkpoints may be, in seconds: a function of what a save takes, of the machine's age and of its notice. Default: 2 s, and 20
    times what the last save took. `spotbatch.strategies.spacing.by_age_and_cost` wastes less where a save takes seconds."""
    item_seconds_max: float | None = None
    """An item that takes longer is ended with its process and counts as a failure. Default: no limit."""

    run_name: str = ""
    """The run and the task this process works on, for logs of the job's own."""
    task_id: str = ""
    epoch: int = 0
    """Number of the claim: a fencing token for side effects."""

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        own = vars(cls).get("spacing")
        if isinstance(own, FunctionType) and own.__code__.co_argcount == 1:
            # `spacing = by_age_and_cost` names a function of one argument, not a method.
            cls.spacing = staticmethod(own)

    def setup(self) -> None:
        """Called once a process, before the first item: open files, load models."""

    def process_item(self, item: Any) -> Any:
        """Do one item, as decoded from its JSON line, and return what JSON can hold (or nothing)."""
        raise NotImplementedError(f"{type(self).__name__} needs a process_item(self, item)")

    def save_state(self) -> bytes | None:
        """State to keep besides the results, at an item's end. Default: none."""
        return None

    def restore_state(self, state: bytes | None) -> None:
        """Called when a task begins (None) and when it resumes, with what `save_state` returned at its last checkpoint."""

    def run(self, arguments: list[str] | None = None) -> None:
        """Work until stopped; `python my_job.py --until-empty` takes the same arguments as `spotbatch worker`."""
        from spotbatch.agent import main

        module = sys.modules[type(self).__module__]
        name = type(self).__module__
        if name == "__main__":
            path = Path(str(module.__file__)).resolve()
            sys.path.insert(0, str(path.parent))
            name = path.stem
        sys.exit(main([f"{name}:{type(self).__name__}", *(sys.argv[1:] if arguments is None else arguments)]))
