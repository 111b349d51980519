"""A user's own job in ten lines of YAML."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator

from spotbatch.tools.simulation.plan import Plan
from spotbatch.tools.simulation.setting import Workload
from spotbatch.tools.simulation.workloads import log_normal

MOST_ITEMS = 100_000


class BadJob(ValueError):
    """Every fault of a job file on a line of its own: file, dotted key, value, what is allowed."""


Seconds = Annotated[float, Field(gt=0, le=30 * 86_400, allow_inf_nan=False)]


class Spread(BaseModel):
    """Items that differ: log-normal."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    median: Seconds
    p99: Seconds

    @model_validator(mode="after")
    def _ordered(self) -> "Spread":
        if self.p99 < self.median:
            raise ValueError(f"p99 is allowed from the median, {self.median:g}, on")
        return self


class Job(BaseModel):
    """What `--workload FILE.yaml` holds. Only the first two keys are required."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    items: Annotated[int, Field(ge=1, le=MOST_ITEMS, strict=True)]
    seconds_per_item: Annotated[
        Annotated[Seconds, Tag("number")] | Annotated[Spread, Tag("spread")],
        Discriminator(lambda value: "spread" if isinstance(value, (dict, Spread)) else "number"),
    ]
    """One number, or `{median: 300, p99: 3600}`."""
    machines: Annotated[int, Field(ge=1, le=1_000, strict=True)] = 1
    boot_seconds: Annotated[float, Field(ge=0, le=7_200, allow_inf_nan=False)] = 300.0
    """From the launch to the first item. Default: five minutes."""
    inside_items: Annotated[bool, Field(strict=True)] = False
    """Whether progress inside an item can be saved. Default: an item that is cut short starts again."""
    state_mb: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """What is saved of it, and loaded again at each resumption."""
    mb_per_second: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 100.0
    """To and from the bucket. Default: 100, so that two minutes write 11 GB."""
    deadline_hours: Annotated[float, Field(gt=0, le=24 * 365, allow_inf_nan=False)] | None = None
    on_demand: Annotated[bool, Field(strict=True)] | None = None
    """Whether on-demand machines may be bought too. Default: yes if there is a deadline."""

    @staticmethod
    def read(path: Path) -> "Job":
        """Raises BadJob."""
        try:
            found: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as why:
            raise BadJob(f"{path}: cannot be read as YAML: {' '.join(str(why).split())}") from None
        if not isinstance(found, dict):
            raise BadJob(f"{path}: {found!r} is not a mapping; allowed are the keys {', '.join(Job.model_fields)}")
        try:
            return Job.model_validate(found)
        except ValidationError as why:
            raise BadJob("\n".join(dict.fromkeys(f"{path}: {fault}" for fault in map(_told, why.errors())))) from None

    def plan(self, name: str) -> Plan:
        spread = self.seconds_per_item
        items = log_normal(self.items, spread.median, spread.p99) if isinstance(spread, Spread) else np.full(self.items, spread)
        moved = self.state_mb / self.mb_per_second
        deadline = None if self.deadline_hours is None else self.deadline_hours * 3600
        work = Workload(name, items, moved, moved, self.inside_items, deadline)
        return Plan(work, self.machines, self.boot_seconds, deadline is not None if self.on_demand is None else self.on_demand)


def _told(fault: Any) -> str:
    # Pydantic names the branch of a union in the path; a user knows keys only.
    path = ".".join(str(part) for part in fault["loc"] if part not in ("spread", "number"))
    if fault["type"] == "extra_forbidden":
        fields = Spread.model_fields if path.startswith("seconds_per_item.") else Job.model_fields
        return f"{path}: {fault['input']!r} belongs to no known key; allowed are {', '.join(fields)}"
    if fault["type"] == "missing":
        return f"{path}: is missing; {_lower(fault['msg'])}"
    return f"{path}: {fault['input']!r} is refused; {_lower(fault['msg'].removeprefix('Value error, '))}"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
