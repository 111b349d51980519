"""Play with the Spot market from outside: look at machines, take them away, change what pools hold."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lab.cloud.machine_view import MarketMachine


class MarketClient:
    """The market of one local cloud, by its endpoint. Faults of a call are ValueError in the market's words."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint

    def machines(self) -> list[MarketMachine]:
        """Every machine ever launched, in order; see `living` for those that run."""
        return [MarketMachine(**{**one, "root": Path(one["root"]), "console": Path(one["console"])}) for one in self._call("machines")]

    def living(self) -> list[MarketMachine]:
        """Machines that run."""
        return [one for one in self.machines() if one.living]

    def pools(self) -> dict[tuple[str, str], int]:
        """How many more machines each known pool would give now."""
        return {(one["type"], one["zone"]): one["depth"] for one in self._call("pools")}

    def set_depth(self, instance_type: str, zone: str, depth: int) -> None:
        """Say how many more machines a pool gives from now on."""
        self._call("set-depth", type=instance_type, zone=zone, depth=depth)

    def interrupt(
        self,
        machines: str | Iterable[str],
        *,
        notice_seconds: float = 120.0,
        action: str = "terminate",
        event: bool = True,
        event_delay_seconds: float = 0.0,
        metadata: bool = True,
    ) -> dict[str, float]:
        """Warn one machine or many at the same moment, and take them at the deadline; the deadlines by machine, seconds since 1970.

        `event=False`: EventBridge hears nothing before the end; `event_delay_seconds`: it hears so much later than the event's own time.
        `metadata=False`: the machine itself hears nothing.
        Fewer than 120 `notice_seconds` is a notice that came late. `action` is terminate, stop or hibernate (at once).
        """
        how = {"notice_seconds": notice_seconds, "action": action, "event": event, "event_delay_seconds": event_delay_seconds, "metadata": metadata}
        return self._call("interrupt", machines=_ids(machines), **how)

    def rebalance(self, machine: str, *, event: bool = True, metadata: bool = True) -> None:
        """Send a rebalance recommendation."""
        self._call("rebalance", machine=machine, event=event, metadata=metadata)

    def kill(self, machines: str | Iterable[str], *, event: bool = True) -> None:
        """Take machines now, with no notice; they are gone on return. `event=False`: not even the state change is told."""
        self._call("kill", machines=_ids(machines), event=event)

    def publish(self, event: dict[str, Any]) -> None:
        """Put an event on the default bus as AWS itself would: `source` (aws.* too), `detail-type`, `detail`, `resources`, `time`.

        `time`, such as 2022-08-11T14:00:00Z, may lie in the past: the event then comes late. Default: now.
        """
        self._call("publish", **event)

    def history(self, first: int = 0) -> list[dict[str, Any]]:
        """What happened, oldest first, from record number `first` on: `at` (seconds since 1970), `what`, and facts."""
        return self._call("history", first=first)

    def _call(self, route: str, **body: Any) -> Any:
        request = urllib.request.Request(f"{self._endpoint}/_lab/{route}", data=json.dumps(body).encode(), method="POST")
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as fault:
            with fault:
                raise ValueError(json.load(fault)["error"]) from None


def _ids(machines: str | Iterable[str]) -> list[str]:
    return [machines] if isinstance(machines, str) else list(machines)
