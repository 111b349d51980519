"""The closing report of the demonstration."""

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from lab.demo.count import Count
from lab.demo.timings import Timings, middle_and_worst
from lab.demo.trace import Stretch
from spotbatch.tools.savings_after import Account


@dataclass(frozen=True)
class Report:
    counted: Count
    tasks: int
    machines: int
    bulk: list[int]
    unannounced: int
    stretch: Stretch
    notice_seconds: float
    timings: Timings
    saved: Account
    equal: bool
    declared: list[tuple[str, int, str]]
    destroyed: int
    summary: str
    job_seconds: float
    seconds: float

    @property
    def lossless(self) -> bool:
        return self.counted.lossless and self.equal


def show(report: Report, console: Console) -> None:
    """Print what happened; the rows are figures of this run."""
    counted = report.counted
    table = Table(title="What happened", title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    drops = " + ".join(map(str, report.bulk))
    table.add_row("machines", f"{report.machines} in all, {sum(report.bulk)} taken away in drops of {drops}")
    table.add_row("replayed", f"{report.stretch.name}; gaps shortened {report.stretch.factor:g} times, notice {report.notice_seconds:g} s")
    table.add_row("without any notice", f"{report.unannounced}")
    table.add_row("tasks done", f"{report.tasks} of {report.tasks}, {counted.items} items, in {report.job_seconds:.0f} s")
    table.add_row("items lost", _good(len(counted.lost), "; ".join(counted.lost[:3])))
    table.add_row("items done twice", f"{counted.done_twice} of {counted.items}, counted from the job's own logs; a result appears once")
    table.add_row("results twice", _good(len(counted.results_twice), "; ".join(counted.results_twice[:3])))
    table.add_row("notice -> given back", middle_and_worst(report.timings.given_back))
    table.add_row("deadline -> queued again", middle_and_worst(report.timings.queued_again))
    table.add_row("saved net of waste", _saved(report.saved))
    table.add_row("result", "[green]equal, byte for byte, to an undisturbed run[/]" if report.equal else "[red]DIFFERS from an undisturbed run[/]")
    console.print(table)

    declared = Table(title=f"What was deployed, and destroyed again ({report.destroyed})", title_justify="left")
    for column in ("component", "resources", "declared in"):
        declared.add_column(column, overflow="fold")
    for component, resources, file in report.declared:
        declared.add_row(component, str(resources), file)
    console.print(declared)
    console.print("What the job found (first lines):", highlight=False)
    for line in report.summary.splitlines()[:6]:
        console.print(f"  {line}", highlight=False, soft_wrap=True)
    verdict = "[green]Nothing was lost.[/]" if report.lossless else "[red]SOMETHING WAS LOST.[/]"
    console.print(
        f"{verdict} {report.seconds:.0f} s in all. Another environment: stacks/Pulumi.dev.yaml. Your own job: examples/etl/etl.py.", highlight=False
    )


def _saved(saved: Account) -> str:
    """At the prices of these types in the cloud; the lab itself costs nothing."""
    net, told = saved.percent(saved.net_usd), saved.to_json()
    kinds = {price.kind: f"{price.kind} of {price.date}, {price.source.partition(':')[0]}" for price in saved.prices}
    types = ", ".join(sorted({price.instance_type for price in saved.prices}))
    billed, waste = told["net_percent_all_billed"], told["waste_percent"]
    return (
        f"{billed:.0f} % of on demand (waste is {waste:.0f} % of the work, as machines live minutes), {net:.0f} % with AWS's free first hour; "
        f"{types} in {saved.prices[0].region}: {'; '.join(kinds.values())}"
    )


def _good(number: int, which: str) -> str:
    return "[green]0[/]" if number == 0 else f"[red]{number}[/]: {which}"
