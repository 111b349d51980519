"""From outcomes to a row of the table: means, quantiles, and how sure the difference to another policy is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spotbatch.tools.simulation.outcome import Outcome

RESAMPLES = 2_000
METRICS = ("makespan_overhead_pct", "paid_overhead_pct", "saving_pct")
PARTS = ("boot", "restore", "checkpoint", "lost", "waiting", "drain")

Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Figures:
    """One policy over all starts. Percentages are against on-demand machines that are never interrupted, doing the same work."""

    policy: str
    by_start: dict[str, Numbers]
    """Each of `METRICS`, a number a start."""
    ci95: dict[str, tuple[float, float]]
    """95 % interval of the mean difference to the baseline, in points."""
    split_pct: dict[str, float]
    """Where time went, as a share of the work: boot, restore, checkpoint, lost, waiting, drain."""
    on_demand_pct: float
    """Share of the paid hours."""
    interruptions_per_100h: float
    """Useful hours."""
    items_lost: int
    items_twice: int
    twice_hours: float
    twice_pct: float
    """Work done again, as a share of the work."""
    deadline_misses: int
    unfinished: int

    def mean(self, metric: str) -> float:
        return float(self.by_start[metric].mean())

    def quantile(self, metric: str, share: float) -> float:
        return float(np.quantile(self.by_start[metric], share))

    def record(self, baseline: str) -> dict[str, object]:
        """As `--json` prints it."""
        return {
            "policy": self.policy,
            **{metric: round(self.mean(metric), 3) for metric in METRICS},
            "items_lost": self.items_lost,
            "items_twice": self.items_twice,
            "deadline_misses": self.deadline_misses,
            "unfinished": self.unfinished,
            "ci95": {"against": baseline, **{metric: [round(low, 3), round(high, 3)] for metric, (low, high) in self.ci95.items()}},
            "more": {
                **{f"{metric}_p{share}": round(self.quantile(metric, share / 100), 3) for metric in METRICS for share in (50, 90)},
                "split_pct": {part: round(value, 3) for part, value in self.split_pct.items()},
                "on_demand_share_pct": round(self.on_demand_pct, 3),
                "interruptions_per_100_useful_hours": round(self.interruptions_per_100h, 3),
                "twice_hours": round(self.twice_hours, 3),
                "twice_pct": round(self.twice_pct, 3),
            },
        }


def figures(outcomes: dict[str, list[Outcome]], baseline: str, undisturbed_hours: float, work_s: float, seed: int) -> list[Figures]:
    """A row a policy. `undisturbed_hours`: what on-demand machines are paid for doing all of it, boots included.

    An unfinished run counts with the horizon as its makespan, and what it left undone is bought on demand after it.
    """
    measured = {name: _measured(found, undisturbed_hours, work_s) for name, found in outcomes.items()}
    random = np.random.default_rng(seed)
    starts = len(outcomes[baseline])
    samples = random.integers(starts, size=(RESAMPLES, starts))
    return [_row(name, found, measured[name], measured[baseline], samples, work_s) for name, found in outcomes.items()]


def _measured(found: list[Outcome], undisturbed_hours: float, work_s: float) -> dict[str, Numbers]:
    rest = [0.0 if outcome.finished else (work_s - outcome.useful_s) / 3600 for outcome in found]
    makespan = [outcome.makespan_s / outcome.ideal_s - 1 for outcome in found]
    paid = [(outcome.spot_hours + outcome.on_demand_hours + more) / undisturbed_hours - 1 for outcome, more in zip(found, rest, strict=True)]
    cost = [(outcome.spot_cost + outcome.on_demand_hours + more) / undisturbed_hours for outcome, more in zip(found, rest, strict=True)]
    return dict(zip(METRICS, (100 * np.array(makespan), 100 * np.array(paid), 100 * (1 - np.array(cost))), strict=True))


def _row(name: str, found: list[Outcome], mine: dict[str, Numbers], theirs: dict[str, Numbers], samples: NDArray[np.int64], work_s: float) -> Figures:
    intervals: dict[str, tuple[float, float]] = {}
    for metric in METRICS:
        means = (mine[metric] - theirs[metric])[samples].mean(axis=1)
        low, high = np.quantile(means, (0.025, 0.975))
        intervals[metric] = (float(low), float(high))
    useful = sum(outcome.useful_s for outcome in found) / 3600
    paid = sum(outcome.spot_hours + outcome.on_demand_hours for outcome in found)
    twice = sum(outcome.twice_s for outcome in found) / 3600
    return Figures(
        policy=name,
        by_start=mine,
        ci95=intervals,
        split_pct={part: 100 * float(np.mean([getattr(outcome, f"{part}_s") for outcome in found])) / work_s for part in PARTS},
        on_demand_pct=100 * sum(outcome.on_demand_hours for outcome in found) / paid if paid else 0.0,
        interruptions_per_100h=100 * sum(outcome.interruptions for outcome in found) / useful if useful else 0.0,
        items_lost=sum(outcome.items_lost for outcome in found),
        items_twice=sum(outcome.items_twice for outcome in found),
        twice_hours=twice,
        twice_pct=100 * twice / (len(found) * work_s / 3600),
        deadline_misses=sum(outcome.deadline_missed for outcome in found),
        unfinished=sum(not outcome.finished for outcome in found),
    )
