"""What one run of the Pulumi command line did."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class CommandResult:
    """What one run of the Pulumi command line did: how it ended, what it printed, and what the engine did to each resource."""

    ok: bool
    code: int
    """Exit code; -9 and the like if it was killed."""
    text: str
    """Everything it printed, both streams in the order in which they came."""
    stdout: str
    seconds: float
    events: list[dict[str, Any]] = field(default_factory=list)
    """The engine's own events (`resourcePreEvent`, `resOutputsEvent`, `diagnosticEvent`, `summaryEvent` ...), without debug messages."""

    @property
    def changes(self) -> dict[str, int]:
        """Resources by operation (`create`, `update`, `replace`, `delete`, `same` ...)."""
        summaries = [event["summaryEvent"] for event in self.events if "summaryEvent" in event]
        return dict(summaries[-1].get("resourceChanges") or {}) if summaries else {}

    @property
    def warnings(self) -> list[str]:
        """Messages of warnings and errors that the engine printed."""
        told = [event["diagnosticEvent"] for event in self.events if "diagnosticEvent" in event]
        return [line["message"].strip() for line in told if line["severity"] in ("warning", "error")]
