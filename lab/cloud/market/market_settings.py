"""How a market runs."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class MarketSettings:
    """Where its machines live, and how long things take."""

    folder: Path
    """Machines' root folders and console logs go here."""
    toolbox: Path
    """The only commands on a machine's PATH besides its own."""
    python: Path
    """Interpreter of the checkout: it has boto3."""
    endpoint: str
    """The local cloud, for the machines' clients."""
    shutdown_seconds: float = 120.0
    """How long a machine may take to shut down before EC2 cuts its power."""
    notice_seconds: float = 120.0
    """What a drill (FIS) gives as notice."""
    minute_seconds: float = 60.0
    """How long a minute lasts for scaling alarms."""
