"""Where a published rule looks for its next machine: L1 to L6 and L8. Each yields pools to ask, or pauses, until one of them gives a machine."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from spotbatch.tools.simulation.published.view import View


@dataclass(frozen=True)
class Pause:
    """Ask nobody for so many seconds."""

    seconds: float


Search = Iterator[int | Pause]
Rule = Callable[[View, int], Search]
"""From what the run sees and the number of the place to fill."""

BACK_OFF_S, BACK_OFF_FACTOR, BACK_OFF_MAX_S, JITTER = 60.0, 1.6, 300.0, 0.4
"""skypilot, sky/utils: the pauses of its launch retries."""
TRIES = 3
"""Passes of FAILOVER without a pause."""


def single_pool(view: View, place: int) -> Search:
    """L1: one pool, and wait for it."""
    while True:
        yield view.home(place)
        yield Pause(view.setting.retry_s)


def lowest_price(view: View, place: int) -> Search:
    """L2: the cheapest pool that gives one."""
    while True:
        yield from list(view.by_price)
        yield Pause(view.setting.retry_s)


def failover(view: View, place: int) -> Search:
    """L3, SkyPilot's FAILOVER: the zone it was in, then the region, then all."""
    last = view.pool(view.last_lost.get(place, view.home(place)))
    zone = last.name.split("/")[:2]

    def distance(index: int) -> int:
        pool = view.pool(index)
        return 0 if pool.name.split("/")[:2] == zone else 1 if pool.region == last.region else 2

    for tries in itertools.count(1):
        yield from sorted(view.by_price, key=distance)
        if tries >= TRIES:
            pause = min(BACK_OFF_MAX_S, BACK_OFF_S * BACK_OFF_FACTOR ** (tries - TRIES))
            yield Pause(pause * (1 + view.random.uniform(-JITTER, JITTER)))


def eager_next_region(view: View, place: int) -> Search:
    """L4, SkyPilot's default: every region but the one that just took the machine, then that one too."""
    lost = view.last_lost.get(place)
    blocked = None if lost is None else view.pool(lost).region
    while True:
        yield from sorted(view.by_price, key=lambda index: view.pool(index).region == blocked)
        blocked = None
        yield Pause(view.setting.retry_s)


def spot_hedge(view: View, place: int) -> Search:
    """L5, SkyServe's placer: a pool that refused or took a machine is set aside until fewer than two others are left."""
    count = len(view.setting.pools)
    if place in view.last_lost:
        view.set_aside.add(view.last_lost[place])
    for asked in itertools.count(1):
        if count - len(view.set_aside) < 2:
            view.set_aside.clear()
        active = [index for index in view.by_price if index not in view.set_aside]
        choice = next((index for index in active if not view.held[index]), active[0])
        yield choice
        view.set_aside.add(choice)
        if asked % count == 0:
            yield Pause(view.setting.retry_s)


def longest_lived(view: View, place: int) -> Search:
    """L6: the pool with the best (hours up seen + 2) / (interruptions seen + 1)."""
    while True:
        yield from sorted(view.by_price, key=view.mean_up_hours, reverse=True)
        yield Pause(view.setting.retry_s)


def oracle(view: View, place: int) -> Search:
    """L8, a bound: the pool whose machine will live longest; knows when one opens."""
    while True:
        giving = [index for index in view.by_price if view.gives(index)]
        if giving:
            yield max(giving, key=view.end_of_next)
        yield Pause(max(1.0, view.next_edge() - view.now))
