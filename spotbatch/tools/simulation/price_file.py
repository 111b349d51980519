"""Spot prices of a trace's pools, from a file: prices are never in the code."""

import csv
from dataclasses import replace
from pathlib import Path

from spotbatch.tools.simulation.pool import Pool

RATIOS = ("pool", "price_ratio")
TABLE = ("cloud", "region", "instance_type", "on_demand_usd_h", "spot_usd_h", "savings_pct", "date")


class BadPrices(ValueError):
    """Every fault of a price file on a line of its own: file, line, column, value, what is allowed."""


def priced(pools: tuple[Pool, ...], path: Path) -> tuple[Pool, ...]:
    """The pools, each with its Spot price over its on-demand price.

    The file: `pool,price_ratio`, or a dated table with at least the columns of `TABLE`, of which the newest row of a pool's region and type
    counts. Raises BadPrices, which also names every pool without a price.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as why:
        raise BadPrices(f"--prices: {str(path)!r} cannot be read: {why}") from None
    reader = csv.DictReader(lines)
    header = tuple(reader.fieldnames or ())
    by_table = set(TABLE) <= set(header)
    if header != RATIOS and not by_table:
        raise BadPrices(f"{path}: line 1: header {','.join(header)!r} is neither {','.join(RATIOS)!r} nor has all of {','.join(TABLE)}")
    faults: list[str] = []
    found: dict[str, tuple[str, float]] = {}
    for row in reader:
        key = f"{row['cloud']}/{row['region']}/{row['instance_type']}" if by_table else str(row["pool"])
        text = _ratio_of(row) if by_table else row["price_ratio"]
        if text is None and by_table:
            continue
        try:
            ratio = float(text or "")
        except ValueError:
            ratio = -1.0
        if not 0 < ratio <= 10:
            faults.append(f"{path}: line {reader.line_num}: price ratio {text!r} of {key}; allowed is a number above 0 and up to 10")
            continue
        when = str(row["date"]) if by_table else ""
        if when >= found.get(key, ("", 0.0))[0]:
            found[key] = (when, ratio)
    keys = {pool.name: f"{pool.name.split('/')[0]}/{pool.region}/{pool.name.split('/')[-1]}" if by_table else pool.name for pool in pools}
    faults += [f"{path}: no price for pool {pool.name} (looked for {keys[pool.name]})" for pool in pools if keys[pool.name] not in found]
    if faults:
        raise BadPrices("\n".join(faults))
    return tuple(replace(pool, price_ratio=found[keys[pool.name]][1]) for pool in pools)


def _ratio_of(row: dict[str, str]) -> str | None:
    """None where the row has no price pair."""
    try:
        if row["on_demand_usd_h"] and row["spot_usd_h"]:
            return str(float(row["spot_usd_h"]) / float(row["on_demand_usd_h"]))
        return str(1 - float(row["savings_pct"]) / 100) if row["savings_pct"] else None
    except (ValueError, ZeroDivisionError):
        return f"{row['spot_usd_h']}/{row['on_demand_usd_h']}"
