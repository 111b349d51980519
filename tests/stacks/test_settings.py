"""The keys of a stack file are the components' arguments."""

from typing import Any, get_args, is_typeddict

import pytest
from pulumi_spotbatch.aws.auto_scaling_group import SpotAutoScalingGroupArgs
from pulumi_spotbatch.aws.drill import InterruptionDrillArgs
from pulumi_spotbatch.aws.fleet import SpotFleetArgs
from pulumi_spotbatch.aws.interruption_handler import InterruptionHandlerArgs
from pulumi_spotbatch.aws.launch_template import SpotLaunchTemplateArgs
from pulumi_spotbatch.aws.network import NetworkArgs
from pulumi_spotbatch.aws.task_queue import SqsTaskQueueArgs

from stacks import settings

WIRED = {
    "group_names",
    "pool_tag",
    "queue",
    "queue_name",
    "stop_alarm_arn",
    "subnet_ids",
    "tags",
    "template",
    "vpc_id",
}
"""What stacks/aws.py passes from one component to the next, and the tags, which stand once for all."""

SECTIONS = {
    settings.NetworkSettings: NetworkArgs,
    settings.QueueSettings: SqsTaskQueueArgs,
    settings.MachineSettings: SpotLaunchTemplateArgs,
    settings.FleetSettings: SpotFleetArgs,
    settings.GroupSettings: SpotAutoScalingGroupArgs,
    settings.InterruptionSettings: InterruptionHandlerArgs,
    settings.DrillSettings: InterruptionDrillArgs,
}


def nested(hint: Any) -> type | None:
    """The TypedDict or section inside an annotation."""
    if is_typeddict(hint) or (isinstance(hint, type) and issubclass(hint, settings.Section)):
        return hint
    return next((found for found in map(nested, get_args(hint)) if found), None)


def same_keys(section: type[settings.Section], args: Any) -> None:
    fields, arguments = section.model_fields, args.__annotations__
    assert set(fields) - {"subnet_ids"} == set(arguments) - WIRED
    for name, field in fields.items():
        inner, argument = nested(field.annotation), nested(arguments.get(name))
        if inner and argument:
            same_keys(inner, argument)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(("section", "args"), SECTIONS.items(), ids=lambda value: value.__name__)
def test_a_section_offers_every_argument_of_its_component_and_no_other(section: type[settings.Section], args: Any):
    same_keys(section, args)


def test_what_a_file_leaves_out_is_left_to_the_component():
    assert settings.FleetSettings().args() == {}
    assert settings.FleetSettings.model_validate_json('{"targetCapacity": 3}').args() == {"target_capacity": 3}
