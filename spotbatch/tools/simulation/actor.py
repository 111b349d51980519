"""Product code that waits, under a timeline: in a thread of its own, of which one runs at a time."""

import threading
from collections.abc import Callable

from spotbatch.tools.simulation.timeline import Timeline


class Killed(BaseException):
    """Raised where the code waits when its process is killed; not an Exception, so that no handler of the product's catches it."""


def _taken() -> threading.Lock:
    """A lock that one thread takes and another one gives: a baton, five times as fast as a semaphore."""
    lock = threading.Lock()
    lock.acquire()
    return lock


class Actor:
    """Runs `act` from now on; `interrupt` is called whenever it is woken, and may raise."""

    def __init__(self, timeline: Timeline, act: Callable[[], None]) -> None:
        self._timeline = timeline
        self._act = act
        self._mine, self._theirs = _taken(), _taken()
        self._killed = self._parked = False
        self._turn = 0
        self.interrupt: Callable[[], None] = lambda: None
        self.ended = False
        self.fault: BaseException | None = None
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()
        timeline.at(timeline.now, self._resumption())

    def wait_until(self, moment: float) -> None:
        """Called by the code itself. Free of any switch where nothing else happens meanwhile."""
        if self._timeline.free_until(moment):
            self._timeline.now = max(moment, self._timeline.now)
            return
        # Woken earlier by a signal, it waits on; a signal that ends the wait raises.
        while True:
            self._timeline.at(moment, self._resumption())
            self._yield()
            if self._timeline.now >= moment:
                return

    def park(self) -> None:
        """Called by the code itself: wait until `wake`."""
        self._parked = True
        self._yield()

    def wake(self) -> None:
        """End a wait now; the code looks at why."""
        self._timeline.at(self._timeline.now, self._resumption())

    def _resumption(self) -> Callable[[], None]:
        """Its next turn, unless it has had one by then."""
        turn = self._turn
        return lambda: self._resume(turn)

    @property
    def parked(self) -> bool:
        return self._parked and not self.ended

    def kill(self) -> None:
        """As SIGKILL: nothing that the code would still do happens. Not to be called by the code itself."""
        if not self.ended:
            self._killed = True
            self._switch()
            self._thread.join()

    def _resume(self, turn: int) -> None:
        if not self.ended and turn == self._turn:
            self._switch()
            if self.fault is not None:
                raise self.fault

    def _switch(self) -> None:
        self._timeline.running = self
        self._mine.release()
        self._theirs.acquire()
        self._timeline.running = None

    def _yield(self) -> None:
        self._theirs.release()
        self._mine.acquire()
        self._turn += 1
        self._parked = False
        if self._killed:
            raise Killed
        self.interrupt()

    def _live(self) -> None:
        self._mine.acquire()
        self._turn += 1
        try:
            if not self._killed:
                self._act()
        except Killed:
            pass
        except BaseException as fault:
            self.fault = fault
        finally:
            self.ended = True
            self._theirs.release()
