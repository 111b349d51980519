"""Who holds a claim."""

from dataclasses import asdict, dataclass
from typing import Any

from spotbatch.bad_record import BadRecord


@dataclass(frozen=True)
class Owner:
    """The one process that may write a running task: any part of it that changes means that the old holder is gone."""

    machine: str
    boot: str
    """Changes with every boot of the machine."""
    agent: str
    """Changes with every start of the machine's agent."""
    process: str
    """Changes with every worker process; never used twice."""

    def to_record(self) -> dict[str, str]:
        return asdict(self)

    @staticmethod
    def from_record(key: str, value: Any) -> "Owner | None":
        """None where nobody holds the task. Raises BadRecord."""
        if value is None:
            return None
        names = ("machine", "boot", "agent", "process")
        if not isinstance(value, dict) or not all(isinstance(value.get(name), str) for name in names):
            raise BadRecord(key, "owner", value, "null or an object with machine, boot, agent, process")
        return Owner(*(value[name] for name in names))
