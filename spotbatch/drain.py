"""What a machine that was told to stop still begins, and when it cuts short what does not end: decisions alone, no clock and no process."""

from spotbatch.notice import Notice
from spotbatch.signal_board import DRAIN

MARGIN_SECONDS = 15.0
"""An item that has not ended so long before the deadline is cut short; a quarter of the notice where that is less."""
STOP_SECONDS = 90.0
"""How long a stop without a deadline of its own may take: what the service file gives it."""


def margin(notice: Notice) -> float:
    """Seconds before the deadline at which an item that still runs is cut short, so that what was done before it gets saved."""
    return min(MARGIN_SECONDS, max(1.0, 0.25 * (STOP_SECONDS if notice.deadline is None else notice.deadline - notice.sent)))


def begins_another(level: float, left: float, longest: float) -> bool:
    """May a worker begin another item? `level` of the signal board, `left` seconds to its deadline, `longest` item of this claim so far.

    Not once it drains; while the machine may be taken soon, none that may take longer than the notice.
    """
    return level < DRAIN and not longest > max(0.0, left) > 0
