"""From the section `spotbatch:aws` of a stack file to components. What a section is called, its component's resources are called."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws
from pulumi_spotbatch.aws import (
    InterruptionDrill,
    InterruptionHandler,
    Network,
    QueueAccess,
    SpotAutoScalingGroup,
    SpotFleet,
    SpotLaunchTemplate,
    SqsTaskQueue,
    Template,
)

from .settings import AwsSettings, FleetSettings, GroupSettings, MachineSettings

Subnets = Sequence[pulumi.Input[str]]


def declare(settings: AwsSettings) -> Mapping[str, Any]:
    """Everything that the stack file asks for; returns the stack's outputs. `aws_faults` has found nothing wrong with the settings."""
    tags = settings.tags or {}
    outputs: dict[str, Any] = {}

    vpc_id, subnet_ids = _place(settings, tags)
    queue = SqsTaskQueue("queue", settings.queue.args(tags=tags)) if settings.queue else None
    if queue:
        outputs |= {"queue_url": queue.queue_url, "table_name": queue.table_name, "bucket_name": queue.bucket_name}
        outputs |= {"dead_letters_url": queue.dead_letters_url}

    machine = None
    if settings.machine and queue:
        machine = SpotLaunchTemplate("machine", machine_args(settings.machine, queue.access, vpc_id, tags))
        outputs |= {"pool_tag": machine.launch["pool_tag"], "role_name": machine.role_name, "log_group_name": machine.log_group_name}

    if settings.fleet and machine and queue:
        fleet = SpotFleet("fleet", pool_args(settings.fleet, machine.launch, subnet_ids, queue.queue_name, tags))
        outputs["fleet_id"] = fleet.fleet_id

    group_names: list[pulumi.Input[str]] = []
    if settings.group and machine and queue:
        group = SpotAutoScalingGroup("group", pool_args(settings.group, machine.launch, subnet_ids, queue.queue_name, tags))
        group_names.append(group.group_name)
        outputs["group_name"] = group.group_name

    handler = None
    if settings.interruptions and queue:
        handler = InterruptionHandler("interruptions", settings.interruptions.args(queue=queue.access, group_names=group_names, tags=tags))
        outputs |= {"handler_name": handler.function_name, "events_queue_url": handler.events_queue_url}
        outputs |= {"events_dead_letters_url": handler.dead_letters_url}

    if settings.drill and machine and handler:
        pool_tag, stop = machine.launch["pool_tag"], handler.alarm_arns["dead-letters"]
        drill = InterruptionDrill("drill", settings.drill.args(pool_tag=pool_tag, stop_alarm_arn=stop, tags=tags))
        outputs["experiment_template_id"] = drill.experiment_template_id
    return outputs


def _place(settings: AwsSettings, tags: Mapping[str, str]) -> tuple[pulumi.Input[str], Subnets]:
    """Network and subnets for the machines: those given, or new ones."""
    if settings.network is None:
        return "", []
    if settings.network.subnet_ids is not None:
        return aws.ec2.get_subnet_output(id=settings.network.subnet_ids[0]).vpc_id, list(settings.network.subnet_ids)
    network = Network("network", settings.network.args(tags=tags))
    return network.vpc_id, network.subnets


def machine_args(machine: MachineSettings, queue: QueueAccess, vpc_id: pulumi.Input[str], tags: Mapping[str, str]) -> Any:
    """What one machine is, in a security group of its own unless the file names some."""
    place = {} if machine.security_group_ids is not None else {"vpc_id": vpc_id}
    return machine.args(queue=queue, tags=tags, **place)


def pool_args(
    pool: FleetSettings | GroupSettings, template: Template, subnet_ids: Subnets, queue_name: pulumi.Input[str], tags: Mapping[str, str]
) -> Any:
    """A fleet or group of these machines; its scaling follows the stack's own queue."""
    scaling = {"scaling": pool.scaling.args(queue_name=queue_name)} if pool.scaling else {}
    return pool.args(template=template, subnet_ids=subnet_ids, tags=tags, **scaling)
