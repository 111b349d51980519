"""Rehearse interruptions on the real machines of one pool."""

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from ..validation import Faults, like, some
from .iam import allow, document, trust
from .tagging import POOL, check_tags, own_tags

MOST_IN_A_TARGET = 5
"""Spot machines that AWS interrupts for one target. https://docs.aws.amazon.com/fis/latest/userguide/fis-quotas.html"""

NOTICE = "PT2M"
"""From the start of the action to the interruption, the two-minute notice included: the notice comes at once."""


class InterruptionDrillArgs(TypedDict):
    """Which machines an InterruptionDrill takes, and what stops it."""

    pool_tag: pulumi.Input[str]
    """Value of the machines' `spotbatch:pool` tag: `SpotLaunchTemplate.launch["pool_tag"]`. No other machine can be hit."""
    stop_alarm_arn: pulumi.Input[str]
    """CloudWatch alarm that ends the experiment, or keeps it from starting, while it is in ALARM: the dead letters' alarm, for example.
    Interruptions that were announced by then still happen."""
    count: NotRequired[int]
    """Machines to interrupt, picked at random. Default: 1. Up to five; with `zones`, up to five in each."""
    zones: NotRequired[Sequence[str]]
    """Availability zones to take them from, in equal shares: one target in each, so that no machine is picked twice. Default: any zone."""
    log_group_arn: NotRequired[pulumi.Input[str]]
    """CloudWatch log group for the experiment's own log. Default: no log; CloudTrail has the calls."""
    tags: NotRequired[Mapping[str, pulumi.Input[str]]]
    """Tags of the template, its experiments and its role. Default: spotbatch's own alone."""


class InterruptionDrill(pulumi.ComponentResource):
    """Take machines of one pool away as AWS does, with the real two-minute warning, to see that the work goes on.

    Creates an AWS FIS experiment template and the role that it acts by. The role may interrupt machines with the pool's tag and no
    others, so a drill cannot leave its stack, whatever the template is edited to.

    Leaves to you: the start, `aws fis start-experiment --experiment-template-id ID`, and the alarm that stops it. An experiment that
    finds no machine fails, and says so; with `zones`, those without a machine are passed over. AWS bills each minute of an action.

    Raises InvalidArgs, with all faults at once, before anything is declared.
    """

    experiment_template_id: pulumi.Output[str]
    """Id of the experiment template, `EXT...`."""
    role_arn: pulumi.Output[str]
    """ARN of the role that the experiment acts by."""

    def __init__(self, name: str, args: InterruptionDrillArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        given = checked(name, args)
        super().__init__("spotbatch:index:InterruptionDrill", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        tags = own_tags(given.get("tags"))
        shares = _shares(given.get("count", 1), given.get("zones", []))
        log_group = given.get("log_group_arn")
        role, permissions = _drill_role(name, given["pool_tag"], log_group is not None, tags, child)
        template = aws.fis.ExperimentTemplate(
            f"{name}-experiment",
            description="Interrupts Spot machines of one pool, with the two-minute notice that AWS gives.",
            role_arn=role.arn,
            targets=[_target(zone, count, given["pool_tag"]) for zone, count in shares.items()],
            actions=[_action(zone) for zone in shares],
            stop_conditions=[aws.fis.ExperimentTemplateStopConditionArgs(source="aws:cloudwatch:alarm", value=given["stop_alarm_arn"])],
            experiment_options=aws.fis.ExperimentTemplateExperimentOptionsArgs(
                account_targeting="single-account", empty_target_resolution_mode="skip" if given.get("zones") else "fail"
            ),
            log_configuration=_log(log_group) if log_group is not None else None,
            tags={"Name": name, **tags},
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[permissions])),
        )
        self.experiment_template_id = template.id
        self.role_arn = role.arn
        self.register_outputs({"experimentTemplateId": self.experiment_template_id, "roleArn": self.role_arn})


def checked(name: str, args: InterruptionDrillArgs) -> InterruptionDrillArgs:
    """The arguments, whole and sound; InvalidArgs otherwise. For programs that want to know before they declare anything."""
    faults = Faults("InterruptionDrill", name)
    rules = {
        "pool_tag": like(r".{1,256}", "the value of the machines' spotbatch:pool tag"),
        "stop_alarm_arn": like(
            r"arn:[\w-]+:cloudwatch:[\w-]+:\d{12}:alarm:.+", "the ARN of a CloudWatch alarm, arn:aws:cloudwatch:REGION:ACCOUNT:alarm:NAME"
        ),
        "zones": some(),
        "zones[]": like(r"[a-z]{2}-[a-z0-9-]+-(\d[a-z]|wlz-\d)", "an availability zone like us-east-1a"),
        "log_group_arn": like(r"arn:[\w-]+:logs:[\w-]+:\d{12}:log-group:[^:]+(:\*)?", "the ARN of a log group"),
    }
    given = faults.read(InterruptionDrillArgs, args, rules)
    zones, count = given.get("zones", []), given.get("count", 1)
    for index, zone in enumerate(zones):
        if zone in zones[:index]:
            faults.add(f"zones[{index}]", zone, "each zone once")
    most = MOST_IN_A_TARGET * max(1, len(set(zones)))
    if not 1 <= count <= most:
        place = f"the {len(set(zones))} zones given" if zones else "no zones given, and five more for each zone"
        faults.add("count", count, f"1 to {most} with {place}")
    check_tags(faults, given.get("tags"))
    faults.raise_any()
    return given


def _shares(count: int, zones: Sequence[str]) -> dict[str, int]:
    """How many machines to take from each zone; `""` stands for any."""
    if not zones:
        return {"": count}
    each, over = divmod(count, len(zones))
    return {zone: each + (rank < over) for rank, zone in enumerate(zones) if each + (rank < over)}


def _target(zone: str, count: int, pool_tag: pulumi.Input[str]) -> "aws.fis.ExperimentTemplateTargetArgs":
    filters = [aws.fis.ExperimentTemplateTargetFilterArgs(path="State.Name", values=["running"])]
    if zone:
        filters.append(aws.fis.ExperimentTemplateTargetFilterArgs(path="Placement.AvailabilityZone", values=[zone]))
    return aws.fis.ExperimentTemplateTargetArgs(
        name=_named("machines", zone),
        resource_type="aws:ec2:spot-instance",
        resource_tags=[aws.fis.ExperimentTemplateTargetResourceTagArgs(key=POOL, value=pool_tag)],
        filters=filters,
        selection_mode=f"COUNT({count})",
    )


def _action(zone: str) -> "aws.fis.ExperimentTemplateActionArgs":
    return aws.fis.ExperimentTemplateActionArgs(
        name=_named("interrupt", zone),
        action_id="aws:ec2:send-spot-instance-interruptions",
        parameters=[aws.fis.ExperimentTemplateActionParameterArgs(key="durationBeforeInterruption", value=NOTICE)],
        target=aws.fis.ExperimentTemplateActionTargetArgs(key="SpotInstances", value=_named("machines", zone)),
    )


def _named(what: str, zone: str) -> str:
    return f"{what}-{zone}" if zone else what


def _log(log_group_arn: pulumi.Input[str]) -> "aws.fis.ExperimentTemplateLogConfigurationArgs":
    whole = pulumi.Output.from_input(log_group_arn).apply(lambda arn: arn if arn.endswith(":*") else f"{arn}:*")
    return aws.fis.ExperimentTemplateLogConfigurationArgs(
        log_schema_version=2,
        cloudwatch_logs_configuration=aws.fis.ExperimentTemplateLogConfigurationCloudwatchLogsConfigurationArgs(log_group_arn=whole),
    )


def _drill_role(
    name: str, pool_tag: pulumi.Input[str], logs: bool, tags: Mapping[str, pulumi.Input[str]], child: pulumi.ResourceOptions
) -> "tuple[aws.iam.Role, aws.iam.RolePolicy]":
    """The experiment's role: interrupt this pool's machines, nothing else. https://docs.aws.amazon.com/fis/latest/userguide/getting-started-iam-service-role.html"""
    look_up = pulumi.InvokeOutputOptions(parent=child.parent)
    partition = aws.get_partition_output(opts=look_up).partition
    account = aws.get_caller_identity_output(opts=look_up).account_id
    region = aws.get_region_output(opts=look_up).region
    experiments = pulumi.Output.concat("arn:", partition, ":fis:", region, ":", account, ":experiment/*")
    machines = pulumi.Output.concat("arn:", partition, ":ec2:", region, ":", account, ":instance/*")
    statements = [
        allow("ec2:SendSpotInstanceInterruptions", machines, {"StringEquals": {f"aws:ResourceTag/{POOL}": pool_tag}}),
        # EC2 has no narrower resource for this call; it only reads.
        allow("ec2:DescribeInstances", "*"),
    ]
    if logs:
        # https://docs.aws.amazon.com/fis/latest/userguide/monitoring-logging.html: log delivery has no narrower resource either.
        actions = ["logs:CreateLogDelivery", "logs:DescribeLogGroups", "logs:DescribeResourcePolicies", "logs:PutResourcePolicy"]
        statements.append(allow(actions, "*"))
    role = aws.iam.Role(
        f"{name}-role",
        description="Lets AWS FIS interrupt Spot machines of one pool.",
        assume_role_policy=trust("fis.amazonaws.com", {"StringEquals": {"aws:SourceAccount": account}, "ArnLike": {"aws:SourceArn": experiments}}),
        tags=tags,
        opts=child,
    )
    permissions = aws.iam.RolePolicy(f"{name}-role-interrupt", role=role.name, policy=document(*statements), opts=child)
    return role, permissions
