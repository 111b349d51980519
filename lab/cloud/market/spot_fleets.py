"""Spot Fleet: requests of capacity over many pools, kept up by replacing what dies."""

import asyncio
import time
import uuid
from collections import Counter
from typing import Any

from lab.cloud.market import emulator
from lab.cloud.market.instance import Instance
from lab.cloud.market.instances import Instances
from lab.cloud.market.pools import Pools
from lab.cloud.market.query import Refusal
from lab.cloud.market.spot_fleet import DEFAULTS, Fleet, candidates_of, invalid


class SpotFleets:
    """Serves RequestSpotFleet and its relatives.

    `replacement_seconds` pass between a machine's death and its replacement, `retry_seconds` between two looks for capacity that was not there.
    Does not prove: prices, quotas, health checks, load balancers, `instant` fleets, on-demand shares, expiry (ValidUntil).
    """

    def __init__(
        self, instances: Instances, pools: Pools, *, replacement_seconds: float = 1.0, retry_seconds: float = 5.0, launch_seconds: float = 0.05
    ) -> None:
        self._instances = instances
        self._pools = pools
        self._replacement_seconds = replacement_seconds
        self._retry_seconds = retry_seconds
        self._launch_seconds = launch_seconds
        self._fleets: dict[str, Fleet] = {}
        instances.on_gone.append(self._gone)

    def serve(self) -> None:
        """Take over the actions from MiniStack, which does not know them."""
        for action, answer in {
            "RequestSpotFleet": self._request,
            "ModifySpotFleetRequest": self._modify,
            "CancelSpotFleetRequests": self._cancel,
            "DescribeSpotFleetRequests": self._describe,
            "DescribeSpotFleetInstances": self._describe_instances,
            "DescribeSpotFleetRequestHistory": self._describe_history,
        }.items():
            emulator.serve("ec2", action, answer)

    def capacity_of(self, fleet_id: str) -> int:
        """The target capacity. Raises Refusal if there is no such fleet."""
        return self._find(fleet_id).config["TargetCapacity"]

    def set_capacity(self, fleet_id: str, capacity: int) -> None:
        """What a scaling policy wants."""
        self._modify({"SpotFleetRequestId": fleet_id, "TargetCapacity": capacity})

    def rebalance(self, instance: Instance) -> None:
        """Launch a replacement ahead, if the fleet's maintenance strategy says so."""
        fleet = self._fleets.get(instance.owner)
        strategy = ((fleet.config.get("SpotMaintenanceStrategies") or {}).get("CapacityRebalance") or {}) if fleet else {}
        if fleet is None or not fleet.active or not strategy:
            return
        spare = self._launch_one(fleet)
        if spare is not None:
            fleet.spares.add(spare.id)
            if strategy.get("ReplacementStrategy") == "launch-before-terminate":
                asyncio.get_running_loop().call_later(
                    strategy.get("TerminationDelay", 120), self._instances.shut_down, instance, "instance-terminated-by-service"
                )

    def _request(self, request: dict[str, Any]) -> dict[str, Any]:
        config = {**DEFAULTS, **request["SpotFleetRequestConfig"]}
        candidates = candidates_of(config)
        fleet = Fleet("sfr-" + str(uuid.uuid4()), config, emulator.scope(), time.time(), candidates=candidates)
        self._fleets[fleet.id] = fleet
        for entry in config.get("TagSpecifications") or []:
            if entry.get("ResourceType") == "spot-fleet-request":
                emulator.set_tags(fleet.id, {tag["Key"]: tag.get("Value", "") for tag in entry.get("Tags") or []})
        fleet.note("fleetRequestChange", "submitted")
        self._soon(fleet, self._launch_seconds)
        return {"SpotFleetRequestId": fleet.id}

    def _modify(self, request: dict[str, Any]) -> dict[str, Any]:
        fleet = self._find(request["SpotFleetRequestId"])
        if not fleet.active:
            raise Refusal("InvalidSpotFleetRequestConfig", f"The spot fleet request '{fleet.id}' is in state {fleet.state} and cannot be modified.")
        if fleet.config["Type"] == "request":
            raise Refusal("InvalidSpotFleetRequestConfig", "Spot Fleet requests of type 'request' cannot be modified.")
        target = request.get("TargetCapacity")
        if target is not None and target < 0:
            raise invalid("TargetCapacity")
        for name in ("TargetCapacity", "OnDemandTargetCapacity", "ExcessCapacityTerminationPolicy", "Context"):
            if request.get(name) is not None:
                fleet.config[name] = request[name]
        if request.get("LaunchTemplateConfigs"):
            changed = {**fleet.config, "LaunchTemplateConfigs": request["LaunchTemplateConfigs"]}
            fleet.candidates = candidates_of(changed)
            fleet.config = changed
        fleet.note("fleetRequestChange", "modify_succeeded", f"targetCapacity: {fleet.config['TargetCapacity']}")
        fleet.complete = False
        self._soon(fleet, self._launch_seconds)
        return {"Return": True}

    def _cancel(self, request: dict[str, Any]) -> dict[str, Any]:
        good, bad = [], []
        for fleet_id in request["SpotFleetRequestIds"]:
            fleet = self._fleets.get(fleet_id)
            if fleet is None:
                message = f"The spot fleet request ID '{fleet_id}' does not exist"
                bad.append({"SpotFleetRequestId": fleet_id, "Error": {"Code": "fleetRequestIdDoesNotExist", "Message": message}})
                continue
            before = fleet.state
            if fleet.active or fleet.state == "cancelled_running":
                fleet.state = "cancelled_terminating" if request.get("TerminateInstances") else "cancelled_running"
                fleet.note("fleetRequestChange", fleet.state)
                if request.get("TerminateInstances"):
                    for instance in self._instances.of(fleet.id):
                        self._instances.shut_down(instance, "instance-terminated-by-user")
                self._close_if_empty(fleet)
            good.append({"SpotFleetRequestId": fleet_id, "CurrentSpotFleetRequestState": fleet.state, "PreviousSpotFleetRequestState": before})
        return {"SuccessfulFleetRequests": good, "UnsuccessfulFleetRequests": bad}

    def _describe(self, request: dict[str, Any]) -> dict[str, Any]:
        wanted = request.get("SpotFleetRequestIds")
        fleets = [self._find(one) for one in wanted] if wanted else list(self._fleets.values())
        return {"SpotFleetRequestConfigs": [self._view(fleet) for fleet in fleets if fleet.scope == emulator.scope()]}

    def _view(self, fleet: Fleet) -> dict[str, Any]:
        fulfilled = self._fulfilled(fleet)
        full = fulfilled >= fleet.config["TargetCapacity"]
        status = None
        if fleet.active:
            status = "fulfilled" if full else "pending_fulfillment"
        elif fleet.state == "cancelled_terminating":
            status = "pending_termination"
        return {
            "SpotFleetRequestId": fleet.id,
            "SpotFleetRequestState": fleet.state,
            "ActivityStatus": status,
            "CreateTime": emulator.stamp(fleet.created),
            "SpotFleetRequestConfig": {**fleet.config, "FulfilledCapacity": fulfilled, "OnDemandFulfilledCapacity": 0.0},
            "Tags": [{"Key": key, "Value": value} for key, value in emulator.tags(fleet.id).items()],
        }

    def _describe_instances(self, request: dict[str, Any]) -> dict[str, Any]:
        fleet = self._find(request["SpotFleetRequestId"])
        active = [
            {"InstanceId": one.id, "InstanceType": one.pool[0], "SpotInstanceRequestId": one.spot_request, "InstanceHealth": "healthy"}
            for one in self._instances.of(fleet.id)
        ]
        return {"SpotFleetRequestId": fleet.id, "ActiveInstances": active}

    def _describe_history(self, request: dict[str, Any]) -> dict[str, Any]:
        fleet = self._find(request["SpotFleetRequestId"])
        wanted = request.get("EventType")
        since = request["StartTime"][:19]
        records = [record for record in fleet.history if record["Timestamp"][:19] >= since and wanted in (None, record["EventType"])]
        return {
            "SpotFleetRequestId": fleet.id,
            "HistoryRecords": records,
            "LastEvaluatedTime": emulator.stamp(time.time()),
            "StartTime": request["StartTime"],
        }

    def _find(self, fleet_id: str) -> Fleet:
        if (fleet := self._fleets.get(fleet_id)) is None:
            raise Refusal("InvalidSpotFleetRequestId.NotFound", f"The spot fleet request ID '{fleet_id}' does not exist")
        return fleet

    def _fulfilled(self, fleet: Fleet) -> float:
        return sum(one.weight for one in self._instances.of(fleet.id) if one.living and one.id not in fleet.spares)

    def _soon(self, fleet: Fleet, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self._settle, fleet)

    def _settle(self, fleet: Fleet) -> None:
        """Bring the fleet one machine nearer to its target, and come back until it is there."""
        if not fleet.active:
            return
        if fleet.state == "submitted":
            fleet.state = "active"
            fleet.note("fleetRequestChange", "active")
        missing = fleet.config["TargetCapacity"] - self._fulfilled(fleet)
        if missing > 0 and not fleet.complete:
            launched = self._launch_one(fleet)
            if launched is not None:
                # A fleet of type request is content from the moment it is full, whatever happens next.
                fleet.complete = fleet.config["Type"] == "request" and launched.weight >= missing
                self._soon(fleet, self._launch_seconds)
            elif not fleet.waiting:
                fleet.waiting = True
                asyncio.get_running_loop().call_later(self._retry_seconds, self._retry, fleet)
        elif missing < 0 and fleet.config["ExcessCapacityTerminationPolicy"] == "default":
            self._shrink(fleet, -missing)

    def _retry(self, fleet: Fleet) -> None:
        fleet.waiting = False
        self._settle(fleet)

    def _launch_one(self, fleet: Fleet) -> Instance | None:
        config = fleet.config
        held = Counter(one.pool for one in self._instances.of(fleet.id) if one.living)
        missing = config["TargetCapacity"] - self._fulfilled(fleet)
        candidate = self._pools.choose(fleet.candidates, config["AllocationStrategy"], held, missing, config.get("InstancePoolsToUseCount") or 1)
        if candidate is None:
            fleet.note("error", "allLaunchSpecsTemporarilyBlacklisted", "There is no Spot capacity available that matches your request.")
            return None
        try:
            instance = self._instances.launch(candidate, fleet.id, {"aws:ec2spot:fleet-request-id": fleet.id})
        except Refusal as refusal:
            fleet.note("error", "spotFleetRequestConfigurationInvalid", str(refusal))
            return None
        fleet.note("instanceChange", "launched", f"{candidate.instance_type} in {candidate.zone}", instance.id)
        return instance

    def _shrink(self, fleet: Fleet, surplus: float) -> None:
        # Newest first: they have done the least work. What is going already must not count twice.
        for instance in reversed([one for one in self._instances.of(fleet.id) if one.living]):
            if instance.weight <= surplus:
                surplus -= instance.weight
                self._instances.shut_down(instance, "instance-terminated-by-service")

    def _gone(self, instance: Instance) -> None:
        fleet = self._fleets.get(instance.owner)
        if fleet is None:
            return
        fleet.note("instanceChange", "terminated", instance.reason, instance.id)
        if instance.id in fleet.spares:
            fleet.spares.discard(instance.id)
        elif fleet.spares:
            # A spare launched for this one takes its place.
            fleet.spares.pop()
        self._close_if_empty(fleet)
        if fleet.active and fleet.config["Type"] == "maintain":
            self._soon(fleet, self._replacement_seconds)

    def _close_if_empty(self, fleet: Fleet) -> None:
        if fleet.state in ("cancelled_terminating", "cancelled_running") and not self._instances.of(fleet.id):
            fleet.state = "cancelled"
            fleet.note("fleetRequestChange", "cancelled")
