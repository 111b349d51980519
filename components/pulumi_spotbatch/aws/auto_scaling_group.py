"""An Auto Scaling group of worker machines."""

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from spotbatch.notice import WARNING_SECONDS

from ..validation import Faults, between, one_of, some
from .iam import allow, document
from .instance_types import InstanceType
from .pools import DEFAULT_TYPES, PINNED, Risks, check_image, check_price, check_subnets, check_types, checked_subnets, warn
from .scaling import Scaling, check_scaling, scale_group, scaling_rules
from .tagging import POOL, check_tags, own_tags
from .template import Template

STRATEGIES = ("capacity-optimized", "capacity-optimized-prioritized", "price-capacity-optimized", "lowest-price")

HOOK = "spotbatch-drain"
"""Name of the terminate hook in every group. A hook's name counts within its group only."""

MOST_TYPES = 40
"""https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-quotas.html"""


class OnDemand(TypedDict):
    """How much of a group is bought on demand: machines that AWS does not take away, at full price."""

    base: NotRequired[int]
    """Units that are always on demand. Default: 0."""
    percent_above_base: NotRequired[int]
    """Share of the units above the base that is on demand. Default: 0, all Spot. (AWS's own default of 100 would buy no Spot at all.)"""


class SpotAutoScalingGroupArgs(TypedDict):
    """What a SpotAutoScalingGroup launches, where, and how much of it."""

    template: Template
    """What one machine is: `SpotLaunchTemplate.launch`. A new version rolls the group's machines, see there."""
    subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]]
    """Subnets to launch in, one in each zone. Two or more, unless `risks` accept few pools. A list whose entries become known later is
    previewed in full; one that becomes known as a whole is not, and is checked then."""
    instance_types: NotRequired[Sequence[InstanceType]]
    """Types to choose from, of one architecture, three to 40 (fewer if `risks` accept few pools), with whole weights from 1 to 999.
    Default: m5.xlarge, m5a.xlarge, m4.xlarge and c5.xlarge with weight 1 each."""
    target_capacity: NotRequired[int]
    """Units of capacity to run, work or no work; a unit is a machine where weights are 1. Default: 10; with `scaling`, its `min` to begin with."""
    allocation_strategy: NotRequired[str]
    """How AWS picks among pools. Default: capacity-optimized, those with most to spare. Also capacity-optimized-prioritized (the same, and
    types in the order given as far as that goes), price-capacity-optimized (the cheapest among those with capacity to spare, AWS's
    recommendation), lowest-price."""
    on_demand: NotRequired[OnDemand]
    """Keep part of the group on demand. Default: none of it."""
    scaling: NotRequired[Scaling]
    """Let capacity follow a queue's backlog. Default: `target_capacity` stays, and is billed when the queue is empty."""
    risks: NotRequired[Risks]
    """What is off until you accept its price: few pools, a maximum price, replacement on rebalance. Default: none of it."""
    tags: NotRequired[Mapping[str, pulumi.Input[str]]]
    """Tags of the group and of its machines, beside those of their template. Machines read their tags from their metadata, so keys are
    letters, digits and + - = . , _ : @. Default: spotbatch's own alone."""


RULES = {
    "template.version": PINNED,
    "template.architecture": one_of("x86_64", "arm64"),
    "instance_types": some(1, MOST_TYPES),
    "target_capacity": between(1),
    "allocation_strategy": one_of(*STRATEGIES),
    "on_demand.base": between(0),
    "on_demand.percent_above_base": between(0, 100),
    **scaling_rules(),
}


class SpotAutoScalingGroup(pulumi.ComponentResource):
    """Keep a number of Spot machines running over many pools, replace those that AWS takes, and roll them when their template changes.

    What AWS recommends for Spot. It takes the same arguments as `SpotFleet`; docs/fleet-or-group.md weighs both.

    Creates the group with its mixed instances policy, a hook that holds a machine for two minutes while its worker drains, the
    permission for the workers to end that wait, and with `scaling` a step policy and the alarm on the backlog. Rebalancing between
    zones is suspended: it stops machines at work only to even out numbers.

    Leaves to you: the template, the queue, and the interruption handler: give it `group_name`, so that it can detach a machine at its
    warning and the replacement starts two minutes early.

    A new template version, other types or another strategy roll the group: half of its machines at a time drain and are replaced
    while the others work on. Nothing but a new name replaces the group. `pulumi up` does not wait for the roll, nor for Spot capacity.

    Raises InvalidArgs, with all faults at once, before anything is declared. Subnets that become known later are checked then.
    """

    group_name: pulumi.Output[str]
    """Name of the group, for the interruption handler's `group_names`."""
    group_arn: pulumi.Output[str]
    """ARN of the group."""
    hook_name: pulumi.Output[str]
    """Name of the hook that a drained worker completes."""

    def __init__(self, name: str, args: SpotAutoScalingGroupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        given = checked(name, args)
        super().__init__("spotbatch:index:SpotAutoScalingGroup", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        types = given.get("instance_types", DEFAULT_TYPES)
        strategy = given.get("allocation_strategy", "capacity-optimized")
        scaling, template = given.get("scaling"), given["template"]
        risks = given.get("risks", {})
        accept_few_pools = risks.get("accept_few_pools", False)
        start = given.get("target_capacity", scaling.get("min", 0) if scaling else 10)
        tags = own_tags(given.get("tags"))
        warn(self, types, strategy, accept_few_pools)

        group = aws.autoscaling.Group(
            f"{name}-group",
            min_size=scaling.get("min", 0) if scaling else start,
            max_size=scaling["max"] if scaling else start,
            desired_capacity=start,
            vpc_zone_identifiers=checked_subnets("SpotAutoScalingGroup", name, given["subnet_ids"], accept_few_pools),
            mixed_instances_policy=_mixed_instances(given, types, strategy),
            capacity_rebalance=risks.get("replace_on_rebalance", False),
            suspended_processes=["AZRebalance"],
            instance_refresh=aws.autoscaling.GroupInstanceRefreshArgs(
                strategy="Rolling",
                preferences=aws.autoscaling.GroupInstanceRefreshPreferencesArgs(min_healthy_percentage=50, skip_matching=True),
            ),
            # Spot capacity may be hours away; that is the group's business, not a failed deployment.
            wait_for_capacity_timeout="0",
            tags=[
                aws.autoscaling.GroupTagArgs(key=key, value=value, propagate_at_launch=True)
                for key, value in {**tags, POOL: template["pool_tag"]}.items()
            ],
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(ignore_changes=["desiredCapacity"] if scaling else None)),
        )
        permission = aws.iam.RolePolicy(
            f"{name}-worker-hook",
            role=template["role_name"],
            policy=document(allow("autoscaling:CompleteLifecycleAction", group.arn)),
            opts=child,
        )
        # Apart from the group, so that a change reaches a running group and a destroy does not wait for hooks that nobody may complete.
        hook = aws.autoscaling.LifecycleHook(
            f"{name}-hook",
            name=HOOK,
            autoscaling_group_name=group.name,
            lifecycle_transition="autoscaling:EC2_INSTANCE_TERMINATING",
            heartbeat_timeout=WARNING_SECONDS,
            default_result="CONTINUE",
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[permission])),
        )
        if scaling:
            scale_group(name, group, scaling, tags, child)
        self.group_name = group.name
        self.group_arn = group.arn
        self.hook_name = hook.name
        self.register_outputs({"groupName": self.group_name, "groupArn": self.group_arn, "hookName": self.hook_name})


def checked(name: str, args: SpotAutoScalingGroupArgs) -> SpotAutoScalingGroupArgs:
    """The arguments, whole and sound; InvalidArgs otherwise. For programs that want to know before they declare anything."""
    faults = Faults("SpotAutoScalingGroup", name)
    given = faults.read(SpotAutoScalingGroupArgs, args, RULES)
    risks = given.get("risks", {})
    few = risks.get("accept_few_pools", False)
    types, subnet_ids, scaling = given.get("instance_types"), given.get("subnet_ids"), given.get("scaling")
    if types is not None:
        check_types(faults, types, few)
        for index, entry in enumerate(types):
            weight = entry.get("weight", 1)
            if not (1 <= weight <= 999 and float(weight).is_integer()):
                faults.add(f"instance_types[{index}].weight", weight, "a whole number from 1 to 999 in an Auto Scaling group")
    if isinstance(subnet_ids, Sequence):
        check_subnets(faults, subnet_ids, few)
    if "template" in given:
        check_image(faults, types or DEFAULT_TYPES, given["template"])
    if scaling is not None:
        check_scaling(faults, scaling, given.get("target_capacity"))
    most = scaling.get("max") if scaling is not None else given.get("target_capacity", 10)
    base = given.get("on_demand", {}).get("base", 0)
    if most is not None and base > most:
        faults.add("on_demand.base", base, f"0 to {most}, the most that the group runs")
    check_price(faults, risks)
    check_tags(faults, given.get("tags"), on_machines=True)
    faults.raise_any()
    return given


def _mixed_instances(
    given: SpotAutoScalingGroupArgs, types: Sequence[InstanceType], strategy: str
) -> "aws.autoscaling.GroupMixedInstancesPolicyArgs":
    template, on_demand = given["template"], given.get("on_demand", {})
    return aws.autoscaling.GroupMixedInstancesPolicyArgs(
        launch_template=aws.autoscaling.GroupMixedInstancesPolicyLaunchTemplateArgs(
            launch_template_specification=aws.autoscaling.GroupMixedInstancesPolicyLaunchTemplateLaunchTemplateSpecificationArgs(
                launch_template_id=template["id"], version=template["version"]
            ),
            overrides=[
                aws.autoscaling.GroupMixedInstancesPolicyLaunchTemplateOverrideArgs(
                    instance_type=entry["name"], weighted_capacity=str(int(entry.get("weight", 1)))
                )
                for entry in types
            ],
        ),
        instances_distribution=aws.autoscaling.GroupMixedInstancesPolicyInstancesDistributionArgs(
            on_demand_base_capacity=on_demand.get("base", 0),
            on_demand_percentage_above_base_capacity=on_demand.get("percent_above_base", 0),
            spot_allocation_strategy=strategy,
            spot_max_price=given.get("risks", {}).get("max_price"),
        ),
    )
