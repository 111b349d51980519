"""Whole pools at once, and thousands of events three times each: how long, and how much memory. On the local store, all in one process."""

import tempfile
import time
import tracemalloc
from pathlib import Path

from spotbatch.handler import Handler
from tests.bench.figures import Figure
from tests.fire.storm import MACHINES, TASKS_EACH, NoPool, Storm, mostly_foreign, shuffled

SECONDS = 30.0
FEW, MANY = 1_000, 15_000
GROWTH = 1.2
"""The peak for MANY events beside the one for FEW: what is kept for each event would make it fifteen times as much."""


def figures() -> list[Figure]:
    marking, reaping = _pool()
    few, many = _peak(FEW), _peak(MANY)
    storm = f"{MACHINES} machines x {TASKS_EACH} tasks, three warnings each"
    return [
        Figure(f"{storm} -> every machine marked", f"{marking:.1f} s", f"<= {SECONDS:.0f} s", marking <= SECONDS),
        Figure("deadline of them all -> every task claimable again", f"{reaping:.1f} s", f"<= {SECONDS:.0f} s", reaping <= SECONDS),
        Figure(f"peak memory of {FEW:,} events x 3, shuffled", f"{few / 1024:.0f} KiB", ""),
        Figure(f"peak memory of {MANY:,} events x 3, shuffled", f"{many / 1024:.0f} KiB", f"<= {GROWTH} x the above", many <= GROWTH * few),
    ]


def _pool() -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as name:
        storm = Storm(Path(name))
        machines = [owner.machine for owner in storm.owners]
        begun = time.perf_counter()
        for event in shuffled(machines, storm.world.clock.now):
            storm.handler.message(event)
        marked = time.perf_counter()
        if any((found := storm.world.registered(machine)) is None or found.state != "draining" for machine in machines):
            raise AssertionError("a machine was not marked")
        storm.world.clock.passes(121)
        begun_to_reap = time.perf_counter()
        storm.due()
        reaped = time.perf_counter()
        if storm.states() != {("queued", 1)}:
            raise AssertionError(f"not every task is queued: {storm.states()}")
        return marked - begun, reaped - begun_to_reap


def _peak(events: int) -> int:
    """Bytes at most that handling them took; ten machines of ours, so that the store holds the same whatever the number of events."""
    with tempfile.TemporaryDirectory() as name:
        storm = Storm(Path(name), machines=10, tasks_each=1)
        # The test's own store remembers every call: not what is measured.
        ledger = storm.world.ledger
        ledger.store = ledger.machines.store = storm.world.store.store
        handler = Handler(ledger, NoPool(), lambda machine, seconds: None)
        sent = shuffled(mostly_foreign(storm, events), storm.world.clock.now)
        tracemalloc.start()
        try:
            for event in sent:
                handler.message(event)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
