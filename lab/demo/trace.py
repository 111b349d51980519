"""Interruptions as they happened: a named stretch of a recorded Spot group, played with shorter gaps."""

import csv
import gzip
from dataclasses import dataclass
from pathlib import Path

RECORDED = Path(__file__).parents[1] / "traces" / "bamboo_ec2_p3_events.csv.gz"


@dataclass(frozen=True)
class Drop:
    """Machines that the recorded group lost at one moment."""

    at: float
    """Seconds since the start of the stretch, in the recording's own time."""
    machines: int


@dataclass(frozen=True)
class Stretch:
    """Part of a recording; `factor` shortens the gaps between its drops, and nothing else."""

    name: str
    begin: int
    end: int
    factor: float

    def drops(self) -> list[Drop]:
        """The drops of the stretch, in order. Raises ValueError when the recording has none there."""
        counts: dict[int, int] = {}
        with gzip.open(RECORDED, "rt", newline="") as file:
            for row in csv.DictReader(file):
                moment = int(row["time_s"])
                if row["event"] == "remove" and self.begin <= moment <= self.end:
                    counts[moment] = counts.get(moment, 0) + 1
        if not counts:
            raise ValueError(f"{RECORDED.name} has no drop between {self.begin} s and {self.end} s")
        first = min(counts)
        return [Drop(moment - first, machines) for moment, machines in sorted(counts.items())]

    def schedule(self) -> list[tuple[float, int]]:
        """(seconds after the first drop, machines) with the gaps shortened."""
        return [(drop.at / self.factor, drop.machines) for drop in self.drops()]


SIXTH_HOUR = Stretch("EC2 p3 group of Bamboo, 24,120 s to 24,480 s", 24_120, 24_480, 6.0)
"""14 machines in four drops of 1, 6, 4 and 3 within six minutes: the densest the recording has for a group as small as the demo's."""
