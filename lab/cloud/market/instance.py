"""One machine as the market sees it."""

from dataclasses import dataclass, field
from typing import Any

from lab.cloud.market.emulator import Scope
from lab.cloud.market.machine_process import MachineProcess
from lab.cloud.market.pools import PoolKey


@dataclass
class Instance:
    """From launch to termination; kept afterwards, so that reports can tell how it ended."""

    id: str
    pool: PoolKey
    subnet: str
    owner: str
    """Spot Fleet request id or Auto Scaling group name."""
    weight: float
    spot_request: str | None
    """None: on demand."""
    record: dict[str, Any]
    """MiniStack's own record."""
    scope: Scope
    process: MachineProcess
    launched: float
    state: str = "pending"
    deadline: float | None = None
    """When an interruption will take it, seconds since 1970."""
    reason: str = ""
    """Why it is going, as a Spot request's status code says it."""
    ended: float | None = None
    rebalance_at: float | None = None
    credentials: dict[str, str] = field(default_factory=dict)

    @property
    def living(self) -> bool:
        return self.state in ("pending", "running")

    @property
    def present(self) -> bool:
        """Not terminated yet."""
        return self.ended is None
