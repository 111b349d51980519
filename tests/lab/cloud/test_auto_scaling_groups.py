import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.cloud import LocalCloud
from tests.lab.cloud.fleets import eventually, listen, machine, make_template, members

HOOK = {"LifecycleHookName": "drain", "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING", "HeartbeatTimeout": 60}


def mixed(template: dict[str, str], types: list[str], **distribution: Any) -> dict[str, Any]:
    """A mixed instances policy that is all Spot unless said otherwise."""
    return {
        "LaunchTemplate": {"LaunchTemplateSpecification": template, "Overrides": [{"InstanceType": one} for one in types]},
        "InstancesDistribution": {"OnDemandPercentageAboveBaseCapacity": 0, "SpotAllocationStrategy": "capacity-optimized", **distribution},
    }


def create_group(cloud: LocalCloud, policy: dict[str, Any], desired: int = 1, zones: str = "a", **more: Any) -> str:
    name = f"g-{uuid.uuid4().hex[:8]}"
    more = {"MinSize": 0, "MaxSize": 20, "DesiredCapacity": desired, "MixedInstancesPolicy": policy, **more}
    zone_names = [f"us-east-1{zone}" for zone in zones]
    cloud.client("autoscaling").create_auto_scaling_group(AutoScalingGroupName=name, AvailabilityZones=zone_names, **more)
    assert eventually(lambda: len(members(cloud, name)) == desired), describe(cloud, name)
    return name


def describe(cloud: LocalCloud, name: str) -> dict[str, Any]:
    return cloud.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"][0]


def refused(cloud: LocalCloud, **config: Any) -> str:
    bounds = {"MinSize": 0, "MaxSize": 1, "AvailabilityZones": ["us-east-1a"]}
    with pytest.raises(ClientError) as caught:
        cloud.client("autoscaling").create_auto_scaling_group(AutoScalingGroupName=f"g-{uuid.uuid4().hex[:8]}", **{**bounds, **config})
    return str(caught.value)


def lifecycle_seen(cloud: LocalCloud, machine_id: str) -> str:
    """State of an instance as its group tells it."""
    found = cloud.client("autoscaling").describe_auto_scaling_instances(InstanceIds=[machine_id])["AutoScalingInstances"]
    return found[0]["LifecycleState"] if found else "gone"


def test_a_group_spreads_evenly_over_zones_and_tells_its_machines(cloud: LocalCloud):
    tags = [{"Key": "spotbatch:pool", "Value": "p", "PropagateAtLaunch": True}, {"Key": "mine", "Value": "m", "PropagateAtLaunch": False}]
    name = create_group(cloud, mixed(make_template(cloud), ["m5.xlarge", "m5a.xlarge"]), 4, "ab", Tags=tags)
    machines = members(cloud, name)
    assert sorted(one.zone for one in machines) == ["us-east-1a"] * 2 + ["us-east-1b"] * 2
    assert all(one.spot for one in machines)
    shown = describe(cloud, name)
    assert {one["LifecycleState"] for one in shown["Instances"]} == {"InService"}
    ec2 = cloud.client("ec2").describe_instances(InstanceIds=[machines[0].id])["Reservations"][0]["Instances"][0]
    assert {tag["Key"]: tag["Value"] for tag in ec2["Tags"]} == {"spotbatch:pool": "p", "aws:autoscaling:groupName": name}
    assert ec2["InstanceLifecycle"] == "spot"


def test_on_demand_base_and_percentage_come_before_spot(cloud: LocalCloud):
    policy = mixed(make_template(cloud), ["c5.xlarge"], OnDemandBaseCapacity=1, OnDemandPercentageAboveBaseCapacity=50)
    name = create_group(cloud, policy, 5)
    assert [one.spot for one in members(cloud, name)].count(False) == 3


def test_without_a_distribution_everything_is_on_demand_as_with_aws(cloud: LocalCloud):
    policy = mixed(make_template(cloud), ["c5.large"])
    del policy["InstancesDistribution"]
    name = create_group(cloud, policy, 2)
    assert not any(one.spot for one in members(cloud, name))


def test_an_interrupted_machine_is_replaced_after_its_death(cloud: LocalCloud):
    name = create_group(cloud, mixed(make_template(cloud), ["r5.xlarge", "r5a.xlarge"]))
    (one,) = members(cloud, name)
    cloud.market.interrupt(one.id, notice_seconds=1)
    assert members(cloud, name) == [machine(cloud, one.id)]
    assert eventually(lambda: [other.id for other in members(cloud, name)] not in ([], [one.id]))


def test_detaching_replaces_the_machine_at_once_and_it_lives_on(cloud: LocalCloud):
    name = create_group(cloud, mixed(make_template(cloud), ["r5.large"]))
    (one,) = members(cloud, name)
    cloud.client("autoscaling").detach_instances(AutoScalingGroupName=name, InstanceIds=[one.id], ShouldDecrementDesiredCapacity=False)
    assert eventually(lambda: [other.id for other in members(cloud, name)] not in ([], [one.id]))
    assert machine(cloud, one.id).living and machine(cloud, one.id).owner == ""
    with pytest.raises(ClientError, match="is not part of Auto Scaling group"):
        cloud.client("autoscaling").detach_instances(AutoScalingGroupName=name, InstanceIds=[one.id], ShouldDecrementDesiredCapacity=False)


def test_scale_in_waits_for_the_terminate_hook_and_the_machine_reads_of_it(cloud: LocalCloud, tmp_path):
    script = f"""#!/bin/bash
imds=$AWS_EC2_METADATA_SERVICE_ENDPOINT/latest
token=$(curl -sf -X PUT $imds/api/token -H 'X-aws-ec2-metadata-token-ttl-seconds: 300')
while :; do curl -s -H "X-aws-ec2-metadata-token: $token" $imds/meta-data/autoscaling/target-lifecycle-state >{tmp_path}/state; sleep 0.1; done
"""
    heard = listen(cloud, {"source": ["aws.autoscaling"], "detail-type": ["EC2 Instance-terminate Lifecycle Action"]})
    name = create_group(cloud, mixed(make_template(cloud, script), ["c4.large"]), LifecycleHookSpecificationList=[HOOK])
    (one,) = members(cloud, name)
    state = tmp_path / "state"
    assert eventually(lambda: state.exists() and state.read_text() == "InService")
    scaling = cloud.client("autoscaling")
    scaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=0)
    (event,) = eventually(heard)
    assert (event["detail"]["EC2InstanceId"], event["detail"]["LifecycleHookName"]) == (one.id, "drain")
    assert eventually(lambda: state.read_text() == "Terminated")
    assert lifecycle_seen(cloud, one.id) == "Terminating:Wait" and machine(cloud, one.id).living
    with pytest.raises(ClientError, match="No active Lifecycle Action found"):
        scaling.complete_lifecycle_action(
            AutoScalingGroupName=name, LifecycleHookName="drain", LifecycleActionToken=str(uuid.uuid4()), LifecycleActionResult="CONTINUE"
        )
    scaling.complete_lifecycle_action(AutoScalingGroupName=name, LifecycleHookName="drain", InstanceId=one.id, LifecycleActionResult="CONTINUE")
    assert eventually(lambda: machine(cloud, one.id).state == "terminated")


def test_a_protected_machine_survives_scale_in(cloud: LocalCloud):
    name = create_group(cloud, mixed(make_template(cloud), ["c4.xlarge"]), 2)
    first, second = members(cloud, name)
    scaling = cloud.client("autoscaling")
    scaling.set_instance_protection(AutoScalingGroupName=name, InstanceIds=[first.id], ProtectedFromScaleIn=True)
    scaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=0)
    assert eventually(lambda: machine(cloud, second.id).state == "terminated")
    assert machine(cloud, first.id).living


def test_a_group_that_may_not_launch_replaces_nothing_until_resumed(cloud: LocalCloud):
    name = create_group(cloud, mixed(make_template(cloud), ["m4.large"]))
    scaling = cloud.client("autoscaling")
    scaling.suspend_processes(AutoScalingGroupName=name, ScalingProcesses=["Launch"])
    cloud.market.kill(members(cloud, name)[0].id)
    assert not eventually(lambda: members(cloud, name), seconds=2)
    assert describe(cloud, name)["SuspendedProcesses"][0]["ProcessName"] == "Launch"
    scaling.resume_processes(AutoScalingGroupName=name, ScalingProcesses=["Launch"])
    assert eventually(lambda: members(cloud, name))


def test_capacity_rebalancing_launches_first_then_drains_the_old_machine(cloud: LocalCloud):
    name = create_group(cloud, mixed(make_template(cloud), ["m4.xlarge"]), CapacityRebalance=True)
    (old,) = members(cloud, name)
    cloud.market.rebalance(old.id)
    assert eventually(lambda: machine(cloud, old.id).state == "terminated")
    (new,) = members(cloud, name)
    assert new.launched < (machine(cloud, old.id).ended or 0)


def test_a_new_template_version_reaches_machines_by_an_instance_refresh(cloud: LocalCloud):
    template = make_template(cloud)
    name = create_group(cloud, mixed(template, ["m5.large"]), 2)
    old = {one.id for one in members(cloud, name)}
    scaling = cloud.client("autoscaling")
    cloud.client("ec2").create_launch_template_version(
        LaunchTemplateId=template["LaunchTemplateId"], LaunchTemplateData={"ImageId": "ami-2", "InstanceType": "m5.large"}
    )
    scaling.update_auto_scaling_group(AutoScalingGroupName=name, MixedInstancesPolicy=mixed({**template, "Version": "2"}, ["m5.large"]))
    assert eventually(lambda: {one.id for one in members(cloud, name)} != old, seconds=1.5) is False
    scaling.start_instance_refresh(AutoScalingGroupName=name, Preferences={"MinHealthyPercentage": 50})

    def refresh() -> dict[str, Any]:
        return scaling.describe_instance_refreshes(AutoScalingGroupName=name)["InstanceRefreshes"][0]

    assert eventually(lambda: refresh()["Status"] == "Successful", seconds=30), refresh()
    now = members(cloud, name)
    assert len(now) == 2 and not old & {one.id for one in now}
    assert {one["LaunchTemplate"]["Version"] for one in describe(cloud, name)["Instances"]} == {"2"}


def test_a_group_with_machines_is_deleted_only_by_force(cloud: LocalCloud):
    name = create_group(cloud, mixed(make_template(cloud), ["c5a.large"]), 2, LifecycleHookSpecificationList=[HOOK])
    scaling = cloud.client("autoscaling")
    with pytest.raises(ClientError, match="ResourceInUse"):
        scaling.delete_auto_scaling_group(AutoScalingGroupName=name)
    scaling.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)
    assert eventually(lambda: not scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"])
    assert not members(cloud, name)


def test_what_auto_scaling_would_refuse_is_refused(cloud: LocalCloud):
    template = make_template(cloud)
    good = mixed(template, ["m5.large"])
    assert "Max bound, 1, must be greater than or equal to min bound, 2" in refused(cloud, MixedInstancesPolicy=good, MinSize=2)
    assert "Desired capacity:5 must be between" in refused(cloud, MixedInstancesPolicy=good, DesiredCapacity=5)
    assert "must contain either LaunchTemplate" in refused(cloud)
    spot = make_template(cloud, InstanceMarketOptions={"MarketType": "spot"})
    assert "Incompatible launch template" in refused(cloud, MixedInstancesPolicy=mixed(spot, ["m5.large"]))
    assert "SpotInstancePools option is only available" in refused(cloud, MixedInstancesPolicy=mixed(template, ["m5.large"], SpotInstancePools=2))
    assert "VersionNotFound" in refused(cloud, MixedInstancesPolicy=mixed({**template, "Version": "9"}, ["m5.large"]))
    weights = mixed(template, ["m5.large", "m5.xlarge"])
    weights["LaunchTemplate"]["Overrides"][0]["WeightedCapacity"] = "2"
    assert "weight for all" in refused(cloud, MixedInstancesPolicy=weights)
    assert "HeartbeatTimeout: 10" in refused(cloud, MixedInstancesPolicy=good, LifecycleHookSpecificationList=[{**HOOK, "HeartbeatTimeout": 10}])
