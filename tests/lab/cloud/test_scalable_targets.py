import pytest
from botocore.exceptions import ClientError

from lab.cloud import LocalCloud
from lab.cloud.market.step_scaling import step
from tests.lab.cloud.fleets import describe_fleet, fleet_config, make_template, request_fleet

FLEET = {"ServiceNamespace": "ec2", "ScalableDimension": "ec2:spot-fleet-request:TargetCapacity"}
LADDER = {
    "AdjustmentType": "ExactCapacity",
    "StepAdjustments": [
        {"MetricIntervalLowerBound": 0, "MetricIntervalUpperBound": 1, "ScalingAdjustment": 0},
        {"MetricIntervalLowerBound": 1, "MetricIntervalUpperBound": 5, "ScalingAdjustment": 4},
        {"MetricIntervalLowerBound": 5, "ScalingAdjustment": 10},
    ],
}


def test_a_target_and_its_policy_are_kept_until_deregistered(cloud: LocalCloud):
    fleet = request_fleet(cloud, fleet_config(make_template(cloud), [("m5.xlarge", "a")]))
    scaling = cloud.client("application-autoscaling")
    resource = {**FLEET, "ResourceId": f"spot-fleet-request/{fleet}"}
    with pytest.raises(scaling.exceptions.ObjectNotFoundException):
        scaling.put_scaling_policy(PolicyName="p", PolicyType="StepScaling", StepScalingPolicyConfiguration=LADDER, **resource)
    scaling.register_scalable_target(MinCapacity=0, MaxCapacity=10, Tags={"t": "1"}, **resource)
    arn = scaling.put_scaling_policy(PolicyName="p", PolicyType="StepScaling", StepScalingPolicyConfiguration=LADDER, **resource)["PolicyARN"]
    assert scaling.put_scaling_policy(PolicyName="p", PolicyType="StepScaling", StepScalingPolicyConfiguration=LADDER, **resource)["PolicyARN"] == arn
    (target,) = scaling.describe_scalable_targets(ServiceNamespace="ec2", ResourceIds=[resource["ResourceId"]])["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (0, 10)
    assert scaling.list_tags_for_resource(ResourceARN=target["ScalableTargetARN"])["Tags"] == {"t": "1"}
    scaling.deregister_scalable_target(**resource)
    assert not scaling.describe_scaling_policies(ServiceNamespace="ec2", ResourceId=resource["ResourceId"])["ScalingPolicies"]


def test_registering_bounds_moves_a_capacity_that_is_outside(cloud: LocalCloud):
    fleet = request_fleet(cloud, fleet_config(make_template(cloud), [("c5.xlarge", "a")]))
    cloud.client("application-autoscaling").register_scalable_target(MinCapacity=2, MaxCapacity=5, ResourceId=f"spot-fleet-request/{fleet}", **FLEET)
    assert describe_fleet(cloud, fleet)["SpotFleetRequestConfig"]["TargetCapacity"] == 2


def test_a_fleet_that_is_not_there_cannot_be_scaled(cloud: LocalCloud):
    with pytest.raises(ClientError, match="sfr-none"):
        cloud.client("application-autoscaling").register_scalable_target(
            MinCapacity=0, MaxCapacity=1, ResourceId="spot-fleet-request/sfr-none", **FLEET
        )


@pytest.mark.parametrize(("breach", "capacity"), [(0, 0), (0.5, 0), (1, 4), (4.9, 4), (5, 10), (400, 10), (-1, None)])
def test_a_step_covers_its_lower_bound_and_not_its_upper_one(breach: float, capacity: int | None):
    assert step(LADDER, 3, breach) == capacity
