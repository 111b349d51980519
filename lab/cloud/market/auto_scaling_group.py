"""One Auto Scaling group: its configuration, and what that makes of it."""

import math
from dataclasses import dataclass, field
from typing import Any

from lab.cloud.market import emulator
from lab.cloud.market.emulator import Scope
from lab.cloud.market.pools import Candidate
from lab.cloud.market.query import Refusal

DEFAULTS: dict[str, Any] = {
    "DefaultCooldown": 300,
    "HealthCheckType": "EC2",
    "HealthCheckGracePeriod": 0,
    "NewInstancesProtectedFromScaleIn": False,
    "CapacityRebalance": False,
    "TerminationPolicies": ["Default"],
}
"""What Auto Scaling fills in. https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CreateAutoScalingGroup.html"""

DISTRIBUTION: dict[str, Any] = {
    "OnDemandAllocationStrategy": "prioritized",
    "OnDemandBaseCapacity": 0,
    "OnDemandPercentageAboveBaseCapacity": 100,
    "SpotAllocationStrategy": "lowest-price",
}
"""100 % on demand is AWS's own default. https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_InstancesDistribution.html"""

STRATEGIES = ("lowest-price", "capacity-optimized", "capacity-optimized-prioritized", "price-capacity-optimized")
PROCESSES = [
    "Launch",
    "Terminate",
    "AddToLoadBalancer",
    "AlarmNotification",
    "AZRebalance",
    "HealthCheck",
    "InstanceRefresh",
    "ReplaceUnhealthy",
    "ScheduledActions",
]


@dataclass
class Group:
    """State of a group; `states` and `versions` are by instance id."""

    name: str
    arn: str
    scope: Scope
    created: str
    config: dict[str, Any]
    candidates: list[Candidate] = field(default_factory=list)
    hooks: dict[str, dict[str, Any]] = field(default_factory=dict)
    suspended: set[str] = field(default_factory=set)
    states: dict[str, str] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    protected: set[str] = field(default_factory=set)
    activities: list[dict[str, Any]] = field(default_factory=list)
    refreshes: list[dict[str, Any]] = field(default_factory=list)
    deleting: bool = False
    waiting: bool = False

    @property
    def desired(self) -> int:
        return self.config["DesiredCapacity"]

    @property
    def mixed(self) -> dict[str, Any] | None:
        return self.config.get("MixedInstancesPolicy")

    @property
    def distribution(self) -> dict[str, Any]:
        return {**DISTRIBUTION, **((self.mixed or {}).get("InstancesDistribution") or {})}

    @property
    def template_specification(self) -> dict[str, str]:
        if self.mixed:
            return self.mixed["LaunchTemplate"]["LaunchTemplateSpecification"]
        return self.config["LaunchTemplate"]

    def on_demand_share(self) -> float:
        """How much of the desired capacity is on demand."""
        if self.mixed is None:
            return float(self.desired)
        base = min(self.distribution["OnDemandBaseCapacity"], self.desired)
        return base + math.ceil((self.desired - base) * self.distribution["OnDemandPercentageAboveBaseCapacity"] / 100)

    def tags(self) -> dict[str, str]:
        """Tags that its instances get."""
        own = {tag["Key"]: tag.get("Value", "") for tag in self.config.get("Tags") or [] if tag.get("PropagateAtLaunch")}
        return {**own, "aws:autoscaling:groupName": self.name}


def validated(config: dict[str, Any]) -> list[Candidate]:
    """Every way a group can get a machine. Raises Refusal for what Auto Scaling would not accept."""
    low, high, desired = config["MinSize"], config["MaxSize"], config["DesiredCapacity"]
    if high < low:
        raise _invalid(f"Max bound, {high}, must be greater than or equal to min bound, {low}")
    if not low <= desired <= high:
        raise _invalid(f"Desired capacity:{desired} must be between the specified min size:{low} and max size:{high}")
    if bool(config.get("LaunchTemplate")) == bool(config.get("MixedInstancesPolicy")):
        raise _invalid("Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.")
    zones = [part.strip() for part in (config.get("VPCZoneIdentifier") or "").split(",") if part.strip()]
    if not zones:
        zones = [found for zone in config.get("AvailabilityZones") or [] if (found := emulator.default_subnet(zone))]
    if not zones:
        raise _invalid("At least one Availability Zone or VPC Subnet is required.")
    policy = config.get("MixedInstancesPolicy")
    if policy is None:
        data = emulator.template(config["LaunchTemplate"])
        return _candidates([{}], data, zones)
    template = policy.get("LaunchTemplate") or {}
    if not template.get("LaunchTemplateSpecification"):
        raise _invalid("Valid requests must contain a LaunchTemplateSpecification in the LaunchTemplate of the MixedInstancesPolicy.")
    data = emulator.template(template["LaunchTemplateSpecification"])
    if data.get("InstanceMarketOptions"):
        raise _invalid("Incompatible launch template: a mixed instances policy cannot use one that requests Spot Instances (InstanceMarketOptions).")
    overrides = template.get("Overrides") or [{}]
    weighted = [one for one in overrides if one.get("WeightedCapacity")]
    if weighted and len(weighted) != len(overrides):
        raise _invalid("You must specify a weight for all of your instance types or for none of them.")
    distribution = {**DISTRIBUTION, **(policy.get("InstancesDistribution") or {})}
    strategy = distribution["SpotAllocationStrategy"]
    if strategy not in STRATEGIES:
        raise _invalid(f"Invalid SpotAllocationStrategy: {strategy}. Valid values are {', '.join(STRATEGIES)}.")
    if distribution.get("SpotInstancePools") and strategy != "lowest-price":
        raise _invalid("SpotInstancePools option is only available with the lowest-price allocation strategy.")
    found = []
    for override in overrides:
        own = override.get("LaunchTemplateSpecification")
        found += _candidates([override], emulator.template(own) if own else data, zones, len(found), distribution.get("SpotMaxPrice"))
    return found


def _candidates(
    overrides: list[dict[str, Any]], data: dict[str, Any], subnets: list[str], first: int = 0, price: str | None = None
) -> list[Candidate]:
    found = []
    for number, override in enumerate(overrides, first):
        instance_type = override.get("InstanceType") or data.get("InstanceType")
        if not instance_type:
            raise _invalid("You must specify an instance type in the launch template or in the overrides; the lab knows no instance requirements.")
        emulator.check_type(instance_type)
        for subnet in subnets:
            found.append(
                Candidate(
                    instance_type=instance_type,
                    zone=emulator.subnet(subnet)["AvailabilityZone"],
                    subnet=subnet,
                    weight=float(override.get("WeightedCapacity") or 1),
                    priority=float(number),
                    max_price=float(price) if price else None,
                    template=data,
                )
            )
    return found


def _invalid(message: str) -> Refusal:
    return Refusal("ValidationError", message)
