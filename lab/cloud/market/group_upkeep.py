"""Keep an Auto Scaling group at its desired capacity: launch, shrink, replace, roll over to a new template."""

import asyncio
import math
import time
import uuid
from collections import Counter
from typing import Any

from lab.cloud.market import emulator
from lab.cloud.market.auto_scaling_group import Group
from lab.cloud.market.instance import Instance
from lab.cloud.market.instances import Instances
from lab.cloud.market.lifecycle_actions import LifecycleActions
from lab.cloud.market.metadata import lifecycle_values
from lab.cloud.market.pools import Candidate, Pools
from lab.cloud.market.query import Refusal


class GroupUpkeep:
    """What Auto Scaling does by itself.

    `replacement_seconds` pass between a machine's death and its replacement, `retry_seconds` between two looks for capacity that was not there.
    """

    def __init__(
        self, instances: Instances, pools: Pools, *, replacement_seconds: float = 1.0, retry_seconds: float = 5.0, launch_seconds: float = 0.05
    ) -> None:
        self._instances = instances
        self._pools = pools
        self._replacement_seconds = replacement_seconds
        self._retry_seconds = retry_seconds
        self._launch_seconds = launch_seconds
        self.actions = LifecycleActions()

    def soon(self, group: Group) -> None:
        """Look at the group in a moment."""
        self._soon(group, self._launch_seconds)

    def replace_early(self, group: Group, instance: Instance) -> None:
        """Capacity rebalancing: launch first, then let the machine at risk drain through its hooks."""
        if group.states.get(instance.id) == "InService" and self._launch_one(group, spot=instance.spot_request is not None) is not None:
            self.end(group, instance, "capacity rebalancing")

    def roll(self, group: Group, refresh: dict[str, Any], old: list[str]) -> None:
        """Replace the `old` machines, a few at a time, until `refresh` is done or cancelled."""
        asyncio.get_running_loop().call_later(self._replacement_seconds, self._refresh_step, group, refresh, old)

    def _refresh_step(self, group: Group, refresh: dict[str, Any], old: list[str]) -> None:
        """Take as many old machines as the minimum healthy percentage allows, and come back until none is left."""
        if refresh["Status"] != "InProgress":
            return
        present = {one.id: one for one in self._instances.of(group.name)}
        waiting = [one for one in old if one in present and group.states.get(one) == "InService"]
        going = [one for one in old if one in present and one not in waiting]
        refresh["PercentageComplete"] = 100 if not old else int(100 * sum(one not in present for one in old) / len(old))
        healthy = self._capacity(group)
        if not waiting and not going and healthy >= group.desired:
            refresh |= {"Status": "Successful", "EndTime": emulator.stamp(time.time()), "PercentageComplete": 100}
            return
        floor = math.ceil(group.desired * (refresh.get("Preferences") or {}).get("MinHealthyPercentage", 90) / 100)
        # AWS always takes one, however strict the percentage.
        for instance_id in waiting[: max(int(healthy) - floor, 0 if going or healthy < group.desired else 1)]:
            self.end(group, present[instance_id], "instance refresh")
        self.roll(group, refresh, old)

    def gone(self, group: Group, instance: Instance) -> None:
        """A machine of the group is terminated: replace it unless the group is on its way out."""
        self.actions.forget(instance.id)
        self.forget(group, instance.id)
        if not group.deleting:
            self._soon(group, self._replacement_seconds)

    def _soon(self, group: Group, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self._settle, group)

    def _capacity(self, group: Group) -> float:
        return sum(one.weight for one in self._instances.of(group.name) if one.living and group.states.get(one.id) == "InService")

    def _settle(self, group: Group) -> None:
        """Bring the group one machine nearer to its desired capacity, and come back until it is there."""
        if group.deleting:
            return
        missing = group.desired - self._capacity(group)
        if missing > 0 and "Launch" not in group.suspended:
            on_demand = sum(
                one.weight for one in self._instances.of(group.name) if one.living and one.spot_request is None and one.id in group.states
            )
            if self._launch_one(group, spot=on_demand >= group.on_demand_share()) is not None:
                self._soon(group, self._launch_seconds)
            elif not group.waiting:
                group.waiting = True
                asyncio.get_running_loop().call_later(self._retry_seconds, self._retry, group)
        elif missing < 0 and "Terminate" not in group.suspended:
            self._shrink(group, -missing)

    def _retry(self, group: Group) -> None:
        group.waiting = False
        self._settle(group)

    def _launch_one(self, group: Group, *, spot: bool) -> Instance | None:
        held = Counter(one.pool for one in self._instances.of(group.name) if one.living)
        by_zone = Counter(zone for (_, zone), number in held.items() for _ in range(number))
        if spot:
            strategy = group.distribution["SpotAllocationStrategy"]
            # Groups keep zones even first, then choose within the zone.
            for count in sorted({by_zone[one.zone] for one in group.candidates}):
                here = [one for one in group.candidates if by_zone[one.zone] == count]
                chosen = self._pools.choose(here, strategy, held, group.desired, group.distribution.get("SpotInstancePools") or 2)
                if chosen is not None:
                    break
            else:
                chosen = None
        else:
            chosen = min(group.candidates, key=lambda one: (by_zone[one.zone], one.priority), default=None)
        if chosen is None:
            self.note(
                group,
                "Launching a new EC2 instance. Status Reason: There is no Spot capacity available that matches your request.",
                "Failed",
            )
            return None
        return self._start(group, chosen, spot)

    def _start(self, group: Group, chosen: Candidate, spot: bool) -> Instance | None:
        try:
            state = {path: text for path, text in lifecycle_values("InService").items() if text}
            instance = self._instances.launch(chosen, group.name, group.tags(), spot=spot, extra_metadata=state)
        except Refusal as refusal:
            self.note(group, f"Launching a new EC2 instance. Status Reason: {refusal.message}", "Failed")
            return None
        group.states[instance.id] = "InService"
        group.versions[instance.id] = dict(group.template_specification)
        if group.config["NewInstancesProtectedFromScaleIn"]:
            group.protected.add(instance.id)
        self.note(group, f"Launching a new EC2 instance: {instance.id}")
        return instance

    def _shrink(self, group: Group, surplus: float) -> None:
        by_zone = Counter(one.pool[1] for one in self._instances.of(group.name))
        in_service = [one for one in self._instances.of(group.name) if group.states.get(one.id) == "InService" and one.id not in group.protected]
        # The default policy: the fullest zone, then the oldest template, then the oldest machine.
        order = sorted(in_service, key=lambda one: (-by_zone[one.pool[1]], group.versions[one.id] == group.template_specification, one.launched))
        for one in order:
            if one.weight <= surplus:
                surplus -= one.weight
                self.end(group, one, "instance was taken out of service in response to a difference between desired and actual capacity")

    def end(self, group: Group, instance: Instance, why: str) -> None:
        """Terminate through the hooks, as Auto Scaling does by its own decision."""
        if group.states.get(instance.id) != "InService":
            return
        group.states[instance.id] = "Terminating:Wait"
        instance.process.change_metadata(lifecycle_values("Terminated"))
        self.note(group, f"Terminating EC2 instance: {instance.id}, {why}")

        def proceed() -> None:
            group.states[instance.id] = "Terminating:Proceed"
            self._instances.shut_down(instance, "instance-terminated-by-service")

        self.actions.ask(group, instance, proceed)

    def forget(self, group: Group, instance_id: str) -> None:
        """The machine is no longer the group's."""
        group.states.pop(instance_id, None)
        group.versions.pop(instance_id, None)
        group.protected.discard(instance_id)

    def note(self, group: Group, description: str, status: str = "Successful") -> dict[str, Any]:
        """Add to what DescribeScalingActivities tells."""
        now = emulator.stamp(time.time())
        activity = {
            "ActivityId": str(uuid.uuid4()),
            "AutoScalingGroupName": group.name,
            "Description": description,
            "Cause": f"At {now} the lab's market acted.",
            "StartTime": now,
            "EndTime": now,
            "StatusCode": status,
            "Progress": 100,
        }
        group.activities.append(activity)
        return activity
