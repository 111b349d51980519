import datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.cloud import LocalCloud
from tests.lab.cloud.fleets import describe_fleet, eventually, fleet_config, listen, machine, make_template, members, request_fleet

LONG_AGO = datetime.datetime(2020, 1, 1)


def refused(cloud: LocalCloud, config: dict[str, Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        cloud.client("ec2").request_spot_fleet(SpotFleetRequestConfig=config)
    error = caught.value.response.get("Error", {})
    return error.get("Code", ""), error.get("Message", "")


def test_a_capacity_optimized_fleet_takes_the_deepest_pool(cloud: LocalCloud):
    cloud.market.set_depth("m5.xlarge", "us-east-1a", 3)
    cloud.market.set_depth("m5a.xlarge", "us-east-1b", 5)
    fleet = request_fleet(cloud, fleet_config(make_template(cloud), [("m5.xlarge", "a"), ("m5a.xlarge", "b")], target=4))
    # 5 and 3: two from b, then level by level.
    assert sorted(one.pool[0] for one in members(cloud, fleet)) == ["m5.xlarge", "m5a.xlarge", "m5a.xlarge", "m5a.xlarge"]


def test_weights_fill_the_target_and_round_up(cloud: LocalCloud):
    config = fleet_config(make_template(cloud), [("c4.4xlarge", "a")], target=10, weights={"c4.4xlarge": 4})
    fleet = request_fleet(cloud, config)
    assert len(members(cloud, fleet)) == 3
    assert describe_fleet(cloud, fleet)["SpotFleetRequestConfig"]["FulfilledCapacity"] == 12


def test_machines_show_as_spot_with_zone_subnet_and_the_templates_tags(cloud: LocalCloud):
    tags = [{"ResourceType": kind, "Tags": [{"Key": "spotbatch:pool", "Value": f"{kind}-tag"}]} for kind in ("instance", "volume")]
    fleet = request_fleet(cloud, fleet_config(make_template(cloud, TagSpecifications=tags), [("r5.xlarge", "b")]))
    (one,) = members(cloud, fleet)
    ec2 = cloud.client("ec2")
    (shown,) = ec2.describe_instances(Filters=[{"Name": "instance-id", "Values": [one.id]}])["Reservations"][0]["Instances"]
    assert shown["InstanceLifecycle"] == "spot" and shown["SpotInstanceRequestId"].startswith("sir-")
    assert shown["Placement"]["AvailabilityZone"] == "us-east-1b"
    assert ec2.describe_subnets(SubnetIds=[shown["SubnetId"]])["Subnets"][0]["AvailabilityZone"] == "us-east-1b"
    assert {tag["Key"]: tag["Value"] for tag in shown["Tags"]} == {"spotbatch:pool": "instance-tag", "aws:ec2spot:fleet-request-id": fleet}
    (volume,) = ec2.describe_volumes(VolumeIds=[shown["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]])["Volumes"]
    assert volume["Tags"] == [{"Key": "spotbatch:pool", "Value": "volume-tag"}]


def test_filters_that_ministack_passes_over_are_honoured(cloud: LocalCloud):
    request_fleet(cloud, fleet_config(make_template(cloud), [("r4.xlarge", "c")]))
    ec2 = cloud.client("ec2")
    assert not ec2.describe_instances(Filters=[{"Name": "instance-lifecycle", "Values": ["scheduled"]}])["Reservations"]
    found = ec2.describe_instances(Filters=[{"Name": "availability-zone", "Values": ["us-east-1c"]}])["Reservations"]
    assert {one["Instances"][0]["InstanceType"] for one in found} == {"r4.xlarge"}


def test_a_fleet_that_maintains_replaces_what_was_terminated(cloud: LocalCloud):
    fleet = request_fleet(cloud, fleet_config(make_template(cloud), [("c5.large", "a")]))
    (first,) = members(cloud, fleet)
    cloud.client("ec2").terminate_instances(InstanceIds=[first.id])
    assert eventually(lambda: [one.id for one in members(cloud, fleet)] not in ([], [first.id]))
    assert machine(cloud, first.id).reason == "instance-terminated-by-user"


def test_a_fleet_that_only_requests_replaces_nothing(cloud: LocalCloud):
    fleet = request_fleet(cloud, fleet_config(make_template(cloud), [("c5.2xlarge", "a")], Type="request"))
    (first,) = members(cloud, fleet)
    cloud.market.kill(first.id)
    assert not eventually(lambda: members(cloud, fleet), seconds=2.5)


def test_a_lower_target_stops_the_newest_machine_without_a_spot_notice(cloud: LocalCloud, tmp_path):
    heard = listen(cloud, {"source": ["aws.ec2"]})
    script = f"""#!/bin/bash
cat >$SPOTBATCH_ROOT/etc/systemd/system/job.service <<END
[Service]
ExecStart=bash -c 'trap "echo $$ TERM >>{tmp_path}/said; exit" TERM; echo up >>{tmp_path}/said; while :; do sleep 0.1; done'
END
systemctl start job
"""
    fleet = request_fleet(cloud, fleet_config(make_template(cloud, script), [("c4.large", "a")], target=2))
    older, newer = members(cloud, fleet)
    said = tmp_path / "said"
    assert eventually(lambda: said.exists() and said.read_text().count("up") == 2)
    cloud.client("ec2").modify_spot_fleet_request(SpotFleetRequestId=fleet, TargetCapacity=1)
    assert eventually(lambda: machine(cloud, newer.id).state == "terminated")
    assert [one.id for one in members(cloud, fleet)] == [older.id]
    assert said.read_text().count("TERM") == 1
    states = [event["detail"]["state"] for event in heard() if event["detail"]["instance-id"] == newer.id and "state" in event["detail"]]
    assert states == ["pending", "running", "shutting-down", "terminated"]
    assert not [event for event in heard() if event["detail-type"] == "EC2 Spot Instance Interruption Warning"]


def test_a_lower_target_keeps_machines_when_the_policy_says_so(cloud: LocalCloud):
    config = fleet_config(make_template(cloud), [("c4.xlarge", "a")], target=2, ExcessCapacityTerminationPolicy="noTermination")
    fleet = request_fleet(cloud, config)
    cloud.client("ec2").modify_spot_fleet_request(SpotFleetRequestId=fleet, TargetCapacity=1, ExcessCapacityTerminationPolicy="noTermination")
    assert eventually(lambda: len(members(cloud, fleet)) != 2, seconds=1) is False


def test_cancelling_with_termination_ends_every_machine_and_leaves_no_volume(cloud: LocalCloud):
    fleet = request_fleet(cloud, fleet_config(make_template(cloud), [("m4.large", "a")], target=2))
    gone = members(cloud, fleet)
    ec2 = cloud.client("ec2")
    (answer,) = ec2.cancel_spot_fleet_requests(SpotFleetRequestIds=[fleet], TerminateInstances=True)["SuccessfulFleetRequests"]
    assert (answer["PreviousSpotFleetRequestState"], answer["CurrentSpotFleetRequestState"]) == ("active", "cancelled_terminating")
    assert eventually(lambda: describe_fleet(cloud, fleet)["SpotFleetRequestState"] == "cancelled")
    assert {machine(cloud, one.id).state for one in gone} == {"terminated"}
    volumes = {attached["InstanceId"] for volume in ec2.describe_volumes()["Volumes"] for attached in volume["Attachments"]}
    assert not volumes & {one.id for one in gone}


def test_cancelling_without_termination_leaves_machines_running_and_replaces_none(cloud: LocalCloud):
    fleet = request_fleet(cloud, fleet_config(make_template(cloud), [("m4.xlarge", "a")], target=2))
    first, second = members(cloud, fleet)
    cloud.client("ec2").cancel_spot_fleet_requests(SpotFleetRequestIds=[fleet], TerminateInstances=False)
    assert describe_fleet(cloud, fleet)["SpotFleetRequestState"] == "cancelled_running"
    cloud.market.kill(first.id)
    assert eventually(lambda: [one.id for one in members(cloud, fleet)] != [second.id], seconds=2) is False


def test_a_fleet_without_capacity_says_so_and_fills_up_when_there_is_some(cloud: LocalCloud):
    cloud.market.set_depth("p3.2xlarge", "us-east-1a", 0)
    ec2 = cloud.client("ec2")
    fleet = ec2.request_spot_fleet(SpotFleetRequestConfig=fleet_config(make_template(cloud), [("p3.2xlarge", "a")]))["SpotFleetRequestId"]

    def errors() -> list[str]:
        records = ec2.describe_spot_fleet_request_history(SpotFleetRequestId=fleet, StartTime=LONG_AGO, EventType="error")["HistoryRecords"]
        return [record["EventInformation"]["EventSubType"] for record in records]

    assert "allLaunchSpecsTemporarilyBlacklisted" in eventually(errors)
    assert describe_fleet(cloud, fleet)["ActivityStatus"] == "pending_fulfillment"
    cloud.market.set_depth("p3.2xlarge", "us-east-1a", 1)
    assert eventually(lambda: members(cloud, fleet))


def test_rebalancing_launches_ahead_and_never_ends_the_old_machine_by_itself(cloud: LocalCloud):
    strategy = {"CapacityRebalance": {"ReplacementStrategy": "launch"}}
    fleet = request_fleet(cloud, fleet_config(make_template(cloud), [("i3.large", "a")], SpotMaintenanceStrategies=strategy))
    (old,) = members(cloud, fleet)
    heard = listen(cloud, {"detail-type": ["EC2 Instance Rebalance Recommendation"]})
    cloud.market.rebalance(old.id)
    assert eventually(lambda: len(members(cloud, fleet)) == 2)
    (event,) = eventually(heard)
    assert event["detail"] == {"instance-id": old.id}
    cloud.market.kill(old.id)
    assert eventually(lambda: len(members(cloud, fleet)) != 1, seconds=2.5) is False


def test_launch_before_terminate_ends_the_old_machine_after_the_delay(cloud: LocalCloud):
    strategy = {"CapacityRebalance": {"ReplacementStrategy": "launch-before-terminate", "TerminationDelay": 1}}
    fleet = request_fleet(cloud, fleet_config(make_template(cloud), [("i3.xlarge", "a")], SpotMaintenanceStrategies=strategy))
    (old,) = members(cloud, fleet)
    cloud.market.rebalance(old.id)
    assert eventually(lambda: len(members(cloud, fleet)) == 2)
    assert eventually(lambda: machine(cloud, old.id).state == "terminated")
    assert len(members(cloud, fleet)) == 1


def test_what_ec2_would_refuse_is_refused_in_its_words(cloud: LocalCloud):
    good = make_template(cloud)
    pools = [("m5.large", "a")]
    assert refused(cloud, fleet_config({"LaunchTemplateId": "lt-0123", "Version": "1"}, pools)) == (
        "InvalidLaunchTemplateId.NotFound",
        "The specified launch template, with template ID lt-0123, does not exist.",
    )
    code, message = refused(cloud, fleet_config({**good, "Version": "7"}, pools))
    assert code == "InvalidLaunchTemplateId.VersionNotFound" and "version 7" in message
    assert refused(cloud, fleet_config(good, pools, AllocationStrategy="cheapest"))[0] == "InvalidParameterValue"
    assert refused(cloud, fleet_config(good, pools, weights={"m5.large": 0}))[0] == "InvalidSpotFleetRequestConfig"
    assert refused(cloud, fleet_config(good, pools, target=-1)) == (
        "InvalidSpotFleetRequestConfig",
        "Parameter: SpotFleetRequestConfig.TargetCapacity is invalid.",
    )
    rebalance = {"CapacityRebalance": {"ReplacementStrategy": "launch"}}
    assert "maintain" in refused(cloud, fleet_config(good, pools, Type="request", SpotMaintenanceStrategies=rebalance))[1]
    elsewhere = fleet_config(good, pools)
    elsewhere["LaunchTemplateConfigs"][0]["Overrides"] = [{"InstanceType": "m5.large", "SubnetId": "subnet-0nowhere"}]
    assert refused(cloud, elsewhere)[0] == "InvalidSubnetID.NotFound"
    assert refused(cloud, fleet_config(good, [("m5.huge", "a")])) == ("InvalidParameterValue", "Invalid value 'm5.huge' for InstanceType.")
    assert refused(cloud, fleet_config(good, [("m5.large", "z")]))[0] == "InvalidParameterValue"


def test_asking_for_a_fleet_that_is_not_there_is_refused(cloud: LocalCloud):
    with pytest.raises(ClientError, match=r"InvalidSpotFleetRequestId.NotFound.*'sfr-none' does not exist"):
        describe_fleet(cloud, "sfr-none")


def test_prices_fall_with_depth(cloud: LocalCloud):
    cloud.market.set_depth("c6i.large", "us-east-1a", 0)
    cloud.market.set_depth("c6i.large", "us-east-1b", 50)
    prices = cloud.client("ec2").describe_spot_price_history(InstanceTypes=["c6i.large"])["SpotPriceHistory"]
    by_zone = {one["AvailabilityZone"]: float(one["SpotPrice"]) for one in prices}
    assert by_zone["us-east-1b"] < by_zone["us-east-1a"]


def test_a_tag_that_cannot_stand_in_a_metadata_path_launches_nothing_and_the_history_says_so(cloud: LocalCloud):
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "team/name", "Value": "x"}]}]
    template = make_template(cloud, TagSpecifications=tags, MetadataOptions={"InstanceMetadataTags": "enabled"})
    ec2 = cloud.client("ec2")
    before = len(ec2.describe_instances()["Reservations"])
    fleet = ec2.request_spot_fleet(SpotFleetRequestConfig=fleet_config(template, [("r6i.large", "a")]))["SpotFleetRequestId"]

    def errors() -> list[str]:
        records = ec2.describe_spot_fleet_request_history(SpotFleetRequestId=fleet, StartTime=LONG_AGO, EventType="error")["HistoryRecords"]
        return [record["EventInformation"]["EventDescription"] for record in records]

    assert "'team/name' is not a valid tag key" in eventually(errors)[0]
    assert len(ec2.describe_instances()["Reservations"]) == before
