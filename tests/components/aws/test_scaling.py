import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pulumi_spotbatch.aws import SpotAutoScalingGroup, SpotFleet
from pulumi_spotbatch.aws.scaling import Scaling, steps

from tests.components.aws.api_requests import plain_request, request_faults
from tests.components.recorder import Deployment, deploy
from tests.components.samples import SCALING, SUBNETS, TEMPLATE

both = pytest.mark.parametrize("pool", [SpotFleet, SpotAutoScalingGroup])


def declared(pool: Any, preview: bool = False, **scaling: Any) -> Deployment:
    args = {"template": TEMPLATE, "subnet_ids": SUBNETS, "scaling": {**SCALING, **scaling}}
    return deploy(lambda: pool("pool", args), preview=preview)


def adjustments(deployment: Deployment) -> list[dict[str, Any]]:
    inputs = deployment.only("Policy").inputs
    return inputs.get("stepScalingPolicyConfiguration", {}).get("stepAdjustments") or inputs["stepAdjustments"]


def capacity_for(backlog: int, adjustments: list[dict[str, Any]]) -> int:
    """What AWS sets: the one step whose interval, above a threshold of 0, holds the backlog (lower end in, upper end out)."""
    fitting = [
        step["scalingAdjustment"]
        for step in adjustments
        if float(step["metricIntervalLowerBound"]) <= backlog < float(step.get("metricIntervalUpperBound", math.inf))
    ]
    assert len(fitting) == 1
    return int(fitting[0])


@both
def test_an_empty_queue_has_no_machine_and_every_task_beyond_gets_one_up_to_the_maximum(pool: Any):
    ladder = adjustments(declared(pool))
    assert [capacity_for(backlog, ladder) for backlog in (0, 1, 2, 9, 10, 11, 10_000)] == [0, 1, 2, 9, 10, 10, 10]


@both
def test_a_step_names_the_capacity_whatever_it_was_before(pool: Any):
    inputs = declared(pool).only("Policy").inputs
    policy = inputs.get("stepScalingPolicyConfiguration") or inputs
    assert (inputs["policyType"], policy["adjustmentType"], policy["metricAggregationType"]) == ("StepScaling", "ExactCapacity", "Maximum")


@both
def test_it_grows_from_zero_without_a_machine_that_could_report(pool: Any):
    alarm = declared(pool).only("MetricAlarm").inputs
    assert (alarm["namespace"], alarm["metricName"], alarm["dimensions"]) == ("spotbatch", "Backlog", {"Queue": "tasks"})
    assert (alarm["comparisonOperator"], alarm["threshold"]) == ("GreaterThanOrEqualToThreshold", 0)


@both
def test_it_grows_at_once_and_shrinks_after_the_backlog_was_lower_for_a_while(pool: Any):
    alarm = declared(pool, scale_in_after_seconds=600).only("MetricAlarm").inputs
    assert (alarm["statistic"], alarm["period"], alarm["evaluationPeriods"]) == ("Maximum", 600, 1)


@both
def test_a_backlog_that_nobody_publishes_changes_nothing(pool: Any):
    alarm = declared(pool).only("MetricAlarm").inputs
    assert alarm["treatMissingData"] == "missing"
    assert "insufficientDataActions" not in alarm


@both
def test_the_alarm_sets_off_the_policy(pool: Any):
    deployment = declared(pool)
    policy_urn = deployment.only("Policy").urn
    dependencies = deployment.only("MetricAlarm").raw.propertyDependencies["alarmActions"].urns
    assert [urn.replace("pulumi:pulumi:Stack$", "") for urn in dependencies] == [policy_urn]


def test_a_scaled_fleet_begins_with_its_minimum_and_the_program_leaves_the_target_alone():
    fleet = declared(SpotFleet, min=2).only("SpotFleetRequest")
    assert fleet.inputs["targetCapacity"] == 2
    assert list(fleet.raw.ignoreChanges) == ["targetCapacity"]


def test_a_scaled_group_begins_with_its_minimum_and_the_program_leaves_the_desired_capacity_alone():
    group = declared(SpotAutoScalingGroup, min=2).only("Group")
    assert (group.inputs["minSize"], group.inputs["maxSize"], group.inputs["desiredCapacity"]) == (2, 10, 2)
    assert list(group.raw.ignoreChanges) == ["desiredCapacity"]


def test_a_fleets_bounds_hold_for_whoever_sets_its_target():
    target = declared(SpotFleet, min=1, max=4).only("Target").inputs
    assert (target["minCapacity"], target["maxCapacity"]) == (1, 4)
    assert target["scalableDimension"] == "ec2:spot-fleet-request:TargetCapacity"
    assert target["resourceId"] == "spot-fleet-request/pool-fleet-id"


@st.composite
def scalings(draw: st.DrawFn) -> Scaling:
    low = draw(st.integers(0, 300))
    return {"queue_name": "q", "min": low, "max": draw(st.integers(max(low, 1), 5000)), "tasks_per_unit": draw(st.integers(1, 50))}


@settings(deadline=None)
@given(scalings())
def test_the_steps_are_few_enough_for_aws_leave_no_gap_and_rise_from_minimum_to_maximum(scaling: Scaling):
    ladder = steps(scaling)
    assert 1 <= len(ladder) <= 20
    assert (ladder[0].first, ladder[0].capacity) == (0, scaling.get("min"))
    assert ladder[-1].capacity == scaling["max"]
    assert all(a.first < b.first and a.capacity < b.capacity for a, b in pairwise(ladder))


@settings(deadline=None)
@given(scalings(), st.integers(0, 300_000))
def test_no_backlog_gets_less_than_it_needs_and_none_gets_much_more(scaling: Scaling, backlog: int):
    low, high, share = scaling.get("min", 0), scaling["max"], scaling["tasks_per_unit"]
    needed = min(max(math.ceil(backlog / share), low), high)
    given_ = [step.capacity for step in steps(scaling) if step.first <= backlog][-1]
    assert given_ >= needed
    if high - low < 20:
        assert given_ == needed
    if high <= 1000:
        assert given_ <= math.ceil(1.4 * needed)
    if high <= 100:
        assert given_ <= math.ceil(1.2 * needed)


@pytest.mark.parametrize("most", [1, 19, 20, 500])
def test_aws_takes_the_requests_for_a_fleet(most: int):
    deployment = declared(SpotFleet, max=most)
    target = {key: value for key, value in deployment.only("Target").inputs.items() if key != "tags"}
    assert (
        request_faults(
            "application-autoscaling", "RegisterScalableTarget", plain_request("application-autoscaling", "RegisterScalableTarget", target)
        )
        == []
    )
    policy = {"policyName": "steps", **deployment.only("Policy").inputs}
    assert request_faults("application-autoscaling", "PutScalingPolicy", plain_request("application-autoscaling", "PutScalingPolicy", policy)) == []


@pytest.mark.parametrize("most", [1, 19, 20, 500])
def test_aws_takes_the_requests_for_a_group(most: int):
    policy = {"policyName": "steps", **declared(SpotAutoScalingGroup, max=most).only("Policy").inputs}
    request = plain_request("autoscaling", "PutScalingPolicy", policy)
    assert request_faults("autoscaling", "PutScalingPolicy", request) == []


@both
def test_aws_takes_the_alarm(pool: Any):
    inputs = dict(declared(pool).only("MetricAlarm").inputs)
    inputs["dimensions"] = [{"name": key, "value": value} for key, value in inputs["dimensions"].items()]
    assert request_faults("cloudwatch", "PutMetricAlarm", {"AlarmName": "backlog", **plain_request("cloudwatch", "PutMetricAlarm", inputs)}) == []
