import json
from typing import Any

import pulumi
import pytest
from pulumi_spotbatch.aws import SpotAutoScalingGroup
from pulumi_spotbatch.validation import InvalidArgs

from spotbatch.notice import WARNING_SECONDS
from tests.components.aws.api_requests import auto_scaling_group_request, plain_request, request_faults
from tests.components.iam_lint import iam_faults
from tests.components.recorder import Deployment, deploy
from tests.components.samples import SUBNETS, TEMPLATE


def declared(preview: bool = False, **args: Any) -> Deployment:
    given: Any = {"template": TEMPLATE, "subnet_ids": SUBNETS, **args}
    return deploy(lambda: SpotAutoScalingGroup("pool", given), preview=preview)


def group(preview: bool = False, **args: Any) -> dict[str, Any]:
    return declared(preview, **args).only("Group").inputs


def test_left_to_its_defaults_it_asks_for_ten_machines_of_four_types_from_the_deepest_pools(preview: bool):
    inputs = group(preview)
    assert (inputs["minSize"], inputs["desiredCapacity"], inputs["maxSize"]) == (10, 10, 10)
    assert inputs["vpcZoneIdentifiers"] == SUBNETS
    policy = inputs["mixedInstancesPolicy"]
    assert policy["launchTemplate"]["launchTemplateSpecification"] == {"launchTemplateId": "lt-0123456789abcdef0", "version": "3"}
    assert [(each["instanceType"], each["weightedCapacity"]) for each in policy["launchTemplate"]["overrides"]] == [
        (name, "1") for name in ("m5.xlarge", "m5a.xlarge", "m4.xlarge", "c5.xlarge")
    ]
    assert policy["instancesDistribution"]["spotAllocationStrategy"] == "capacity-optimized"


def test_it_buys_nothing_on_demand_unless_told_to():
    distribution = group()["mixedInstancesPolicy"]["instancesDistribution"]
    assert (distribution["onDemandBaseCapacity"], distribution["onDemandPercentageAboveBaseCapacity"]) == (0, 0)
    told = group(on_demand={"base": 2, "percent_above_base": 25})["mixedInstancesPolicy"]["instancesDistribution"]
    assert (told["onDemandBaseCapacity"], told["onDemandPercentageAboveBaseCapacity"]) == (2, 25)


def test_machines_at_work_are_not_stopped_to_even_out_zones_or_for_a_recommendation():
    inputs = group()
    assert inputs["suspendedProcesses"] == ["AZRebalance"]
    assert inputs["capacityRebalance"] is False
    assert group(risks={"replace_on_rebalance": True})["capacityRebalance"] is True


def test_a_machine_that_is_stopped_waits_for_its_worker_as_long_as_at_an_interruption():
    hook = declared().only("LifecycleHook").inputs
    assert hook["lifecycleTransition"] == "autoscaling:EC2_INSTANCE_TERMINATING"
    assert hook["heartbeatTimeout"] == WARNING_SECONDS == 120
    assert hook["defaultResult"] == "CONTINUE"
    assert hook["name"] == "spotbatch-drain"


def test_the_worker_may_end_that_wait_in_its_own_group_and_nothing_else():
    policy = declared().only("RolePolicy").inputs
    assert policy["role"] == "workers-role"
    (statement,) = json.loads(policy["policy"])["Statement"]
    assert statement == {
        "Effect": "Allow",
        "Action": "autoscaling:CompleteLifecycleAction",
        "Resource": "arn:aws:autoscaling:us-east-1:123456789012:pool-group",
    }
    assert iam_faults(policy["policy"]) == []


def test_the_hook_comes_after_the_permission_and_goes_before_it():
    deployment = declared()
    before = [urn.replace("pulumi:pulumi:Stack$", "") for urn in deployment.only("LifecycleHook").raw.dependencies]
    assert deployment.only("RolePolicy").urn in before


def test_a_new_template_version_rolls_half_of_the_machines_at_a_time():
    assert group()["instanceRefresh"] == {"strategy": "Rolling", "preferences": {"minHealthyPercentage": 50, "skipMatching": True}}


def test_a_deployment_does_not_wait_for_spot_capacity():
    assert group()["waitForCapacityTimeout"] == "0"


def test_the_pools_tag_and_the_owners_reach_the_machines():
    tags = {tag["key"]: (tag["value"], tag["propagateAtLaunch"]) for tag in group(tags={"team": "batch"})["tags"]}
    assert tags == {"team": ("batch", True), "spotbatch:stack": ("work/test", True), "spotbatch:pool": ("workers-work-test", True)}


def test_whole_weights_are_written_as_aws_wants_them():
    types = [{"name": "m5.xlarge", "weight": 4.0}, {"name": "m5.2xlarge", "weight": 8}, {"name": "c5.xlarge"}]
    overrides = group(instance_types=types)["mixedInstancesPolicy"]["launchTemplate"]["overrides"]
    assert [each["weightedCapacity"] for each in overrides] == ["4", "8", "1"]


def test_subnets_that_become_known_later_are_checked_then():
    with pytest.raises(InvalidArgs, match=r"subnet_ids: \['subnet-1'\] is not allowed; allowed: 2 or more subnets"):
        deploy(lambda: SpotAutoScalingGroup("pool", {"template": TEMPLATE, "subnet_ids": pulumi.Output.from_input(["subnet-1"])}))


@pytest.mark.parametrize(
    "args",
    [
        {},
        {"allocation_strategy": "capacity-optimized-prioritized", "risks": {"replace_on_rebalance": True}},
        {"allocation_strategy": "lowest-price", "risks": {"max_price": "0.05", "accept_more_interruptions": True}},
        {"scaling": {"queue_name": "tasks", "max": 100, "tasks_per_unit": 4}, "on_demand": {"base": 1, "percent_above_base": 100}},
    ],
)
def test_aws_takes_the_requests(args: dict[str, Any]):
    deployment = declared(**args)
    assert request_faults("autoscaling", "CreateAutoScalingGroup", auto_scaling_group_request(deployment.only("Group").inputs)) == []
    hook = plain_request("autoscaling", "PutLifecycleHook", deployment.only("LifecycleHook").inputs, name="LifecycleHookName")
    assert request_faults("autoscaling", "PutLifecycleHook", hook) == []
    refresh = plain_request("autoscaling", "StartInstanceRefresh", deployment.only("Group").inputs["instanceRefresh"])
    assert request_faults("autoscaling", "StartInstanceRefresh", {"AutoScalingGroupName": "group", **refresh}) == []


def test_tags_that_its_machines_could_not_read_from_their_metadata_are_refused_as_ec2_would_launch_none():
    with pytest.raises(InvalidArgs, match=r"tags\['cost center'\]: 'cost center' is not allowed; allowed: letters, digits and"):
        group(tags={"cost center": "batch"})
