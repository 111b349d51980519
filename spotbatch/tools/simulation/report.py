"""The table and the JSON of `spotbatch simulate`."""

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from spotbatch.tools.simulation.experiment import Experiment
from spotbatch.tools.simulation.figures import PARTS, Figures
from spotbatch.tools.simulation.policies import ALL

BOUNDS = ("L8", "P5")


def in_order(rows: list[Figures]) -> list[Figures]:
    """Published rules, then ours, then the bounds: every figure of ours stands between the two."""

    def place(row: Figures) -> int:
        return 2 if row.policy in BOUNDS else 0 if ALL[row.policy].executed_by == "nothing" else 1

    return sorted(rows, key=place)


def settings_of(experiment: Experiment, baseline: str, priced: str, labels: list[str]) -> dict[str, Any]:
    plan = experiment.plan
    return {
        "starts": experiment.starts,
        "seed": experiment.seed,
        "machines": plan.machines,
        "work_hours": round(plan.workload.work_s / 3600, 3),
        "items": len(plan.workload.items_s),
        "boot_s": plan.boot_s,
        "restore_s": plan.workload.restore_s,
        "state_write_s": plan.workload.state_write_s,
        "deadline_s": plan.workload.deadline_s,
        "horizon_s": plan.horizon_s,
        "notice_s": experiment.notice_s,
        "first_hour_free": experiment.first_hour_free,
        "price_ratio": experiment.price_ratio,
        "prices": priced,
        "pools": [pool.name for pool in experiment.trace.pools],
        "baseline": baseline,
        "labels": labels,
    }


def record(experiment: Experiment, workload: str, rows: list[Figures], settings: dict[str, Any]) -> dict[str, Any]:
    """`{"trace", "workload", "settings", "policies"}`"""
    policies = [row.record(settings["baseline"]) | {"executed_by": ALL[row.policy].executed_by} for row in in_order(rows)]
    return {"trace": experiment.trace.name, "workload": workload, "settings": settings, "policies": policies}


def show(console: Console, experiment: Experiment, workload: str, rows: list[Figures], settings: dict[str, Any]) -> None:
    """Two tables over the same rows, then the labels."""
    baseline = settings["baseline"]
    plan = experiment.plan
    title = (
        f"{workload}: {plan.workload.name}, {plan.machines} machine{'s' if plan.machines > 1 else ''}, notice {experiment.notice_s:g} s,"
        f" {experiment.starts} starts on {experiment.trace.name}"
    )
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("policy", no_wrap=True)
    for name in ("makespan\n+%", f"95 %, less\n{baseline}'s", "paid\n+%", "saving\n%", f"95 %, less\n{baseline}'s"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("items\nlost", "\ntwice", "runs\nlate", "un-\nfinished"):
        table.add_column(name, justify="right", no_wrap=True)
    parts = Table("policy", title="Where the time went, % of the work", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in (*PARTS, "work\ntwice", "on-demand\n% of paid", "interruptions\nper 100 h", "makespan +%\np50 / p90"):
        parts.add_column(name, justify="right", no_wrap=True)
    parts.add_column("what follows it\nin production")
    kinds = [_kind(row) for row in in_order(rows)]
    for number, row in enumerate(in_order(rows)):
        policy = ALL[row.policy]
        style = "bold" if kinds[number] == "ours" else "dim" if kinds[number] == "bound" else ""
        section = number + 1 < len(kinds) and kinds[number + 1] != kinds[number]
        makespan = "makespan_overhead_pct"
        table.add_row(
            row.policy if kinds[number] == "ours" else f"{row.policy} {policy.summary}",
            _short(row.mean(makespan)),
            _interval(row, baseline, makespan),
            _short(row.mean("paid_overhead_pct")),
            _short(row.mean("saving_pct")),
            _interval(row, baseline, "saving_pct"),
            str(row.items_lost),
            str(row.items_twice),
            str(row.deadline_misses),
            str(row.unfinished),
            style=style,
            end_section=section,
        )
        parts.add_row(
            row.policy,
            *(f"{row.split_pct[part]:.2f}" for part in PARTS),
            f"{row.twice_pct:.2f}",
            f"{row.on_demand_pct:.0f}",
            f"{row.interruptions_per_100h:.1f}",
            f"{_short(row.quantile(makespan, 0.5))} / {_short(row.quantile(makespan, 0.9))}",
            "nothing" if kinds[number] != "ours" else "see below",
            style=style,
            end_section=section,
        )
    console.print(table)
    console.print(parts)
    for row in in_order(rows):
        if _kind(row) == "ours":
            policy = ALL[row.policy]
            console.print(f"{row.policy}: {policy.summary}. In production: {policy.executed_by}.", markup=False, highlight=False)
    console.print("Makespan, paid and saving are against on-demand machines that are never interrupted (P0).", highlight=False)
    for label in settings["labels"]:
        console.print(f"- {label}", markup=False, highlight=False)


def _kind(row: Figures) -> str:
    return "bound" if row.policy in BOUNDS else "published" if ALL[row.policy].executed_by == "nothing" else "ours"


def _interval(row: Figures, baseline: str, metric: str) -> str:
    low, high = row.ci95[metric]
    return "" if row.policy == baseline else f"{_short(low, '+')} to {_short(high, '+')}"


def _short(value: float, sign: str = "") -> str:
    return f"{value:{sign}.{0 if abs(value) >= 100 else 1}f}"
