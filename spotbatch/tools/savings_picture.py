"""A run's savings as a picture: from the on-demand price of the work down to what it cost, waste step by step."""

from pathlib import Path

from spotbatch.tools.savings_after import Account, dollars

_SAVED, _COST, _REST = "#2a9d8f", "#e76f51", "#577590"
"""Told apart by light and dark too, so that a print or a colour-blind eye sees the steps."""


def draw(account: Account, path: Path) -> None:
    """Write a waterfall from gross to net; the ending says the format (.png, .svg, .pdf). Raises OSError, ValueError for another ending."""
    # Half a second, and an extra: only those who want a picture pay for it.
    from matplotlib.figure import Figure

    steps = [line for line in account.lines if line is account.lines[0] or line.usd]
    names = [*(line.name for line in steps), "net saving"]
    figure = Figure(figsize=(9, 0.5 * len(names) + 2.2), layout="constrained")
    axes = figure.subplots()
    reached = 0.0
    for row, line in enumerate(steps):
        axes.barh(row, account.percent(line.usd), left=account.percent(reached), color=_SAVED if line.usd >= 0 else _COST)
        reached += line.usd
        edge = account.percent(max(reached, reached - line.usd))
        axes.text(edge, row, f"  {account.percent(line.usd):+.1f} %  ({dollars(line.usd)})", va="center", fontsize=9, parse_math=False)
    axes.barh(len(steps), account.percent(reached), color=_REST)
    axes.text(
        max(0.0, account.percent(reached)),
        len(steps),
        f"  {account.percent(reached):.1f} %  ({dollars(reached)})",
        va="center",
        fontsize=9,
        weight="bold",
    )
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.axvline(0, color="black", linewidth=0.8)
    lowest, highest = axes.get_xlim()
    axes.set_xlim(lowest, max(100.0, highest) * 1.12)
    axes.set_xlabel(f"% of the same work on demand ({dollars(account.on_demand_usd)})", parse_math=False)
    axes.set_title(f"{account.title}, saved net of waste: {account.percent(reached):.1f} %", loc="left", fontsize=11, parse_math=False)
    axes.spines[["top", "right"]].set_visible(False)
    dates = "; ".join(f"{price.instance_type} {price.kind} ${price.usd_per_hour:.4f} {price.region} {price.date}" for price in account.prices)
    figure.supxlabel(f"prices an hour: {dates}", fontsize=7, wrap=True, parse_math=False)
    figure.savefig(path, dpi=140)
