"""Capacity that follows the backlog: how many units of it a backlog deserves, and who sets them.

One alarm looks at the highest backlog of the last minutes and one step policy sets the capacity outright, so that growth is answered
at once and shrinking only after it has lasted. Why not target tracking: docs/adr/0001-capacity-follows-the-backlog-in-steps.md
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from ..validation import Faults, Rule, between

METRIC_NAMESPACE, METRIC_NAME, METRIC_DIMENSION = "spotbatch", "Backlog", "Queue"
"""What the interruption handler publishes each minute: queued and running tasks of one queue."""

MOST_STEPS = 20
"""Step adjustments that one policy may have. https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-quotas.html"""

SETTLE_SECONDS = 60
"""The metric's own period: a new capacity is not judged before the next value."""


class Scaling(TypedDict):
    """Let capacity follow the backlog of a queue, between `min` and `max` units. A unit is one machine where weights are 1.

    Needs the queue's `InterruptionHandler`, which publishes the backlog. While it publishes nothing, capacity stays as it is.
    Scale-in stops machines without asking which of them is idle: their workers drain as at an interruption, and give back.
    """

    queue_name: pulumi.Input[str]
    """Name of the task queue (`SqsTaskQueue.queue_name`) whose backlog counts: its queued and running tasks."""
    max: int
    """Units at most, whatever the backlog."""
    tasks_per_unit: int
    """Queued and running tasks for which one unit of capacity is kept. A machine runs as many at once as it has worker processes (one for
    each CPU, unless its template says otherwise): divide that by its weight, and ask for more to let tasks wait for fewer machines."""
    min: NotRequired[int]
    """Units at least, billed when the queue is empty. Default: 0, an empty queue costs no machine; the first task then waits for a boot."""
    scale_in_after_seconds: NotRequired[int]
    """How long the backlog must have been lower before capacity shrinks, a multiple of 60 up to an hour. Default: 300."""


def scaling_rules(prefix: str = "scaling.") -> Mapping[str, Rule]:
    """What each field of a `Scaling` must fulfil by itself."""
    return {
        f"{prefix}max": between(1),
        f"{prefix}min": between(0),
        f"{prefix}tasks_per_unit": between(1),
        f"{prefix}scale_in_after_seconds": Rule("a multiple of 60 from 60 to 3600", lambda value: value % 60 == 0 and 60 <= value <= 3600),
    }


def check_scaling(faults: Faults, scaling: Scaling, target_capacity: int | None) -> None:
    """Refuse bounds that contradict each other or the capacity to begin with."""
    low, high = scaling.get("min", 0), scaling.get("max")
    if high is None:
        return
    if low > high:
        faults.add("scaling.min", low, f"at most scaling.max, which is {high}")
    elif target_capacity is not None and not low <= target_capacity <= high:
        faults.add("target_capacity", target_capacity, f"{low} to {high} as scaling says, or left out to begin with {low}")


@dataclass(frozen=True)
class _Step:
    """A backlog from `first` on, up to the next step's, deserves this capacity."""

    first: int
    capacity: int


def steps(scaling: Scaling) -> list[_Step]:
    """The capacity for every backlog: enough units for all tasks, within `min` and `max`.

    Exact where 20 steps reach from `min` to `max`. Beyond, steps grow by an equal ratio and a backlog gets the upper end of its step:
    at most 20 % more units than it needs where `max` is 100, 40 % where it is 1,000.
    """
    low, high, share = scaling.get("min", 0), scaling["max"], scaling["tasks_per_unit"]
    capacities = [low]
    while capacities[-1] < high:
        reached, left = capacities[-1], MOST_STEPS - len(capacities)
        even = math.ceil(reached * (high / reached) ** (1 / left)) if reached else 1
        capacities.append(reached + 1 if high - reached <= left else min(max(reached + 1, even), high))
    return [_Step(0, low)] + [_Step(below * share + 1, capacity) for below, capacity in pairwise(capacities)]


def scale_fleet(
    name: str, fleet: "aws.ec2.SpotFleetRequest", scaling: Scaling, tags: Mapping[str, pulumi.Input[str]], child: pulumi.ResourceOptions
) -> None:
    """Let Application Auto Scaling set the target capacity of a Spot Fleet."""
    target = aws.appautoscaling.Target(
        f"{name}-capacity",
        service_namespace="ec2",
        scalable_dimension="ec2:spot-fleet-request:TargetCapacity",
        resource_id=pulumi.Output.concat("spot-fleet-request/", fleet.id),
        min_capacity=scaling.get("min", 0),
        max_capacity=scaling["max"],
        tags=tags,
        opts=child,
    )
    policy = aws.appautoscaling.Policy(
        f"{name}-steps",
        policy_type="StepScaling",
        service_namespace=target.service_namespace,
        scalable_dimension=target.scalable_dimension,
        resource_id=target.resource_id,
        step_scaling_policy_configuration=aws.appautoscaling.PolicyStepScalingPolicyConfigurationArgs(
            adjustment_type="ExactCapacity",
            metric_aggregation_type="Maximum",
            cooldown=SETTLE_SECONDS,
            step_adjustments=[
                aws.appautoscaling.PolicyStepScalingPolicyConfigurationStepAdjustmentArgs(
                    metric_interval_lower_bound=first, metric_interval_upper_bound=end, scaling_adjustment=capacity
                )
                for first, end, capacity in _intervals(steps(scaling))
            ],
        ),
        opts=child,
    )
    _backlog_alarm(name, scaling, policy.arn, tags, child)


def scale_group(
    name: str, group: "aws.autoscaling.Group", scaling: Scaling, tags: Mapping[str, pulumi.Input[str]], child: pulumi.ResourceOptions
) -> None:
    """Let a step policy of its own set the desired capacity of an Auto Scaling group."""
    policy = aws.autoscaling.Policy(
        f"{name}-steps",
        autoscaling_group_name=group.name,
        policy_type="StepScaling",
        adjustment_type="ExactCapacity",
        metric_aggregation_type="Maximum",
        estimated_instance_warmup=SETTLE_SECONDS,
        step_adjustments=[
            aws.autoscaling.PolicyStepAdjustmentArgs(metric_interval_lower_bound=first, metric_interval_upper_bound=end, scaling_adjustment=capacity)
            for first, end, capacity in _intervals(steps(scaling))
        ],
        opts=child,
    )
    _backlog_alarm(name, scaling, policy.arn, tags, child)


def _intervals(ladder: list[_Step]) -> list[tuple[str, str | None, int]]:
    """The steps as AWS takes them: from (included), to (excluded), capacity; nothing below and above what the metric can be is left open."""
    ends: list[str | None] = [*(str(step.first) for step in ladder[1:]), None]
    return [(str(step.first), end, step.capacity) for step, end in zip(ladder, ends, strict=True)]


def _backlog_alarm(
    name: str, scaling: Scaling, policy_arn: pulumi.Input[str], tags: Mapping[str, pulumi.Input[str]], child: pulumi.ResourceOptions
) -> None:
    aws.cloudwatch.MetricAlarm(
        f"{name}-backlog",
        alarm_description="Sets capacity by the backlog each minute. In ALARM whenever the backlog is known: nothing is wrong then.",
        namespace=METRIC_NAMESPACE,
        metric_name=METRIC_NAME,
        dimensions={METRIC_DIMENSION: scaling["queue_name"]},
        statistic="Maximum",
        period=scaling.get("scale_in_after_seconds", 300),
        evaluation_periods=1,
        comparison_operator="GreaterThanOrEqualToThreshold",
        threshold=0,
        # No backlog known: no action, so capacity stays. "ignore" would act on with an old value.
        treat_missing_data="missing",
        alarm_actions=[policy_arn],
        tags=tags,
        opts=child,
    )
