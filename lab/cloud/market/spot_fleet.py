"""One Spot Fleet request: its configuration, and what that makes of it."""

import time
from dataclasses import dataclass, field
from typing import Any

from lab.cloud.market import emulator
from lab.cloud.market.emulator import Scope
from lab.cloud.market.pools import Candidate
from lab.cloud.market.query import Refusal

DEFAULTS: dict[str, Any] = {
    "AllocationStrategy": "lowestPrice",
    "OnDemandAllocationStrategy": "lowestPrice",
    "ExcessCapacityTerminationPolicy": "default",
    "Type": "maintain",
    "InstanceInterruptionBehavior": "terminate",
    "ReplaceUnhealthyInstances": False,
    "TerminateInstancesWithExpiration": False,
    "OnDemandTargetCapacity": 0,
    "TargetCapacityUnitType": "units",
}
"""What EC2 fills in. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_SpotFleetRequestConfigData.html"""


@dataclass
class Fleet:
    """One Spot Fleet request."""

    id: str
    config: dict[str, Any]
    scope: Scope
    created: float
    state: str = "submitted"
    candidates: list[Candidate] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    spares: set[str] = field(default_factory=set)
    """Machines launched ahead for others at risk: they do not count until those are gone."""
    complete: bool = False
    """A fleet of type `request` asks once: it is never topped up after it was full."""
    waiting: bool = False

    @property
    def active(self) -> bool:
        return self.state in ("submitted", "active")

    def note(self, event_type: str, sub_type: str, description: str = "", instance: str = "") -> None:
        """A record of DescribeSpotFleetRequestHistory."""
        information = {"EventSubType": sub_type, "EventDescription": description or None, "InstanceId": instance or None}
        self.history.append({"EventType": event_type, "EventInformation": information, "Timestamp": emulator.stamp(time.time())})


def invalid(parameter: str) -> Refusal:
    """A refusal of one parameter, in EC2's words."""
    return Refusal("InvalidSpotFleetRequestConfig", f"Parameter: SpotFleetRequestConfig.{parameter} is invalid.")


def candidates_of(config: dict[str, Any]) -> list[Candidate]:
    """Every pool that a request names. Raises Refusal for what EC2 would not accept."""
    if config["TargetCapacity"] < 0:
        raise invalid("TargetCapacity")
    if not config["IamFleetRole"].startswith("arn:"):
        raise invalid("IamFleetRole")
    if config.get("SpotMaintenanceStrategies") and config["Type"] != "maintain":
        raise Refusal("InvalidSpotFleetRequestConfig", "SpotMaintenanceStrategies option is only available with the spot fleet type set to maintain.")
    if config.get("LaunchSpecifications") and config.get("LaunchTemplateConfigs"):
        raise Refusal("InvalidSpotFleetRequestConfig", "LaunchSpecifications and LaunchTemplateConfigs cannot both be specified.")
    if not config.get("LaunchTemplateConfigs"):
        raise Refusal("InvalidSpotFleetRequestConfig", "The lab's Spot Fleet takes LaunchTemplateConfigs, and there are none.")
    found: list[Candidate] = []
    for entry in config["LaunchTemplateConfigs"]:
        data = emulator.template(entry.get("LaunchTemplateSpecification") or {})
        for override in entry.get("Overrides") or [{}]:
            found += _override(data, override, config.get("SpotPrice"))
    return found


def _override(data: dict[str, Any], override: dict[str, Any], fleet_price: str | None) -> list[Candidate]:
    instance_type = override.get("InstanceType") or data.get("InstanceType")
    if not instance_type:
        raise Refusal(
            "InvalidSpotFleetRequestConfig",
            "No instance type in the override nor in its launch template; instance requirements are more than the lab can do.",
        )
    emulator.check_type(instance_type)
    weight = override.get("WeightedCapacity")
    if weight is not None and weight <= 0:
        raise invalid("LaunchTemplateConfigs.Overrides.WeightedCapacity")
    subnets = [one.strip() for one in (override.get("SubnetId") or data.get("SubnetId") or "").split(",") if one.strip()]
    if not subnets:
        zone = override.get("AvailabilityZone") or emulator.scope()[1] + "a"
        default = emulator.default_subnet(zone)
        if default is None:
            raise Refusal("InvalidParameterValue", f"Invalid availability zone: [{zone}]")
        subnets = [default]
    price = override.get("SpotPrice") or fleet_price
    return [
        Candidate(
            instance_type=instance_type,
            zone=emulator.subnet(subnet)["AvailabilityZone"],
            subnet=subnet,
            weight=weight or 1.0,
            priority=override.get("Priority", float("inf")),
            max_price=float(price) if price else None,
            template=data,
        )
        for subnet in subnets
    ]
