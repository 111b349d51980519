"""A machine, as the ledger records it."""

from dataclasses import dataclass
from typing import Any, Literal

from spotbatch.bad_record import checked, seconds, text, whole
from spotbatch.owner import Owner
from spotbatch.protocols import Identity


def machine_key(machine: str) -> str:
    return f"machine/{machine}"


def _moment(value: Any) -> bool:
    return value is None or seconds(value)


@dataclass(frozen=True)
class Machine:
    id: str
    boot: str
    agent: str
    registered: float
    """When this agent first wrote its record, in the store's time."""
    beat: float
    """When it last did."""
    state: Literal["active", "draining"] = "active"
    deadline: float | None = None
    """When it stops, in the cloud's time."""
    kind: str = ""
    """What it drains for: interruption or stop."""
    reason: str = ""
    hook: dict[str, str] | None = None
    notice_sent: float | None = None
    rebalance_sent: float | None = None
    """It may be taken soon: workers checkpoint, and go on."""
    due: float | None = None
    """Scheduled maintenance, acted on when it comes near."""
    drained: float | None = None
    """When its workers had given everything back."""
    stopping: str = ""
    """The agent that was told to stop (SIGTERM). It takes nothing new; the next agent of the same boot does."""
    lease: float = 60.0
    """Seconds of silence after which this machine counts as gone: its agent beats three times as often."""
    instance_type: str = ""
    zone: str = ""
    notice_seconds: float = 0.0
    """How long before an interruption it is told; for notices that do not say when it ends."""
    spot: bool = True
    """False on machines that are not interruptible, which are billed at the on-demand price."""
    launched: float | None = None
    """When the cloud launched this boot, in the cloud's time; None where it does not say, or the machine has merely booted again."""
    metadata_ok: bool = True
    """False while its own metadata service cannot be asked: it then hears of notices from the ledger only."""
    item_seconds: float = 0.0
    """How long its oldest item had run at the last beat; 0 where none was under way."""
    version: int = 0

    @property
    def key(self) -> str:
        return machine_key(self.id)

    @property
    def identity(self) -> Identity:
        return Identity(self.id, self.boot, self.instance_type, self.zone)

    def holds(self, owner: Owner) -> bool:
        """Is this record that of the boot and the agent that made the claim?"""
        return (self.id, self.boot, self.agent) == (owner.machine, owner.boot, owner.agent)

    def may_claim(self, owner: Owner, now: float) -> bool:
        return self.holds(owner) and not self.leaves(owner) and not (self.deadline is not None and self.deadline <= now)

    def leaves(self, owner: Owner) -> bool:
        """Is this boot, or the agent that made the claim, on its way out by a notice? Whatever ends under it was interrupted."""
        return self.boot == owner.boot and (self.state == "draining" or self.stopping == owner.agent)

    def to_record(self) -> dict[str, Any]:
        return {
            "kind": "machine",
            "key": self.key,
            "machine": self.id,
            "boot": self.boot,
            "agent": self.agent,
            "registered": self.registered,
            "beat": self.beat,
            "condition": self.state,
            "deadline": self.deadline,
            "why": self.kind,
            "reason": self.reason,
            "hook": self.hook,
            "notice_sent": self.notice_sent,
            "rebalance_sent": self.rebalance_sent,
            "due": self.due,
            "drained": self.drained,
            "stopping": self.stopping,
            "lease": self.lease,
            "instance_type": self.instance_type,
            "zone": self.zone,
            "notice_seconds": self.notice_seconds,
            "spot": self.spot,
            "launched": self.launched,
            "metadata_ok": self.metadata_ok,
            "item_seconds": self.item_seconds,
            "version": self.version,
        }

    @staticmethod
    def from_record(record: dict[str, Any]) -> "Machine":
        """Raises BadRecord naming record, field, value and what is allowed."""
        hook = checked(record, "hook", lambda value: value is None or isinstance(value, dict), "null or an object", None)
        moments = {
            name: checked(record, name, _moment, "null or seconds since 1970", None)
            for name in ("deadline", "notice_sent", "rebalance_sent", "due", "drained", "launched")
        }
        return Machine(
            id=checked(record, "machine", text, "a machine id"),
            boot=checked(record, "boot", text, "a boot id"),
            agent=checked(record, "agent", text, "an agent id"),
            registered=checked(record, "registered", seconds, "seconds since 1970"),
            beat=checked(record, "beat", seconds, "seconds since 1970"),
            state=checked(record, "condition", lambda value: value in ("active", "draining"), "active, draining"),
            kind=checked(record, "why", text, "text", ""),
            reason=checked(record, "reason", text, "text", ""),
            hook=hook,
            instance_type=checked(record, "instance_type", text, "text", ""),
            zone=checked(record, "zone", text, "text", ""),
            stopping=checked(record, "stopping", text, "text", ""),
            lease=checked(record, "lease", seconds, "seconds", 60.0),
            notice_seconds=checked(record, "notice_seconds", seconds, "seconds", 0.0),
            spot=bool(record.get("spot", True)),
            metadata_ok=bool(record.get("metadata_ok", True)),
            item_seconds=checked(record, "item_seconds", seconds, "seconds", 0.0),
            version=checked(record, "version", whole, "a whole number"),
            **moments,
        )
