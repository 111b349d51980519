"""A machine of the market, as tests and tools see it."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class MarketMachine:
    """A snapshot; ask `Market.machines()` again for what has changed."""

    id: str
    """EC2 instance id."""
    instance_type: str
    zone: str
    state: str
    """pending, running, shutting-down or terminated."""
    owner: str
    """Spot Fleet request id or Auto Scaling group name."""
    spot: bool
    pid: int | None
    """First process of the machine; None once it has gone."""
    metadata_endpoint: str
    root: Path
    """Its file system; removed with it."""
    console: Path
    """Its console log; stays."""
    launched: float
    deadline: float | None
    """When an interruption takes it, seconds since 1970."""
    ended: float | None
    reason: str
    """Status code of the Spot request, once it is going."""

    @property
    def pool(self) -> tuple[str, str]:
        """Instance type and zone."""
        return self.instance_type, self.zone

    @property
    def living(self) -> bool:
        return self.state in ("pending", "running")
