"""A price, and everything that must be said with it."""

import datetime
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Price:
    """USD an hour for one machine, Linux, without tax."""

    usd_per_hour: float
    kind: str
    """on-demand or spot."""
    instance_type: str
    region: str
    date: str
    """Of the table, or of the moment at which the cloud was asked."""
    source: str
    day: datetime.date
    """The day that stands for `date`."""

    def __str__(self) -> str:
        return f"{self.instance_type} {self.kind} {self.region} ${self.usd_per_hour:.4f} an hour, {self.date}, {self.source}"

    def to_json(self) -> dict[str, Any]:
        return {
            "instance_type": self.instance_type,
            "kind": self.kind,
            "region": self.region,
            "usd_per_hour": round(self.usd_per_hour, 6),
            "date": self.date,
            "source": self.source,
        }
