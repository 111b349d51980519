"""Take machines of the market away as a recorded group lost them."""

import threading
import time
from dataclasses import dataclass, field

from lab.cloud.market_client import MarketClient
from lab.demo.trace import Stretch

POLL_SECONDS = 0.5


@dataclass
class Replay:
    """Plays a stretch in the background: `begin`, then `finished` after the last deadline.

    Every drop takes as many machines as the recorded one, those that ran longest; if fewer run at that moment, the rest as soon as they do.
    The first drop comes without a notice of any kind, as happens to many in the field.
    """

    market: MarketClient
    stretch: Stretch
    notice_seconds: float
    taken: dict[str, float] = field(default_factory=dict)
    """Deadline by machine, seconds since 1970."""
    unannounced: list[str] = field(default_factory=list)
    """Machines that heard nothing before their end, and of which EventBridge heard nothing."""
    bulk: list[int] = field(default_factory=list)
    """Machines per drop."""

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._play, name="replay", daemon=True)
        self._stop = threading.Event()
        self.failure: Exception | None = None

    def begin(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    @property
    def finished(self) -> bool:
        """True once every machine of the stretch is gone."""
        return not self._thread.is_alive() and time.time() > max(self.taken.values(), default=0.0) + 1.0

    def _play(self) -> None:
        begun = time.monotonic()
        try:
            for number, (moment, machines) in enumerate(self.stretch.schedule()):
                if self._stop.wait(max(0.0, begun + moment - time.monotonic())):
                    return
                self._drop(number, machines)
        except Exception as fault:
            self.failure = fault

    def _drop(self, number: int, machines: int) -> None:
        wanted = machines
        while wanted and not self._stop.is_set():
            running = [machine.id for machine in self.market.living() if machine.state == "running" and machine.id not in self.taken]
            chosen = running[:wanted]
            if chosen:
                silent = number == 0
                self.taken |= self.market.interrupt(chosen, notice_seconds=self.notice_seconds, event=not silent, metadata=not silent)
                self.unannounced += chosen if silent else []
                wanted -= len(chosen)
            if wanted:
                self._stop.wait(POLL_SECONDS)
        self.bulk.append(machines)
