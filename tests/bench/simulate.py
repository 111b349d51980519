"""The simulator's own figures, each between a published policy and a bound. Rows on traces that may not be shipped need TRACES=DIR."""

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from spotbatch.tools.simulation.experiment import Experiment
from spotbatch.tools.simulation.figures import Figures
from spotbatch.tools.simulation.figures import figures as rows_of
from spotbatch.tools.simulation.plan import Plan
from spotbatch.tools.simulation.published.cadence import daly
from spotbatch.tools.simulation.published.rows import BASELINES
from spotbatch.tools.simulation.trace import Trace
from spotbatch.tools.simulation.trace_files import read
from spotbatch.tools.simulation.workloads import WORKLOADS
from tests.bench.figures import Figure
from tests.simulate import table_3
from tests.simulate.pools import always, job, setting

PRICE_OF_THE_PAPER = 1 / 3.14
DEADLINES = ("W4-52h", "W4", "W4-70h")
LONG_DAYS = 20
"""A trace shorter than that has too few independent starts of a 60-hour job."""
NOT_RUN = "NOT RUN: needs TRACES=DIR with availability/*.csv.gz"
HOUR, POINT = 3600.0, 100.0


def figures() -> list[Figure]:
    found = [*_self_checks(), *_whole_table()]
    files = sorted(Path(os.environ["TRACES"]).glob("availability/*.csv.gz")) if os.environ.get("TRACES") else []
    if not files:
        names = ("W1 with notice", "W1 without notice", "W2, 1, 2 and 4 machines", "W4 against Uniform Progress", "Table 3 of Can't Be Late")
        return [*found, *(Figure(name, NOT_RUN, "") for name in names)]
    if (Path(os.environ["TRACES"]) / table_3.FILE).is_file():
        found.append(_table_3())
    traces = [read([str(path)]) for path in files]
    for trace in traces:
        if len({pool.name.split("/")[-1] for pool in trace.pools}) == 1:
            found += [*_one_job(trace), *_queue(trace)]
    cells = [cell for trace in traces if (trace.span_s or 0) > LONG_DAYS * 24 * HOUR for cell in _deadlines(trace)]
    found += [figure for _, figure in cells]
    ahead = [points for points, _ in cells]
    worst, mean = min(ahead), float(np.mean(ahead))
    wanted = "in every cell -0.5 or more, on the mean 1 or more, strive for 3"
    return [*found, Figure("W4, points ahead of Uniform Progress", f"worst {worst:+.1f}, mean {mean:+.1f}", wanted, worst >= -0.5 and mean >= 1)]


def _table(trace: Trace, plan: Plan, names: list[str], baseline: str, **settings: float) -> tuple[dict[str, Figures], int]:
    """By policy; and how often ours was interrupted."""
    experiment = replace(Experiment(trace, plan), **settings)
    outcomes = experiment.run([*names, "P0"])
    rows = rows_of(outcomes, baseline, outcomes["P0"][0].on_demand_hours, plan.workload.work_s, 0)
    return {row.policy: row for row in rows}, sum(outcome.interruptions for outcome in outcomes["ours"])


def _one_job(trace: Trace) -> list[Figure]:
    names, found = ["ours", "L4", "L5", "L8"], []
    for notice, makespan, saving, strive in ((120.0, 2.6, 69.5, 2.2), (0.0, 7.9, None, 7.0)):
        rows, _ = _table(trace, WORKLOADS["W1"](), names, "L4", notice_s=notice)
        told = {name: f"{row.mean('makespan_overhead_pct'):.2f} / {row.mean('saving_pct'):.2f}" for name, row in rows.items()}
        low, high = rows["ours"].ci95["makespan_overhead_pct"]
        good = rows["ours"].mean("makespan_overhead_pct") <= makespan and (saving is None or rows["ours"].mean("saving_pct") >= saving)
        bar = f"{makespan} or less{f' / {saving} or more' if saving else ''}, strive for {strive}"
        wanted = f"{bar}; L4 {told['L4']}, L5 {told['L5']}, bound L8 {told['L8']}"
        name = f"W1 on {trace.name}, notice {notice:g} s: makespan +% / saving %"
        found.append(Figure(name, f"{told['ours']} (95 % of difference to L4: {low:+.2f} to {high:+.2f})", wanted, good))
    return found


def _queue(trace: Trace) -> list[Figure]:
    found = []
    for name in ("W2-n1", "W2-n2", "W2"):
        rows, interruptions = _table(trace, WORKLOADS[name](), ["ours", "L5", "L8"], "L5")
        row = rows["ours"]
        measured = f"{row.items_lost} lost, {row.items_twice} twice in {interruptions} interruptions, {row.twice_pct:.2f} % of the work twice"
        beside = f"L5 {rows['L5'].twice_pct:.2f} %, L8 {rows['L8'].twice_pct:.2f} %"
        wanted = f"0 lost, no more twice than interruptions, 1.3 % or less, strive for 0.3; {beside}"
        good = row.items_lost == 0 and row.items_twice <= interruptions and row.twice_pct <= 1.3
        found.append(Figure(f"{name} on {trace.name}", measured, wanted, good))
    return found


def _deadlines(trace: Trace) -> list[tuple[float, Figure]]:
    cells = []
    for name in DEADLINES:
        rows, _ = _table(trace, WORKLOADS[name](), ["ours", "P2", "P3", "P5"], "P3", price_ratio=PRICE_OF_THE_PAPER)
        saving = {policy: row.mean("saving_pct") for policy, row in rows.items()}
        ahead, missed = saving["ours"] - saving["P3"], rows["ours"].deadline_misses
        wanted = f"{saving['P3'] - 0.5:.1f} or more, 0 late; P2 {saving['P2']:.1f}, P3 {saving['P3']:.1f}, bound P5 {saving['P5']:.1f}"
        measured = f"{saving['ours']:.1f} ({ahead:+.1f} to P3), {missed} late"
        cells.append((ahead, Figure(f"{name} on {trace.name}: saving %", measured, wanted, ahead >= -0.5 and missed == 0)))
    return cells


def _table_3() -> Figure:
    hours = table_3.hours_on_demand(Path(os.environ["TRACES"]))
    greedy, uniform, apart = float(hours["P2"].mean()), float(hours["P3"].mean()), float((hours["P2"] - hours["P3"]).mean())
    near = max(abs(greedy - table_3.GREEDY), abs(uniform - table_3.UNIFORM)) < table_3.TOLERANCE
    wanted = f"{table_3.GREEDY} / {table_3.UNIFORM} within {table_3.TOLERANCE}, {table_3.APART} within {table_3.APART_TOLERANCE}"
    good = near and abs(apart - table_3.APART) < table_3.APART_TOLERANCE
    return Figure("Table 3 of Can't Be Late: on-demand h of P2 / P3, apart", f"{greedy:.1f} / {uniform:.1f}, {apart:.1f}", wanted, good)


def _self_checks() -> list[Figure]:
    found = []
    for hours in (2.5, 9.0, 72.0):
        lives = np.random.default_rng(1).exponential(hours * HOUR, 30_000)
        given = setting((always(lifetimes=lives),), job(2_000 * hours), notice_s=0.0, horizon_s=1e9)
        measured = POINT * (BASELINES["C2"].run(given).makespan_s / given.workload.work_s - 1)
        mean, every = float(lives.mean()), daly(30.0, float(lives.mean()))
        formula = POINT * (mean / every * np.exp(360 / mean) * np.expm1((every + 30) / mean) - 1)
        name = f"periodic checkpoints, {hours:g} h between interruptions: makespan +%"
        found.append(Figure(name, f"{measured:.2f}", f"Daly {formula:.2f}, within 0.5", abs(measured - formula) < 0.5))
    return found


def _whole_table() -> list[Figure]:
    began = time.monotonic()
    told = subprocess.run(
        [sys.executable, "-c", "from spotbatch.tools.cli import main; main()", "simulate", "--json"], capture_output=True, check=True
    )
    lasted = time.monotonic() - began
    megabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    rows = {row["policy"]: row for row in json.loads(told.stdout)["policies"]}
    nothing = rows["P0"]["saving_pct"]
    return [
        Figure(f"the default table, {len(rows)} policies, 60 starts", f"{lasted:.1f} s", "180 s or less, strive for 60", lasted <= 180),
        Figure("its largest process", f"{megabytes:.0f} MB", "1,000 MB or less for all three", megabytes <= 333),
        Figure("saving of on-demand", f"{nothing:g} %", "exactly 0", nothing == 0),
    ]
