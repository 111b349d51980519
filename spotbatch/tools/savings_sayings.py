"""Figures that are often said of Spot machines, reckoned anew from the shipped tables, with the places and dates at which they hold."""

import datetime
import math
from dataclasses import dataclass
from typing import Any

from spotbatch.tools.prices.price_tables import PriceTables
from spotbatch.tools.savings_before import net

BOOT_AND_RESTORE_SECONDS, CHECKPOINT_SECONDS, ITEM_SECONDS = 360.0, 30.0, 900.0
"""Five minutes of boot and a minute of restore, a checkpoint of half a minute; items of a quarter of an hour where there is none."""

EARLY = datetime.date(2021, 4, 1)
"""When the figures that are still quoted were true."""

REGIONS = ("us-east-1", "us-east-2", "us-west-2", "eu-west-1")


@dataclass(frozen=True)
class Saying:
    said: str
    found: list[str]

    def to_json(self) -> dict[str, Any]:
        return {"said": self.said, "found": self.found}


def sayings(overhead: float) -> list[Saying]:
    """What is said, and what the tables have, at this overhead."""
    tables = PriceTables()
    return [
        Saying("t3.xlarge costs 70 % less", _discounts(tables, "t3.xlarge")),
        Saying(f"p3.2xlarge costs {_pair(tables, 'p3.2xlarge')} an hour", _discounts(tables, "p3.2xlarge")),
        Saying("60 to 80 % are saved in total", _totals(tables, overhead)),
        Saying("interruptions cost 5 to 15 % more time", _overheads()),
    ]


def _pair(tables: PriceTables, instance_type: str) -> str:
    spot, full = tables.spot(instance_type, REGIONS[0], EARLY), tables.on_demand(instance_type, REGIONS[0], EARLY)
    return f"${spot.usd_per_hour:.3f} instead of ${full.usd_per_hour:.2f}"


def _discounts(tables: PriceTables, instance_type: str) -> list[str]:
    by_date: dict[str, list[str]] = {}
    for region in REGIONS:
        for one in tables.discounts(instance_type, region):
            by_date.setdefault(f"{one.date} ({one.source})", []).append(f"{100 * one.fraction:.0f} % {region}")
    return [f"{date}: {', '.join(told)}" for date, told in by_date.items()]


def _totals(tables: PriceTables, overhead: float) -> list[str]:
    found = []
    for table, discounts in tables.all_discounts().items():
        saved = [net(one, overhead) for one in discounts]
        within, above = sum(0.6 <= one < 0.8 for one in saved), sum(one >= 0.8 for one in saved)
        found.append(
            f"{table}, {len(saved):,} pairs of region and type, {100 * overhead:g} % overhead: "
            f"{100 * within / len(saved):.0f} % save 60 to 80 %, {100 * above / len(saved):.0f} % more"
        )
    return found


def hours_between(overhead: float) -> dict[str, float]:
    """Machine hours between interruptions at which the overhead is this: with the notice heeded, by periodic checkpoints alone, by items redone."""
    again, save = BOOT_AND_RESTORE_SECONDS, CHECKPOINT_SECONDS
    root = (-math.sqrt(2 * save) + math.sqrt(2 * save + 4 * again * overhead)) / (2 * again)
    return {
        "a checkpoint inside the notice": (again + save) / overhead / 3600,
        "periodic checkpoints, no notice": 1 / root**2 / 3600,
        "items of 15 minutes, no checkpoint": (ITEM_SECONDS / 2 + again) / overhead / 3600,
    }


def _overheads() -> list[str]:
    little, much = hours_between(0.05), hours_between(0.15)
    basis = f"{BOOT_AND_RESTORE_SECONDS:g} s of boot and restore, {CHECKPOINT_SECONDS:g} s a checkpoint"
    return [
        *(f"{how}: 5 % at one interruption in {hours:.1f} machine hours, 15 % at one in {much[how]:.1f}" for how, hours in little.items()),
        f"reckoned with {basis}; waiting for a free pool comes on top",
    ]
