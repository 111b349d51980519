"""How far below on-demand a Spot machine was, at one date in one region."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Discount:
    fraction: float
    """0.6: 60 % below on-demand."""
    instance_type: str
    region: str
    date: str
    source: str
    interrupted: str = ""
    """Share of machines that the cloud took back within a month, where the table says; open-ended at the top, so no rate follows from it."""
