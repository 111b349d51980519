"""`spotbatch simulate`: what a workload would cost and lose on recorded interruptions, beside published policies and two bounds."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from spotbatch.tools.simulation.plan import Plan
    from spotbatch.tools.simulation.trace import Trace

DEFAULT_TRACE, BURST_TRACE = "aws_gpu_2020-03-15_instances", "bamboo_ec2_p3_events"
MOST_STARTS = 10_000
WIDTH = 130
"""Columns that the tables need at least: a narrower terminal breaks lines rather than losing figures."""


def command(
    trace: Annotated[list[str] | None, typer.Option("--trace", help="a trace file or the name of a shipped one; more may follow")] = None,
    more: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    workload: Annotated[str, typer.Option("--workload", metavar="W1|...|W5|FILE.yaml", help="of the benchmark, or your own job")] = "W1",
    from_run: Annotated[str | None, typer.Option("--from-run", metavar="QUEUE[#RUN]", help="a finished run as the workload")] = None,
    policy: Annotated[str | None, typer.Option("--policy", metavar="NAME,...", help="default: all")] = None,
    price_ratio: Annotated[str, typer.Option("--price-ratio", metavar="RATIO", help="Spot price over on-demand price")] = "0.30",
    prices: Annotated[Path | None, typer.Option("--prices", help="CSV with a ratio for each pool, instead of one for all")] = None,
    starts: Annotated[str, typer.Option("--starts", metavar="N", help="paired starts for every policy")] = "60",
    seed: Annotated[str, typer.Option("--seed", metavar="N", help="of all random choices")] = "0",
    first_hour_free: Annotated[bool, typer.Option("--first-hour-free/--no-first-hour-free", help="AWS's rule for machines it takes")] = False,
    notice: Annotated[str | None, typer.Option("--notice", metavar="120|30|0", help="default: 120 s on AWS, 30 s else")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="the same as JSON")] = False,
    plot: Annotated[Path | None, typer.Option("--plot", metavar="FILE.png", help="one run's timeline, cost against makespan, lost time")] = None,
) -> None:
    """What a workload would cost and lose on recorded interruptions: ours between published policies and two bounds."""
    try:
        from spotbatch.tools.simulation import experiment as running
        from spotbatch.tools.simulation import labels, report
        from spotbatch.tools.simulation.figures import figures
        from spotbatch.tools.simulation.policies import ALL
    except ModuleNotFoundError as missing:
        _refuse([f"simulate needs the extra `sim`: pip install 'spotbatch[sim]' ({missing.name} is not installed)"])
    faults: list[str] = []
    names = _names(policy, list(ALL), faults)
    count = _number(starts, "--starts", 2, MOST_STARTS, faults)
    ratio = _number(price_ratio, "--price-ratio", 0.001, 10, faults, whole=False)
    first = _number(seed, "--seed", 0, 2**31, faults)
    if notice not in (None, "120", "30", "0"):
        faults.append(f"--notice: {notice!r} is refused; allowed are 120, 30 and 0 seconds")
    if plot is not None and (plot.suffix not in (".png", ".svg", ".pdf") or not plot.parent.is_dir()):
        faults.append(f"--plot: {str(plot)!r} is refused; allowed is a .png, .svg or .pdf file in a folder that exists")
    plan = _plan(workload, from_run, faults)
    found = _trace([*(trace or []), *(more or [])] or [BURST_TRACE if workload == "W5" else DEFAULT_TRACE], prices, faults)
    if found is not None and first_hour_free and found.cloud != "aws":
        faults.append(f"--first-hour-free: the trace has pools of {found.cloud}; allowed for pools of aws only, whose rule it is")
    if faults or plan is None or found is None:
        _refuse(faults)
    notice_s = float(notice) if notice is not None else 120.0 if found.cloud == "aws" else 30.0
    experiment = running.Experiment(found, plan, int(count), int(first), notice_s, ratio, first_hour_free)
    baseline = "P3" if plan.workload.deadline_s is not None else "L5"
    run = list(dict.fromkeys([*names, baseline, "P0"]))
    with Progress(
        TextColumn("{task.description:>8}"), BarColumn(), TextColumn("{task.completed} of {task.total} runs"), TimeElapsedColumn(),
        console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty(),
    ) as bar:  # fmt: skip
        task = bar.add_task("", total=len(run) * int(count))
        outcomes = experiment.run(run, lambda name, done: bar.update(task, advance=done, description=name))
    undisturbed = outcomes["P0"][0].on_demand_hours
    rows = figures(outcomes, baseline, undisturbed, plan.workload.work_s, int(first))
    rows = [row for row in rows if row.policy in names]
    priced = f"Spot at {ratio:g} of the on-demand price in every pool" if prices is None else f"from {prices.name}, by pool"
    named = from_run if from_run is not None else workload
    settings = report.settings_of(experiment, baseline, priced, labels.labels(experiment, priced))
    if plot is not None:
        from spotbatch.tools.simulation import pictures

        shown = "ours" if "ours" in names else names[0]
        worst = max(range(int(count)), key=lambda number: outcomes[shown][number].interruptions)
        pictures.draw(plot, f"{named}: {plan.workload.name}, on {found.name}", (shown, experiment.told(shown, worst)), rows)
    if as_json:
        print(json.dumps(report.record(experiment, named, rows, settings)))
        return
    console = Console()
    console.width = max(console.width, WIDTH) if console.is_terminal else WIDTH
    report.show(console, experiment, named, rows, settings)
    if plot is not None:
        console.print(f"picture: {plot}", markup=False, highlight=False)


def _names(policy: str | None, known: list[str], faults: list[str]) -> list[str]:
    if policy is None:
        return known
    names = [name.strip() for name in policy.split(",")]
    faults += [f"--policy: {name!r} is not known; allowed are {', '.join(known)}" for name in dict.fromkeys(names) if name not in known]
    return list(dict.fromkeys(names))


def _number(text: str, option: str, least: float, most: float, faults: list[str], whole: bool = True) -> float:
    try:
        value = float(int(text) if whole else float(text))
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        faults.append(f"{option}: {text!r} is refused; allowed is a {'whole ' if whole else ''}number from {least:g} to {most:,g}")
        return least
    return value


def _plan(workload: str, from_run: str | None, faults: list[str]) -> "Plan | None":
    from spotbatch.tools.simulation.finished_run import plan_of
    from spotbatch.tools.simulation.job import BadJob, Job
    from spotbatch.tools.simulation.workloads import WORKLOADS

    if from_run is not None:
        if workload != "W1":
            faults.append(f"--workload: {workload!r} beside --from-run; allowed is one of the two")
        try:
            return plan_of(from_run)
        except (LookupError, ValueError) as why:
            faults.append(str(why.args[0]))
            return None
    if workload in WORKLOADS:
        return WORKLOADS[workload]()
    if not Path(workload).is_file():
        faults.append(f"--workload: {workload!r} is neither a YAML file nor one of {', '.join(WORKLOADS)}")
        return None
    try:
        return Job.read(Path(workload)).plan(Path(workload).stem)
    except BadJob as why:
        faults += str(why).splitlines()
        return None


def _trace(names: list[str], prices: Path | None, faults: list[str]) -> "Trace | None":
    from dataclasses import replace

    from spotbatch.tools.simulation.bad_trace import BadTrace
    from spotbatch.tools.simulation.price_file import BadPrices, priced
    from spotbatch.tools.simulation.trace_files import read

    try:
        found = read(names)
        return found if prices is None else replace(found, pools=priced(found.pools, prices))
    except (BadTrace, BadPrices) as why:
        faults += str(why).splitlines()
        return None


def _refuse(faults: list[str]) -> NoReturn:
    for fault in faults:
        print(f"spotbatch: error: {fault}", file=sys.stderr)
    raise typer.Exit(2)
