"""A job that writes its own log, so that a checker which knows nothing of spotbatch can count."""

import os
import time
from pathlib import Path
from typing import Any

from spotbatch import BatchWorker


class Counted(BatchWorker):
    checkpoint_items = 5

    def setup(self):
        self.log = os.open(Path(os.environ["JOB_LOG"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.seconds = float(os.environ.get("JOB_SECONDS", "0.01"))

    def process_item(self, item) -> Any:
        time.sleep(self.seconds)
        os.write(self.log, f"{item}\n".encode())
        return {"item": item, "square": item * item}


class Hundreds(Counted):
    checkpoint_items = 100


class Large(Counted):
    """Results that do not fit into the record."""

    def process_item(self, item):
        return {**super().process_item(item), "text": f"{item} " * 1000}


class Running(Counted):
    """Keeps a running sum as its state: an item done twice, or left out, shows in every result after it."""

    def restore_state(self, state):
        self.sum = int(state) if state else 0

    def save_state(self):
        return str(self.sum).encode()

    def process_item(self, item):
        Counted.process_item(self, item)
        self.sum += item
        return self.sum


class Faulty(Counted):
    """Item 7 crashes the process, 17 raises, 27 hangs, 37 returns what JSON cannot hold."""

    item_seconds_max = 1.0

    def process_item(self, item):
        if item == 7:
            os.kill(os.getpid(), 11)
        if item == 17:
            raise ValueError("bad pixel")
        if item == 27:
            time.sleep(3600)
        if item == 37:
            return {1, 2}
        return super().process_item(item)


class Unready(BatchWorker):
    def setup(self):
        raise RuntimeError("no model file")
