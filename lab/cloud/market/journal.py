"""What happened in the market, in order: what tests and reports ask afterwards."""

import time
from collections.abc import Callable
from typing import Any


class Journal:
    """Keeps a timed record of everything the market did. Nothing is dropped: a lab lives for minutes or hours."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._records: list[dict[str, Any]] = []

    def now(self) -> float:
        """Seconds since 1970."""
        return self._clock()

    def note(self, what: str, **facts: Any) -> None:
        """Record that `what` happened now, with plain JSON values."""
        self._records.append({"at": self._clock(), "what": what, **facts})

    def records(self, first: int = 0) -> list[dict[str, Any]]:
        """Records from number `first` on, oldest first."""
        return self._records[first:]
