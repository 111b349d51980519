"""What the worker adds to each item, beside Celery and Dramatiq doing the same items as messages: in-memory brokers, one worker, no results kept.

Theirs is timed from the first message's execution to the last one's, ours from the claim to `done` with every result durable: sending and
starting count for nobody. In processor time, so that what else this computer does changes little.
"""

import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import celery
import dramatiq
from celery.contrib.testing.worker import start_worker
from dramatiq.brokers.stub import StubBroker

from spotbatch import BatchWorker, clouds
from spotbatch.ledger import Ledger
from spotbatch.owner import Owner
from spotbatch.protocols import Identity
from spotbatch.runner import Runner
from spotbatch.signal_board import SignalBoard
from spotbatch.submit import Submission, submit
from tests.bench.figures import Figure

ITEMS = 20_000
ROUNDS = 2
MOST = 0.05


def work(number: int) -> int:
    return number * number


class Square(BatchWorker):
    def process_item(self, item):
        return work(item["number"])


class Stopwatch:
    """Calls `work` for each message, and knows when the first and the last came."""

    def __init__(self) -> None:
        self.left, self.began, self.seconds, self.done = ITEMS, 0.0, 0.0, threading.Event()

    def take(self, item: dict[str, int]) -> None:
        self.began = self.began or time.process_time()
        work(item["number"])
        self.left -= 1
        if not self.left:
            self.seconds = time.process_time() - self.began
            self.done.set()


def items() -> list[dict[str, int]]:
    return [{"number": number} for number in range(ITEMS)]


def with_spotbatch() -> float:
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(clouds.connect(f"local:{Path(folder)}/queue"))
        lines = [b'{"number": %d}' % number for number in range(ITEMS)]
        list(submit(ledger, Submission.read(lines, ITEMS, "bench")))
        ledger.machines.register(Identity("m", "b"), "a")
        claim = ledger.claim("bench", "000000", Owner("m", "b", "a", "p"))
        runner = Runner(ledger, Square(), SignalBoard.make(1), 0)
        began = time.process_time()
        runner.run(claim)
        return time.process_time() - began


def with_celery() -> float:
    app, watch = celery.Celery("bench", broker="memory://"), Stopwatch()
    app.conf.task_ignore_result = True

    def take(item: dict[str, int]) -> None:
        watch.take(item)

    task: Any = app.task(name="bench.take")(take)
    for item in items():
        task.delay(item)
    worker: Any = start_worker(app, pool="solo", perform_ping_check=False, loglevel="ERROR")
    with worker:
        watch.done.wait()
    return watch.seconds


def with_dramatiq() -> float:
    broker, watch = StubBroker(), Stopwatch()
    actor = dramatiq.actor(broker=broker, actor_name="take")(watch.take)
    for item in items():
        actor.send(item)
    worker = dramatiq.Worker(broker, worker_threads=1)
    worker.start()
    watch.done.wait()
    worker.stop()
    return watch.seconds


def added(run: Callable[[], float]) -> float:
    """Microseconds per item beyond the work itself, in the best of the rounds."""
    made, began = items(), time.process_time()
    for item in made:
        work(item["number"])
    loop = time.process_time() - began
    return min((run() - loop) / ITEMS * 1e6 for _ in range(ROUNDS))


def figures() -> list[Figure]:
    ours = added(with_spotbatch)
    found = []
    for name, run in (("Celery", with_celery), ("Dramatiq", with_dramatiq)):
        theirs = added(run)
        ratio = ours / theirs
        told = f"{ours:.2f} us, {theirs:.0f} us: {ratio:.3f} x"
        found.append(
            Figure(
                f"worker adds per item (processor time), beside {name} with a message per item ({ITEMS:,} items)", told, f"<= {MOST} x", ratio <= MOST
            )
        )
    return found
