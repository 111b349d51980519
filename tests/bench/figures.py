"""Figures as rows: what was measured, beside what it is held against."""

import statistics
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    name: str
    measured: str
    wanted: str
    good: bool | None = None
    """None where the row is only for comparison."""


def percentiles(seconds: list[float]) -> str:
    """`p50 / p95 (n)` in seconds."""
    if not seconds:
        return "no sample"
    ordered = sorted(seconds)
    return f"{statistics.median(ordered):.2f} s / {ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]:.2f} s ({len(ordered)})"


def within(seconds: list[float], limit: float) -> bool:
    ordered = sorted(seconds)
    return bool(ordered) and ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))] <= limit


def show(title: str, figures: list[Figure]) -> None:
    table = Table("figure", "measured", "wanted", "", title=title, title_justify="left")
    for figure in figures:
        mark = "" if figure.good is None else "[green]met[/]" if figure.good else "[red]missed[/]"
        table.add_row(figure.name, figure.measured, figure.wanted, mark)
    console = Console()
    (console if console.is_terminal else Console(width=130)).print(table)
