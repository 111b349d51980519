"""Loops over tasks and items in the job's own hands."""

import os
import time
from pathlib import Path

SECONDS = float(os.environ.get("JOB_SECONDS", "0.01"))


def log(item) -> None:
    with Path(os.environ["JOB_LOG"]).open("a") as file:
        file.write(f"{item}\n")


def squares(worker):
    for task in worker.tasks():
        for item in worker.items(task):
            time.sleep(SECONDS)
            log(item)
            worker.done(item, {"item": item, "square": item * item})


def batches(worker):
    """Items four at a time, as a job would that feeds a GPU."""
    for task in worker.tasks():
        waiting = []
        for item in worker.items(task):
            waiting.append(item)
            if len(waiting) == 4:
                finish(worker, waiting)
        finish(worker, waiting)


def finish(worker, waiting: list) -> None:
    time.sleep(4 * SECONDS)
    for item in waiting:
        log(item)
        worker.done(item, item * item)
    waiting.clear()


def faulty(worker):
    """Task 1 is left in the middle, item 25 raises, item 35 is done before its turn, and item 45 returns what JSON cannot hold."""
    for task in worker.tasks():
        for item in worker.items(task):
            if item == 15:
                break
            if item == 25:
                raise ValueError("bad pixel")
            if item == 35:
                worker.done(36)
            worker.done(item, {1, 2} if item == 45 else item)


def idle(worker):
    return None


def unready(worker):
    raise RuntimeError("no model file")
