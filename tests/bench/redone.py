"""Work done again per interruption, with a notice and without, counted from the log that the job itself writes; real agents, local store."""

import random
import signal
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.bench.figures import Figure
from tests.spotbatch.clock import wait_until
from tests.spotbatch.machines import Machines

INTERVAL = 100
"""Items between checkpoints, as by default; 2.5 s of work here."""
ITEM_SECONDS = 0.025
ITEMS = 1_200
MACHINES, EACH = 4, 3
"""Machines at a time, and how often each is interrupted."""
ANCHOR = "Ray Train, 4 preemptions: {} of steps (ray-project/ray #65047)"


def logged(machines: Machines) -> Counter[int]:
    return Counter(int(line) for line in machines.log.read_text().split()) if machines.log.exists() else Counter()


def redone(folder: Path, number: int, seed: int) -> tuple[int, int]:
    """Items done again, and items done in all, of one task whose machine is taken away `EACH` times, at any moment of an interval."""
    folder.mkdir()
    machines, chance = Machines(folder), random.Random(seed)
    try:
        machines.environment["JOB_SECONDS"] = str(ITEM_SECONDS)
        machines.submit(ITEMS, ITEMS)
        for _ in range(EACH):
            known = sum(logged(machines).values())
            agent = machines.start("counted:Hundreds")
            wait_until(lambda known=known: sum(logged(machines).values()) > known + 20, 60, "a machine at work")
            time.sleep(INTERVAL * ITEM_SECONDS * (1 + chance.random()))
            agent.send_signal(number)
            machines.ended(agent)
        machines.environment["JOB_SECONDS"] = "0"
        if machines.ended(machines.start("counted:Hundreds", "--until-empty")) or len(logged(machines)) != ITEMS:
            raise RuntimeError(f"{len(logged(machines))} of {ITEMS} items done: see {folder}")
        return sum(logged(machines).values()) - ITEMS, sum(logged(machines).values())
    finally:
        machines.close()


def figures() -> list[Figure]:
    rows = []
    for name, number, most, ray in (("with notice", signal.SIGTERM, 5, "5.4 %"), ("without, kill -9", signal.SIGKILL, 100, "24.4 %")):
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(MACHINES) as threads:
            found = list(threads.map(lambda seed, to=number, at=folder: redone(Path(at) / str(seed), to, seed), range(MACHINES)))
        again, whole, times = sum(items for items, _ in found), sum(items for _, items in found), MACHINES * EACH
        share = 100 * again / times / INTERVAL
        measured = f"{share:.1f} % of a checkpoint interval ({again / times:.1f} items, mean of {times}); {100 * again / whole:.1f} % of all items"
        rows.append(Figure(f"work redone per interruption, {name}", measured, f"<= {most} %; {ANCHOR.format(ray)}", share <= most))
    return rows
