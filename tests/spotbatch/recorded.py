"""EventBridge events as AWS documents them, in `events/`: each its own file. All name MACHINE, and were sent at SENT."""

import json
from pathlib import Path
from typing import Any

MACHINE = "i-0123456789abcdef0"
SENT = 1_800_000_000.0
"""2027-01-15T08:00:00Z"""

FOLDER = Path(__file__).with_name("events")
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))


def recorded(name: str, **detail: Any) -> dict[str, Any]:
    """A recorded event; `detail` replaces fields of its detail (underscores for hyphens)."""
    event = json.loads((FOLDER / f"{name}.json").read_text())
    event["detail"] |= {field.replace("_", "-"): value for field, value in detail.items()}
    return event
