"""`spotbatch savings`: what Spot machines would save, and what they did save a run, net of waste."""

import datetime
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from spotbatch import clouds
from spotbatch.ledger import Ledger
from spotbatch.tools.options import Queue
from spotbatch.tools.prices.price_tables import NoPrice, PriceTables
from spotbatch.tools.savings_after import Account, AssumedMachine, Prices, account, dollars
from spotbatch.tools.savings_before import Forecast, forecasts
from spotbatch.tools.savings_page import page
from spotbatch.tools.savings_picture import draw
from spotbatch.tools.savings_sayings import Saying, sayings

PICTURES = (".png", ".svg", ".pdf")


class BadQuestion(LookupError):
    """Arguments that do not go together or cannot be read; one fault a line."""


def command(
    run: Annotated[str | None, typer.Argument(help="a run that has worked; without one: what --types would save")] = None,
    types: Annotated[str, typer.Option("--types", help="instance types, with commas; with RUN: the type of machines whose records have none")] = "",
    region: Annotated[str, typer.Option("--region", help="such as us-east-1; with RUN: the region of machines whose records have no zone")] = "",
    overhead: Annotated[
        str | None, typer.Option("--overhead", help="machine time that interruptions add, as 5%; without RUN only. Default: 5%")
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="ask AWS for prices (needs credentials); default: the tables of this package")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="the same as JSON")] = False,
    plot: Annotated[Path | None, typer.Option("--plot", help="write a picture from gross to net: .png, .svg or .pdf; with RUN only")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="write a page that stands alone; with RUN only")] = None,
    queue: Queue = clouds.DEFAULT_QUEUE,
) -> None:
    """What Spot machines saved a run, net of work done again, boots, waiting and services; without RUN, what they would save."""
    chosen = [one.strip() for one in types.split(",") if one.strip()]
    share = _share(overhead)
    if faults := _faults(run, chosen, region, overhead, share, live, plot, html):
        raise BadQuestion("\n".join(faults))
    prices: Prices = PriceTables()
    if live:
        # Needs botocore, which those who only read tables need not have.
        try:
            from spotbatch.tools.prices.live import LivePrices
        except ImportError as fault:
            raise BadQuestion(f"--live: needs {fault.name}, which comes with spotbatch[aws]") from None
        prices = LivePrices()
    if run is None:
        found = forecasts(chosen, region, share or 0.0, prices if live else None, datetime.datetime.now(datetime.UTC).date())
        said = sayings(share or 0.0)
        if as_json:
            told = {"region": region, "overhead_percent": 100 * (share or 0.0), "types": [one.to_json() for one in found]}
            print(json.dumps({**told, "often_said": [one.to_json() for one in said]}))
        else:
            _tell(*_forecast(found, share or 0.0, said))
        return
    try:
        done = account(Ledger(clouds.connect(queue)), queue, run, prices, AssumedMachine(chosen[0] if chosen else "", region))
    except NoPrice as fault:
        raise fault if live else NoPrice(f"{fault}\nthe tables are dated and few: --live asks AWS, which needs credentials") from None
    if plot is not None:
        _written(plot, lambda: draw(done, plot))
    if html is not None:
        _written(html, lambda: html.write_text(page(done)))
    if as_json:
        print(json.dumps(done.to_json()))
    else:
        _tell(*_account(done))


def _share(overhead: str | None) -> float | None:
    """5%: 0.05; None for what is no percentage."""
    found = re.fullmatch(r"(\d{1,3}(?:\.\d+)?) ?%", (overhead or "5%").strip())
    return float(found[1]) / 100 if found else None


def _faults(
    run: str | None, types: list[str], region: str, overhead: str | None, share: float | None, live: bool, plot: Path | None, html: Path | None
) -> list[str]:
    faults = []
    if share is None:
        faults.append(f"--overhead: {overhead!r} is not a percentage from 0% to 999%, such as 5%")
    if plot is not None and plot.suffix not in PICTURES:
        faults.append(f"--plot: {str(plot)!r} ends with {plot.suffix!r}, allowed: {', '.join(PICTURES)}")
    faults += [
        f"{option}: {str(path.parent)!r} is no folder" for option, path in (("--plot", plot), ("--html", html)) if path and not path.parent.is_dir()
    ]
    if run is None:
        faults += ["--types: name one instance type or more, or the RUN whose savings you want"] if not types else []
        faults += ["--region: name the region of the machines, such as us-east-1"] if not region else []
        faults += [f"{option}: needs a RUN" for option, value in (("--plot", plot), ("--html", html)) if value]
        faults += [fault for one in types if region and not live and (fault := PriceTables().fault(one, region))]
        return faults
    faults += [f"--types: {', '.join(types)} are {len(types)}; with a RUN name one"] if len(types) > 1 else []
    faults += ["--overhead: a run's own overhead is measured; leave it out with a RUN"] if overhead is not None else []
    return faults


def _written(path: Path, write: Callable[[], object]) -> None:
    try:
        write()
    except ImportError as fault:
        raise BadQuestion(f"--plot: needs {fault.name}, which comes with spotbatch[sim]") from None
    except OSError as fault:
        raise BadQuestion(f"{path}: {fault.strerror}") from None


def _tell(table: Table, lines: list[str]) -> None:
    console = Console()
    console.print(table)
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _forecast(found: list[Forecast], overhead: float, said: list[Saying]) -> tuple[Table, list[str]]:
    title = f"Before a run, {found[0].region}: {100 * overhead:g} % more machine time for interruptions"
    table = Table(title=title, title_justify="left")
    bands = any(one.discount.interrupted for one in found)
    for head in ("type", "on demand", "Spot", "off", "net", *(["taken a month"] if bands else []), "date"):
        table.add_column(head, justify="right" if head in ("on demand", "Spot", "off", "net") else "left", no_wrap=True)
    for one in found:
        table.add_row(
            one.instance_type,
            f"${one.on_demand.usd_per_hour:.4f}" if one.on_demand else "not known",
            f"${one.spot.usd_per_hour:.4f}" if one.spot else "not known",
            f"{100 * one.discount.fraction:.1f} %",
            f"{100 * one.net:.1f} %",
            *([one.discount.interrupted or "not known"] if bands else []),
            one.discount.date,
        )
    lines = [f"{one.instance_type}: {one.discount.date} {_source(one)}{_earlier(one)}" for one in found]
    lines += ["", "Often said, and where and when it holds:"]
    for saying in said:
        lines += [f"  {saying.said}", *(f"    {one}" for one in saying.found)]
    return table, lines


def _source(one: Forecast) -> str:
    return one.discount.source + (f"; on-demand price of {one.on_demand.date}" if one.on_demand else "")


def _earlier(one: Forecast) -> str:
    return "".join(f"; {earlier.date}: {100 * earlier.fraction:.1f} %" for earlier in one.earlier)


def _account(done: Account) -> tuple[Table, list[str]]:
    told = done.to_json()
    table = Table(title=f"{done.title}: {done.percent(done.net_usd):.1f} % saved, net of waste", title_justify="left")
    for head in ("", "machine time", "USD", "of on demand"):
        table.add_column(head, justify="left" if not head else "right")
    useful = done.hours("useful")
    table.add_row("the same work on demand", _lasting(useful), dollars(done.on_demand_usd), "100.0 %")
    for line in done.lines:
        table.add_row(line.name, "" if line.hours is None else _lasting(line.hours), dollars(line.usd), f"{done.percent(line.usd):.1f} %")
    table.add_row("net saving", "", dollars(done.net_usd), f"{done.percent(done.net_usd):.1f} %", style="bold")
    lines = [
        f"{told['machines']} machines, waste {told['waste_percent']:.1f} % of useful machine time; {told['from']} to {told['to']}",
        "",
        "Prices:",
    ]
    lines += [f"  {price}" for price in done.prices]
    if done.uses:
        lines += ["Storage and handler:"]
        lines += [f"  {use.service}: {use.units:,.4g} units, ${use.usd:.8f}, {use.date}, {use.table}" for use in done.uses]
    lines += ["What the records cannot tell:", *(f"  {remark}" for remark in done.remarks)]
    return table, lines


def _lasting(hours: float) -> str:
    return f"{hours:.2f} h" if hours >= 1 else f"{60 * hours:.2f} min"
