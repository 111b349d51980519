"""One picture in three parts: a run as its machines lived it, cost against makespan of every policy, lost time by cause."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.patches import Patch

from spotbatch.tools.simulation.figures import Figures
from spotbatch.tools.simulation.outcome import Event, Outcome
from spotbatch.tools.simulation.report import BOUNDS, in_order

COLOURS = {
    "boot": "#e0a83c",
    "restore": "#b5651d",
    "work": "#3a7d44",
    "checkpoint": "#2b5d8a",
    "drain": "#9aa0a6",
    "lost": "#b3261e",
}
LINEAR = 5
"""Percent up to which the axes are linear: most rows lie there, a few far beyond."""
MOST_COST = 120
"""Percent of on-demand up to which costs are drawn; the names of what costs more stand in the title."""
MOST_ROWS = 24
"""Machines that a timeline shows: the first ones."""


def draw(path: Path, title: str, told: tuple[str, Outcome], rows: list[Figures]) -> None:
    """`told`: a policy's name and one of its runs with events. Raises OSError; ValueError for a file type that cannot be drawn."""
    figure = plt.figure(figsize=(14, 11), layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=(1.15, 1))
    figure.suptitle(title, fontsize=11)
    _timeline(figure.add_subplot(grid[0, :]), *told)
    _costs(figure.add_subplot(grid[1, 0]), rows)
    _causes(figure.add_subplot(grid[1, 1]), rows)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _timeline(axes: Any, name: str, run: Outcome) -> None:
    lives = [event for event in run.events if event.kind != "wait"]
    first: dict[str, float] = {}
    for event in lives:
        first[event.machine] = min(event.begin_s, first.get(event.machine, event.begin_s))
    machines = sorted(first, key=lambda machine: first[machine])
    shown = machines[:MOST_ROWS]
    places = {machine: number for number, machine in enumerate(shown)}
    used: set[str] = set()
    for event in lives:
        if event.machine not in places or event.kind == "end":
            continue
        row, begin = places[event.machine], event.begin_s / 3600
        if event.kind == "interruption":
            axes.plot(begin, row, marker="x", color=COLOURS["lost"], markersize=7, markeredgewidth=2, zorder=3)
        else:
            # Short ones stay visible: nothing narrower than a 400th of the picture.
            width = max((event.end_s - event.begin_s) / 3600, run.makespan_s / 3600 / 400)
            axes.barh(row, width, left=begin, height=0.7, color=COLOURS[event.kind], zorder=2 if event.kind in ("checkpoint", "drain") else 1)
            used.add(event.kind)
    axes.set_yticks(range(len(shown)), [_machine_label(machine, run.events) for machine in shown], fontsize=7)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel("hours after the start")
    left_out = f", the first {MOST_ROWS} of {len(machines)} machines" if len(machines) > MOST_ROWS else ""
    axes.set_title(f"One run of {name}: {run.interruptions} interruptions, {run.makespan_s / 3600:.1f} h{left_out}", fontsize=10, loc="left")
    keys = [Patch(color=COLOURS[kind], label=kind) for kind in ("boot", "restore", "work", "checkpoint", "drain") if kind in used]
    keys.append(axes.plot([], [], marker="x", linestyle="", color=COLOURS["lost"], markeredgewidth=2, label="interruption")[0])
    axes.legend(handles=keys, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _machine_label(machine: str, events: tuple[Event, ...]) -> str:
    pool = next((event.pool for event in events if event.machine == machine), "")
    return f"{machine}  {pool}"


def _costs(axes: Any, rows: list[Figures]) -> None:
    axes.set_xscale("symlog", linthresh=LINEAR)
    every = {row.policy: (row.mean("makespan_overhead_pct"), 100 - row.mean("saving_pct")) for row in rows}
    places = {name: place for name, place in every.items() if place[1] <= MOST_COST} or every
    for name, (x, y) in places.items():
        ours, bound = name == "ours", name in BOUNDS
        axes.scatter(x, y, s=110 if ours else 40, color=_colour(name), marker="*" if ours else "D" if bound else "o", zorder=3 if ours else 2)
    _ticks(axes, [x for x, _ in places.values()])
    axes.set_xlim(-0.5, 1.6 * max(1.0, *(x for x, _ in places.values())))
    axes.set_ylim(0, 1.05 * max(100.0, *(y for _, y in places.values())))
    axes.figure.canvas.draw()
    dots = {name: tuple(axes.transData.transform(place)) for name, place in places.items() if name != "ours"}
    for names in [*_close_together(dots), *(["ours"] if "ours" in places else [])]:
        text = names if isinstance(names, str) else "\n".join(" ".join(names[at : at + 5]) for at in range(0, len(names), 5))
        first, below = (names, -14) if isinstance(names, str) else (names[0], 6)
        axes.annotate(text, places[first], textcoords="offset points", xytext=(7, below), fontsize=8, color=_colour(first))
    axes.set_xlabel(f"makespan over on-demand, % (linear to {LINEAR}, then logarithmic)")
    axes.set_ylabel("cost, % of on-demand")
    axes.grid(alpha=0.3)
    beyond = "; beyond the picture: " + " ".join(name for name in every if name not in places) if len(places) < len(every) else ""
    axes.set_title(f"Cost against makespan; diamonds: bounds{beyond}", fontsize=10, loc="left")


def _colour(name: str) -> str:
    return COLOURS["lost"] if name == "ours" else "#2b5d8a" if name in BOUNDS else "#666666"


def _close_together(places: dict[str, tuple[float, float]]) -> list[list[str]]:
    """Names whose points would hide each other's labels, in dots."""
    groups: list[list[str]] = []
    for name, (x, y) in sorted(places.items(), key=lambda item: item[1]):
        near = (group for group in groups if abs(places[group[0]][0] - x) < 26 and abs(places[group[0]][1] - y) < 16)
        group = next(near, None)
        if group is None:
            groups.append([name])
        else:
            group.append(name)
    return groups


def _ticks(axes: Any, values: list[float]) -> None:
    shown = [tick for tick in (0, 1, 2, 5, 10, 20, 50, 100, 500, 5000) if tick == 0 or tick <= 1.2 * max(values)]
    axes.set_xticks(shown, [str(tick) for tick in shown])
    axes.minorticks_off()


def _causes(axes: Any, rows: list[Figures]) -> None:
    shown = in_order(rows)
    left = [0.0] * len(shown)
    for part in ("boot", "restore", "checkpoint", "lost", "drain"):
        values = [row.split_pct[part] for row in shown]
        axes.barh(range(len(shown)), values, left=left, color=COLOURS[part], label="lost work" if part == "lost" else part)
        left = [before + value for before, value in zip(left, values, strict=True)]
    axes.set_yticks(range(len(shown)), [row.policy for row in shown], fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale("symlog", linthresh=LINEAR)
    _ticks(axes, left)
    axes.set_xlabel(f"paid hours that did no lasting work, % of the work (linear to {LINEAR}, then logarithmic)")
    axes.legend(fontsize=8, loc="upper right")
    axes.set_title("Lost time by cause", fontsize=10, loc="left")
