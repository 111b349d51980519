from email.utils import formatdate
from types import SimpleNamespace

import pytest

from spotbatch.clouds.aws_clock import ServiceClock
from spotbatch.date_clock import STALE_SECONDS

MIDNIGHT = 1_800_000_000
"""What the service's clock says when its machine's monotonic clock says 0."""


class Bench:
    """A clock under test, a monotonic clock that the test moves, and a service that is asked in between."""

    def __init__(self, ahead: float = MIDNIGHT) -> None:
        self.moment, self.ahead, self.asked = 1000.0, ahead, 0
        registry = SimpleNamespace(register=lambda name, function: None)
        self.clock = ServiceClock(SimpleNamespace(meta=SimpleNamespace(events=registry)), self.ask, lambda: self.moment)

    def ask(self) -> None:
        self.asked += 1
        self.reply()

    def reply(self, takes: float = 0.02) -> None:
        sent = self.moment
        self.moment += takes
        self.clock.heard(formatdate(int(self.ahead + sent + takes / 2), usegmt=True), sent, self.moment)

    def error(self) -> float:
        return self.clock.now() - (self.ahead + self.moment)


def test_the_first_question_asks_the_service_and_later_ones_do_not():
    bench = Bench()
    assert abs(bench.error()) <= 0.52
    bench.moment += STALE_SECONDS / 2
    assert abs(bench.error()) <= 0.52
    assert bench.asked == 1


@pytest.mark.parametrize("takes", [0.001, 0.3, 5.0])
def test_whole_seconds_of_many_replies_meet_in_a_fraction_of_one(takes: float):
    bench = Bench(ahead=MIDNIGHT + 0.37)
    for _ in range(40):
        bench.reply(takes)
        bench.moment += 0.13
    assert abs(bench.error()) <= 0.15 + takes


def test_after_a_long_silence_the_service_is_asked_again():
    bench = Bench()
    bench.clock.now()
    bench.moment += STALE_SECONDS + 1
    # The machine slept: its monotonic clock stood still meanwhile.
    bench.ahead += 7200
    assert abs(bench.error()) <= 1.02
    assert bench.asked == 2


@pytest.mark.parametrize("drift", [50e-6, -50e-6, 0.01, -0.01])
def test_a_machine_whose_clock_drifts_stays_within_two_seconds(drift: float):
    bench = Bench()
    for _ in range(2000):
        bench.moment += 10
        bench.ahead += 10 * drift
        bench.reply()
        assert abs(bench.error()) <= 2


@pytest.mark.parametrize("date", ["", "yesterday", "Tue, 99 Foo"])
def test_a_date_that_cannot_be_read_changes_nothing(date: str):
    bench = Bench()
    before = bench.clock.now()
    bench.clock.heard(date, bench.moment, bench.moment)
    assert bench.clock.now() == before
