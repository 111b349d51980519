"""Survival statistics of preemptible VMs, per zone and machine type, with bootstrap resamples as items.

Real data (SOURCES.md), standard library only. As a job of your own would: one method, and whatever it returns is kept, once.
"""

import csv
import gzip
import json
import random
import time
from pathlib import Path

from spotbatch import BatchWorker

DATA = Path(__file__).with_name("gcp_preemptible_2019.csv.gz")
HOURS = (1, 3, 6, 12, 18, 23)
LOG = Path("items.log")
"""Every execution of an item, in the current folder: the job's own account of what it did."""

SMALLEST_GROUP = 15
RESAMPLES = 100

Lifetime = tuple[float, bool]
"""Seconds lived, and whether the cloud ended it (False: its user did, so that its lifetime is censored)."""


def read_lifetimes() -> dict[str, list[Lifetime]]:
    """Lifetimes per `zone/machine_type`, groups of at least 15 VMs only."""
    groups: dict[str, list[Lifetime]] = {}
    with gzip.open(DATA, "rt", newline="") as file:
        for row in csv.DictReader(file):
            groups.setdefault(f"{row['zone']}/{row['machine_type']}", []).append((float(row["lifetime_s"]), row["ended_by"] == "preempted"))
    return {name: sorted(members) for name, members in sorted(groups.items()) if len(members) >= SMALLEST_GROUP}


def survival(lifetimes: list[Lifetime]) -> list[float]:
    """Kaplan-Meier estimate of the share that still runs after each of HOURS."""
    curve, at_risk, alive = [], len(lifetimes), 1.0
    waiting = iter(sorted(lifetimes))
    upcoming = next(waiting, None)
    for hours in HOURS:
        while upcoming is not None and upcoming[0] <= hours * 3600:
            if upcoming[1]:
                alive *= 1 - 1 / at_risk
            at_risk -= 1
            upcoming = next(waiting, None)
        curve.append(round(alive, 6))
    return curve


class SurvivalStatistics(BatchWorker):
    """Bootstrap estimates of survival curves, one per item.

    An item is `{"group": "us-east1-b/n1-highcpu-2", "resample": 17}`, with `"seconds"` if it is to take so long.
    """

    def setup(self) -> None:
        self.groups = read_lifetimes()

    def process_item(self, item):
        started = time.monotonic()
        members = self.groups[item["group"]]
        chance = random.Random(f"{item['group']} {item['resample']}")
        curve = survival(chance.choices(members, k=len(members)))
        # So that eight machines on two cores behave like eight machines, a rehearsal gives each item a duration.
        time.sleep(max(0.0, item.get("seconds", 0.0) - (time.monotonic() - started)))
        # One write of one line: what a kill leaves behind is whole lines, and whoever counts lost and doubled items reads them.
        with LOG.open("a") as file:
            file.write(json.dumps({"item": f"{item['group']} {item['resample']}"}) + "\n")
        return {"group": item["group"], "resample": item["resample"], "survival": curve}
