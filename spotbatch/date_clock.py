"""The time of a service, from the `Date` of its replies."""

import time
from collections.abc import Callable
from email.utils import mktime_tz, parsedate_tz

from spotbatch.protocols import StoreError

STALE_SECONDS = 300.0
"""After so long without a reply the service is asked again: a machine's monotonic clock drifts, and stands still while it sleeps."""


class DateClock:
    """Seconds since 1970 by the service's clock, the same for all who ask, whatever their own clocks say.

    `Date` has whole seconds, so each reply bounds the time from below and above; the bounds of many replies meet within a fraction of one.
    `ask` makes any call that is answered, for when nothing has been heard lately.
    """

    def __init__(self, ask: Callable[[], object], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._ask, self._monotonic = ask, monotonic
        self._ahead: float | None = None
        """How far the service's time is ahead of the monotonic clock."""
        self._heard = 0.0

    def now(self) -> float:
        """Raises StoreError when no reply says what time it is."""
        if self._ahead is None or self._monotonic() - self._heard > STALE_SECONDS:
            self._ask()
        if self._ahead is None:
            raise StoreError("the service's replies have no Date header: its time is not known")
        return self._ahead + self._monotonic()

    def heard(self, date: str, sent: float, received: float) -> None:
        """A reply: sent for and received at these moments of the monotonic clock."""
        parsed = parsedate_tz(date)
        if parsed is None:
            return
        said = mktime_tz(parsed)
        known = said + 0.5 - (sent + received) / 2 if self._ahead is None else self._ahead
        self._ahead = min(max(known, said - received), said + 1 - sent)
        self._heard = received
