"""From the notice in a worker's memory to its 1 MB of state durable and its task given back, on the lab's DynamoDB and S3."""

import os
import tempfile
import threading
import time
from pathlib import Path

from lab.cloud import LocalCloud
from spotbatch import BatchWorker, clouds
from spotbatch.ledger import Ledger
from spotbatch.owner import Owner
from spotbatch.protocols import Identity
from spotbatch.runner import Runner
from spotbatch.signal_board import CALM, DRAIN, SignalBoard
from spotbatch.submit import Submission, submit
from tests.bench.figures import Figure, percentiles, within
from tests.spotbatch.clouds.conftest import make_queue

ROUNDS = 40


class Idle(BatchWorker):
    def process_item(self, item):
        time.sleep(0.01)

    def save_state(self) -> bytes:
        return os.urandom(1_000_000)


def figures() -> list[Figure]:
    taken = []
    with tempfile.TemporaryDirectory() as name, LocalCloud(Path(name) / "cloud") as cloud:
        os.environ.update(cloud.environment)
        ledger = Ledger(clouds.connect(make_queue(cloud)))
        owner = Owner("m", "b", "a", "p")
        ledger.machines.register(Identity("m", "b"), "a")
        for number in range(ROUNDS):
            list(submit(ledger, Submission.read([b"0"] * 10_000, 10_000, f"bench{number}")))
            board = SignalBoard.make(1)
            board.board.level = CALM
            runner = Runner(ledger, Idle(), board, 0)
            claim = ledger.claim(f"bench{number}", "000000", owner)
            thread = threading.Thread(target=runner.run, args=(claim,))
            thread.start()
            time.sleep(0.3)
            began = time.perf_counter()
            board.board.level = DRAIN
            thread.join()
            taken.append(time.perf_counter() - began)
    return [Figure("notice in the worker -> 1 MB durable and given back", percentiles(taken), "<= 1 s", within(taken, 1))]
