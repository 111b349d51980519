"""One dated table of prices, as shipped in `data/`."""

import csv
import datetime
import functools
import gzip
import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

_DATA = files("spotbatch.tools.prices") / "data"

Row = dict[str, str]


@dataclass(frozen=True)
class Table:
    """A table by its entry in `data/manifest.json`."""

    file: str
    cloud: str
    date: str
    day: datetime.date
    """The day that stands for `date` when the nearest table is looked for."""
    what: str
    source: str
    """Repository, commit and path that it was taken from."""

    @staticmethod
    def from_manifest(entry: dict[str, Any]) -> "Table":
        day = datetime.date.fromisoformat(entry.get("day", entry["date"]))
        return Table(entry["file"], entry["cloud"], entry["date"], day, entry["what"], entry["source"])

    @property
    def rows(self) -> dict[tuple[str, str], Row]:
        """By region and instance type."""
        return _rows(self.file)

    def days_from(self, wanted: datetime.date) -> int:
        return abs((self.day - wanted).days)


@functools.cache
def _rows(file: str) -> dict[tuple[str, str], Row]:
    with (_DATA / file).open("rb") as packed, gzip.open(packed, "rt", newline="") as text:
        return {(row["region"], row.get("instance_type") or row["service"]): row for row in csv.DictReader(text)}


@functools.cache
def shipped() -> tuple[Table, ...]:
    """Every table of the package, oldest first."""
    entries = json.loads((_DATA / "manifest.json").read_text())["tables"]
    return tuple(sorted((Table.from_manifest(entry) for entry in entries), key=lambda table: table.day))
