"""Time that jumps from one event to the next: nothing sleeps, and equal settings give equal runs."""

import heapq
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spotbatch.tools.simulation.actor import Actor


class Timeline:
    """What happens next, and when. Events of one moment happen in the order in which they were asked for."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now
        self.ended = False
        self.running: Actor | None = None
        """Whose code runs now; None: an event's own."""
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def at(self, moment: float, act: Callable[[], None]) -> None:
        """Call `act` at the moment, or now where that is past."""
        heapq.heappush(self._events, (max(moment, self.now), next(self._order), act))

    def free_until(self, moment: float) -> bool:
        """Does nothing happen up to and with that moment?"""
        return not self._events or self._events[0][0] > moment

    def end(self) -> None:
        """Nothing happens any more."""
        self.ended = True

    def run(self) -> None:
        """Until somebody calls `end`, or nothing is left to happen."""
        while self._events and not self.ended:
            self.now, _, act = heapq.heappop(self._events)
            act()
