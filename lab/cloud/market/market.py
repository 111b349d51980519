"""The market, put together: pools, machines, fleets, and the routes by which tests and tools play with it."""

import dataclasses
from collections.abc import Callable
from datetime import datetime
from typing import Any

from lab.cloud.market import emulator
from lab.cloud.market.auto_scaling_groups import AutoScalingGroups
from lab.cloud.market.experiments import Experiments
from lab.cloud.market.group_policies import GroupPolicies
from lab.cloud.market.instance import Instance
from lab.cloud.market.instances import Instances
from lab.cloud.market.interruption import ACTIONS, Interruption
from lab.cloud.market.interruptions import Interruptions
from lab.cloud.market.journal import Journal
from lab.cloud.market.json_service import JsonService
from lab.cloud.market.market_settings import MarketSettings
from lab.cloud.market.pools import Pools
from lab.cloud.market.query import Refusal
from lab.cloud.market.scalable_targets import ScalableTargets
from lab.cloud.market.scaling_alarms import ScalingAlarms
from lab.cloud.market.spot_fleets import SpotFleets
from lab.cloud.market.spot_requests import describe_spot_requests


class Market:
    """Everything the lab adds to MiniStack. One per MiniStack process, on its event loop: nothing here blocks or locks.

    Routes are what `POST /_lab/NAME` answers: each takes and returns plain JSON, and raises ValueError for what it cannot do.
    """

    def __init__(self, settings: MarketSettings) -> None:
        self.journal = Journal()
        self.pools = Pools()
        self.instances = Instances(settings, self.pools, self.journal)
        self.interruptions = Interruptions(self.instances, self.pools, self.journal)
        fleets = SpotFleets(self.instances, self.pools)
        fleets.serve()
        groups = AutoScalingGroups(self.instances, self.pools)
        groups.serve()
        emulator.name_groups_in_full(groups.arn_of)
        self.interruptions.on_rebalance += [fleets.rebalance, groups.at_risk]
        self.interruptions.on_notice.append(groups.at_risk)
        targets = ScalableTargets(fleets.capacity_of, fleets.set_capacity)
        policies = GroupPolicies(groups.capacity_of, groups.set_capacity)
        policies.serve()
        groups.on_deleted.append(policies.forget)
        self.scaling = ScalingAlarms(targets, policies, self.journal, minute_seconds=settings.minute_seconds)
        emulator.record_embedded_metrics()
        self.services = [targets.service, Experiments(self.instances, self.interruptions, notice_seconds=settings.notice_seconds).service]
        terminate = emulator.original("ec2", "TerminateInstances")
        emulator.serve("ec2", "DescribeSpotInstanceRequests", lambda request: describe_spot_requests(self.instances, request))
        emulator.serve("ec2", "DescribeSpotPriceHistory", self._price_history)
        emulator.serve("ec2", "TerminateInstances", lambda request: self._terminate(request, terminate))
        emulator.show_spot_instances()
        emulator.keep_whole_templates()
        self.routes: dict[str, Callable[[dict[str, Any]], Any]] = {
            "machines": lambda _: [_view(one) for one in self.instances.all()],
            "pools": lambda _: [{"type": kind, "zone": zone, "depth": self.pools.depth((kind, zone))} for kind, zone in self.pools.known()],
            "history": lambda call: self.journal.records(int(call.get("first", 0))),
            "set-depth": self._set_depth,
            "interrupt": self._interrupt,
            "rebalance": self._rebalance,
            "kill": self._kill,
            "publish": self._publish,
        }

    def claim(self, headers: dict[str, str]) -> tuple[JsonService, str] | None:
        """The service of ours that a request is signed for, and its region; None: it is MiniStack's."""
        for service in self.services:
            if (region := service.claims(headers)) is not None:
                return service, region
        return None

    def _set_depth(self, call: dict[str, Any]) -> None:
        self.pools.set_depth((call["type"], call["zone"]), int(call["depth"]))
        self.journal.note("depth", type=call["type"], zone=call["zone"], depth=int(call["depth"]))

    def _interrupt(self, call: dict[str, Any]) -> dict[str, float]:
        names = {field.name for field in dataclasses.fields(Interruption)}
        if unknown := set(call) - names - {"machines"}:
            raise ValueError(f"interrupt: unknown {', '.join(sorted(unknown))}; there are machines, {', '.join(sorted(names))}")
        how = Interruption(**{name: value for name, value in call.items() if name in names})
        if how.action not in ACTIONS:
            raise ValueError(f"action: {how.action!r} is none of {', '.join(ACTIONS)}")
        machines = [self._machine(one) for one in call["machines"]]
        return {one.id: self.interruptions.interrupt(one, how) for one in machines}

    def _rebalance(self, call: dict[str, Any]) -> None:
        self.interruptions.recommend_rebalance(self._machine(call["machine"]), event=call.get("event", True), metadata=call.get("metadata", True))

    def _kill(self, call: dict[str, Any]) -> None:
        machines = [self._machine(one) for one in call["machines"]]
        for one in machines:
            self.instances.kill(one, "instance-terminated-no-capacity", event=call.get("event", True))

    def _publish(self, call: dict[str, Any]) -> None:
        at = datetime.fromisoformat(call["time"]).timestamp() if "time" in call else None
        emulator.publish(call["source"], call["detail-type"], call.get("detail", {}), call.get("resources", []), at)

    def _machine(self, machine_id: str) -> Instance:
        if (found := self.instances.get(machine_id)) is None:
            living = ", ".join(one.id for one in self.instances.all() if one.living) or "none"
            raise ValueError(f"machine: {machine_id!r} is none of the market's; living are {living}")
        return found

    def _terminate(self, request: dict[str, Any], others: Callable[[dict[str, Any]], tuple[int, dict[str, str], bytes]]) -> dict[str, Any]:
        changes = []
        for instance_id in request["InstanceIds"]:
            one = self.instances.get(instance_id)
            before = emulator.state(instance_id)
            if one is None:
                others({"InstanceId.1": instance_id})
            else:
                self.instances.shut_down(one, "instance-terminated-by-user")
            changes.append({"InstanceId": instance_id, "PreviousState": before, "CurrentState": emulator.state(instance_id)})
        return {"TerminatingInstances": changes}

    def _price_history(self, request: dict[str, Any]) -> dict[str, Any]:
        now = emulator.stamp(self.journal.now())
        wanted = request.get("InstanceTypes")
        zones = [emulator.scope()[1] + letter for letter in "abc"]
        pools = [(kind, zone) for kind in wanted for zone in zones] if wanted else self.pools.known()
        chosen = request.get("AvailabilityZone")
        prices = [
            {
                "InstanceType": kind,
                "AvailabilityZone": zone,
                "ProductDescription": "Linux/UNIX",
                "SpotPrice": f"{self.pools.price((kind, zone)):.6f}",
                "Timestamp": now,
            }
            for kind, zone in pools
            if chosen in (None, zone)
        ]
        return {"SpotPriceHistory": prices}


def call(market: Market, route: str, body: dict[str, Any]) -> tuple[int, Any]:
    """Status and JSON reply of a route."""
    answer = market.routes.get(route)
    if answer is None:
        return 404, {"error": f"no route {route!r}; there are {', '.join(sorted(market.routes))}"}
    try:
        return 200, answer(body)
    except KeyError as missing:
        return 400, {"error": f"{route}: {missing.args[0]} is missing"}
    except (ValueError, TypeError, Refusal) as fault:
        return 400, {"error": str(fault)}


def _view(one: Instance) -> dict[str, Any]:
    return {
        "id": one.id,
        "instance_type": one.pool[0],
        "zone": one.pool[1],
        "state": one.state,
        "owner": one.owner,
        "spot": one.spot_request is not None,
        "pid": one.process.pid,
        "metadata_endpoint": one.process.metadata_endpoint,
        "root": str(one.process.root),
        "console": str(one.process.console),
        "launched": one.launched,
        "deadline": one.deadline,
        "ended": one.ended,
        "reason": one.reason,
    }
