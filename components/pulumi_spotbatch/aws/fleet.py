"""A Spot Fleet of worker machines."""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from ..validation import Faults, between, one_of
from .iam import trust
from .instance_types import InstanceType
from .pools import DEFAULT_TYPES, PINNED, Risks, check_image, check_price, check_subnets, check_types, checked_subnets, each_pool, warn
from .scaling import Scaling, check_scaling, scale_fleet, scaling_rules
from .tagging import POOL, check_tags, own_tags
from .template import Template

STRATEGIES = ("capacityOptimized", "capacityOptimizedPrioritized", "priceCapacityOptimized", "diversified", "lowestPrice")


class SpotFleetArgs(TypedDict):
    """What a SpotFleet launches, where, and how much of it."""

    template: Template
    """What one machine is: `SpotLaunchTemplate.launch`. A new version replaces the fleet, see there."""
    subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]]
    """Subnets to launch in, one in each zone. Two or more, unless `risks` accept few pools. A list whose entries become known later is
    previewed in full; one that becomes known as a whole is not, and is checked then."""
    instance_types: NotRequired[Sequence[InstanceType]]
    """Types to choose from, of one architecture, three or more unless `risks` accept few pools.
    Default: m5.xlarge, m5a.xlarge, m4.xlarge and c5.xlarge with weight 1 each."""
    target_capacity: NotRequired[int]
    """Units of capacity to run, work or no work; a unit is a machine where weights are 1. Default: 10; with `scaling`, its `min` to begin with."""
    allocation_strategy: NotRequired[str]
    """How AWS picks among pools. Default: capacityOptimized, those with most to spare. Also capacityOptimizedPrioritized (the same, and types
    in the order given as far as that goes), priceCapacityOptimized (the cheapest among those with capacity to spare, AWS's recommendation),
    diversified (evenly over all), lowestPrice."""
    fleet_type: NotRequired[str]
    """`maintain`: lost machines are replaced. `request`: the capacity is asked for once. Default: maintain."""
    scaling: NotRequired[Scaling]
    """Let capacity follow a queue's backlog. Default: `target_capacity` stays, and is billed when the queue is empty."""
    risks: NotRequired[Risks]
    """What is off until you accept its price: few pools, a maximum price, replacement on rebalance. Default: none of it."""
    tags: NotRequired[Mapping[str, pulumi.Input[str]]]
    """Tags of the fleet and its role; machines have those of their template. Default: spotbatch's own alone."""


RULES = {
    "template.version": PINNED,
    "template.architecture": one_of("x86_64", "arm64"),
    "target_capacity": between(1),
    "allocation_strategy": one_of(*STRATEGIES),
    "fleet_type": one_of("maintain", "request"),
    **scaling_rules(),
}


class SpotFleet(pulumi.ComponentResource):
    """Keep a number of Spot machines running over many pools, and replace those that AWS takes.

    AWS calls the Spot Fleet API legacy and discourages new use; `SpotAutoScalingGroup` takes the same arguments and is what it recommends.
    A Spot Fleet still is the shortest way to a fixed number of machines over many pools. docs/fleet-or-group.md weighs both.

    Creates the fleet request, with one override for every type in every subnet, the role with which EC2 launches and tags machines, and
    with `scaling` an Application Auto Scaling target, its step policy and the alarm on the backlog.

    Leaves to you: the template, the queue, and the interruption handler: a Spot Fleet has no call to detach a machine, so a replacement
    starts when the old one is gone.

    Changing anything but `target_capacity`, `scaling` or `tags` replaces the fleet, a new template version too: a new fleet is requested,
    then the old one is cancelled and all its machines stopped. They get no spot warning but a shutdown, at which workers drain and give
    back. For these minutes both are billed, and a scaled fleet starts again at `scaling.min`. A group rolls its machines instead.

    Raises InvalidArgs, with all faults at once, before anything is declared. Subnets that become known later are checked then.
    """

    fleet_id: pulumi.Output[str]
    """Id of the Spot Fleet request, `sfr-...`."""
    role_arn: pulumi.Output[str]
    """ARN of the role with which EC2 launches and tags the fleet's machines."""

    def __init__(self, name: str, args: SpotFleetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        given = checked(name, args)
        super().__init__("spotbatch:index:SpotFleet", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        types = given.get("instance_types", DEFAULT_TYPES)
        strategy = given.get("allocation_strategy", "capacityOptimized")
        scaling = given.get("scaling")
        start = scaling.get("min", 0) if scaling else 10
        maintain = given.get("fleet_type", "maintain") == "maintain"
        risks = given.get("risks", {})
        accept_few_pools = risks.get("accept_few_pools", False)
        tags = own_tags(given.get("tags"))
        warn(self, types, strategy, accept_few_pools)

        role, attachment = _fleet_role(name, tags, child)

        def override(rank: int, entry: InstanceType, subnet: pulumi.Input[str]) -> aws.ec2.SpotFleetRequestLaunchTemplateConfigOverrideArgs:
            return aws.ec2.SpotFleetRequestLaunchTemplateConfigOverrideArgs(
                instance_type=entry["name"],
                subnet_id=subnet,
                weighted_capacity=entry.get("weight", 1),
                priority=rank if strategy == "capacityOptimizedPrioritized" else None,
            )

        subnets = checked_subnets("SpotFleet", name, given["subnet_ids"], accept_few_pools)
        fleet = aws.ec2.SpotFleetRequest(
            f"{name}-fleet",
            iam_fleet_role=role.arn,
            allocation_strategy=strategy,
            fleet_type="maintain" if maintain else "request",
            target_capacity=given.get("target_capacity", start),
            launch_template_configs=[
                aws.ec2.SpotFleetRequestLaunchTemplateConfigArgs(
                    launch_template_specification=aws.ec2.SpotFleetRequestLaunchTemplateConfigLaunchTemplateSpecificationArgs(
                        id=given["template"]["id"], version=given["template"]["version"]
                    ),
                    overrides=each_pool(types, subnets, override),
                )
            ],
            spot_maintenance_strategies=_on_rebalance(risks.get("replace_on_rebalance", False)),
            replace_unhealthy_instances=True if maintain else None,
            spot_price=risks.get("max_price"),
            terminate_instances_on_delete="true",
            tags={**tags, POOL: given["template"]["pool_tag"]},
            # The role must be able to tag before the fleet launches, and for as long as machines are being stopped.
            opts=pulumi.ResourceOptions.merge(
                child, pulumi.ResourceOptions(depends_on=[attachment], ignore_changes=["targetCapacity"] if scaling else None)
            ),
        )
        if scaling:
            scale_fleet(name, fleet, scaling, tags, child)
        self.fleet_id = fleet.id
        self.role_arn = role.arn
        self.register_outputs({"fleetId": self.fleet_id, "roleArn": self.role_arn})


def checked(name: str, args: SpotFleetArgs) -> SpotFleetArgs:
    """The arguments, whole and sound; InvalidArgs otherwise. For programs that want to know before they declare anything."""
    faults = Faults("SpotFleet", name)
    given = faults.read(SpotFleetArgs, args, RULES)
    risks = given.get("risks", {})
    few = risks.get("accept_few_pools", False)
    types, subnet_ids, scaling = given.get("instance_types"), given.get("subnet_ids"), given.get("scaling")
    if types is not None:
        check_types(faults, types, few)
        for index, entry in enumerate(types):
            if not 0 < entry.get("weight", 1) < float("inf"):
                faults.add(f"instance_types[{index}].weight", entry.get("weight"), "more than 0")
    if isinstance(subnet_ids, Sequence):
        check_subnets(faults, subnet_ids, few)
    if "template" in given:
        check_image(faults, types or DEFAULT_TYPES, given["template"])
    if scaling is not None:
        check_scaling(faults, scaling, given.get("target_capacity"))
    if given.get("fleet_type", "maintain") != "maintain":
        if risks.get("replace_on_rebalance"):
            faults.add("risks.replace_on_rebalance", True, "false where fleet_type is request, as only a maintained fleet replaces machines")
        if scaling is not None:
            faults.say(
                "scaling", "not allowed where fleet_type is request, as its capacity is asked for once; allowed: left out, or fleet_type maintain"
            )
    check_price(faults, risks)
    check_tags(faults, given.get("tags"))
    faults.raise_any()
    return given


def _on_rebalance(replace: bool) -> Any:
    if not replace:
        return None
    return aws.ec2.SpotFleetRequestSpotMaintenanceStrategiesArgs(
        capacity_rebalance=aws.ec2.SpotFleetRequestSpotMaintenanceStrategiesCapacityRebalanceArgs(replacement_strategy="launch")
    )


def _fleet_role(
    name: str, tags: Mapping[str, pulumi.Input[str]], child: pulumi.ResourceOptions
) -> "tuple[aws.iam.Role, aws.iam.RolePolicyAttachment]":
    """The role with which EC2 launches, tags and stops the fleet's machines.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-fleet-prerequisites.html, its guard against other accounts' fleets included.
    """
    look_up = pulumi.InvokeOutputOptions(parent=child.parent)
    partition = aws.get_partition_output(opts=look_up).partition
    account = aws.get_caller_identity_output(opts=look_up).account_id
    region = aws.get_region_output(opts=look_up).region
    fleets = pulumi.Output.concat("arn:", partition, ":ec2:", region, ":", account, ":spot-fleet-request/sfr-*")
    role = aws.iam.Role(
        f"{name}-role",
        description="Lets EC2 launch, tag and stop the machines of a Spot Fleet.",
        assume_role_policy=trust("spotfleet.amazonaws.com", {"StringEquals": {"aws:SourceAccount": account}, "ArnLike": {"aws:SourceArn": fleets}}),
        tags=tags,
        opts=child,
    )
    attachment = aws.iam.RolePolicyAttachment(
        f"{name}-role-tagging",
        role=role.name,
        policy_arn=pulumi.Output.concat("arn:", partition, ":iam::aws:policy/service-role/AmazonEC2SpotFleetTaggingRole"),
        opts=child,
    )
    return role, attachment
