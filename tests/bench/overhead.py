"""What the worker adds to each item, beside an empty loop over the same items in the same process."""

import statistics
import tempfile
import time
from pathlib import Path

from spotbatch import BatchWorker, clouds
from spotbatch.ledger import Ledger
from spotbatch.owner import Owner
from spotbatch.protocols import Identity
from spotbatch.runner import Runner
from spotbatch.signal_board import SignalBoard
from spotbatch.submit import Submission, submit
from tests.bench.figures import Figure

ITEMS = 200_000
ROUNDS = 5


class Nothing(BatchWorker):
    def process_item(self, item):
        return None


def figures() -> list[Figure]:
    added, loops = [], []
    for number in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            ledger = Ledger(clouds.connect(f"local:{Path(folder)}/queue"))
            run = f"bench{number}"
            list(submit(ledger, Submission.read([b"%d" % item for item in range(ITEMS)], ITEMS, run)))
            ledger.machines.register(Identity("m", "b"), "a")
            job = Nothing()
            claim = ledger.claim(run, "000000", Owner("m", "b", "a", "p"))
            runner = Runner(ledger, job, SignalBoard.make(1), 0)
            began = time.perf_counter()
            runner.run(claim)
            whole = time.perf_counter() - began
            items = list(range(ITEMS))
            began = time.perf_counter()
            for item in items:
                job.process_item(item)
            loop = time.perf_counter() - began
            added.append((whole - loop) / ITEMS * 1e6)
            loops.append(loop / ITEMS * 1e6)
    middle, loop = statistics.median(added), statistics.median(loops)
    name = f"worker adds per item (decode, checkpoints, ledger; {ITEMS:,} items, default settings)"
    return [Figure(name, f"{middle:.2f} us, {middle / loop:.1f} x an empty loop ({loop:.2f} us)", "<= 5 us", middle <= 5)]
