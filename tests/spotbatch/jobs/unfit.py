"""Jobs that do not fit, each in one way, and two that do."""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from spotbatch import BatchWorker


class Fits(BatchWorker):
    def process_item(self, item):
        return {"square": item * item}


class FitsWithState(BatchWorker):
    def restore_state(self, state):
        self.sum = int(state) if state else 0

    def save_state(self) -> Any:
        return str(self.sum).encode()

    def process_item(self, item):
        self.sum += item
        return self.sum


class KeepsAnOpenSum(FitsWithState):
    """Has a state, and saves none."""

    def save_state(self):
        return None


class LosesItsState(FitsWithState):
    def restore_state(self, state):
        self.sum = 0


class CannotRestore(FitsWithState):
    def restore_state(self, state):
        self.sum = json.loads(state)["sum"] if state else 0


class SavesText(FitsWithState):
    def save_state(self):
        return str(self.sum)


class SavesTooMuch(FitsWithState):
    """As on a slow way to the store: the notice of the test is short."""

    def save_state(self):
        time.sleep(1.2)
        return super().save_state()


class SavesFarTooMuch(FitsWithState):
    def save_state(self):
        time.sleep(1.1)
        return super().save_state()


class MakesAFileOnce(BatchWorker):
    def process_item(self, item):
        with (Path(os.environ["JOB_LOG"]).parent / f"made-{item}").open("x"):
            return item


class DependsOnTheProcess(BatchWorker):
    def process_item(self, item):
        return {"item": item, "by": os.getpid()}


class TakesTooLong(BatchWorker):
    def process_item(self, item):
        time.sleep(1.2 if item == 3 else 0)


class TakesTheWholeNotice(BatchWorker):
    def process_item(self, item):
        time.sleep(0.9 if item == 3 else 0)


class Hangs(BatchWorker):
    def process_item(self, item):
        if item == 3:
            time.sleep(3600)


class Crashes(BatchWorker):
    def process_item(self, item):
        if item == 3:
            os.abort()


class IsKilledOverItsResult(BatchWorker):
    """As by a lack of memory, with half of its line written."""

    def process_item(self, item):
        if item == 3:
            with (Path(sys.argv[1]) / "seen.jsonl").open("a") as file:
                file.write('{"item": 3, "seco')
            os.kill(os.getpid(), signal.SIGKILL)
        return item


class Exits(BatchWorker):
    def process_item(self, item):
        raise SystemExit(3)


class RaisesSometimes(BatchWorker):
    def process_item(self, item):
        if item % 2:
            raise ValueError(f"odd: {item}")


class RaisesAlways(BatchWorker):
    def process_item(self, item):
        raise ValueError("no such file")


class ReturnsASet(BatchWorker):
    def process_item(self, item):
        return {item}


class ReturnsAFunction(BatchWorker):
    def process_item(self, item):
        return {"call": lambda: item}


class ReturnsNotANumber(BatchWorker):
    def process_item(self, item):
        return float("nan")


class CannotSetUp(BatchWorker):
    def setup(self):
        raise RuntimeError("no model file")


class CannotBegin(BatchWorker):
    def restore_state(self, state):
        self.sum = int(state or "")

    def process_item(self, item):
        return item


class Talks(BatchWorker):
    def process_item(self, item):
        print("hello from", item, flush=True)
        return item


def loops(worker):
    """A job with the loop in its own hands."""
