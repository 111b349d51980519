import json
import logging
from typing import Any

import pulumi
import pytest
from pulumi_spotbatch.aws import Network, SpotFleet
from pulumi_spotbatch.validation import InvalidArgs

from tests.components.aws.api_requests import request_faults, spot_fleet_request
from tests.components.iam_lint import iam_faults
from tests.components.recorder import Deployment, deploy
from tests.components.samples import SUBNETS, TEMPLATE


def declared(preview: bool = False, **args: Any) -> Deployment:
    given: Any = {"template": TEMPLATE, "subnet_ids": SUBNETS, **args}
    return deploy(lambda: SpotFleet("pool", given), preview=preview)


def with_late_subnets(subnets: list[str], preview: bool = False) -> Deployment:
    return deploy(lambda: SpotFleet("pool", {"template": TEMPLATE, "subnet_ids": pulumi.Output.from_input(subnets)}), preview=preview)


def fleet(preview: bool = False, **args: Any) -> dict[str, Any]:
    return declared(preview, **args).only("SpotFleetRequest").inputs


def overrides(**args: Any) -> list[dict[str, Any]]:
    return fleet(**args)["launchTemplateConfigs"][0]["overrides"]


def test_left_to_its_defaults_it_asks_for_ten_machines_of_four_types_from_the_deepest_pools(preview: bool):
    inputs = fleet(preview)
    assert inputs["allocationStrategy"] == "capacityOptimized"
    assert inputs["fleetType"] == "maintain"
    assert inputs["targetCapacity"] == 10
    (config,) = inputs["launchTemplateConfigs"]
    assert config["launchTemplateSpecification"] == {"id": "lt-0123456789abcdef0", "version": "3"}
    assert [(each["instanceType"], each["subnetId"], each["weightedCapacity"]) for each in config["overrides"]] == [
        (name, subnet, 1) for subnet in SUBNETS for name in ("m5.xlarge", "m5a.xlarge", "m4.xlarge", "c5.xlarge")
    ]
    assert not {"spotPrice", "spotMaintenanceStrategies", "instancePoolsToUseCount", "onDemandTargetCapacity"} & set(inputs)


def test_a_capacity_may_be_asked_for_just_once():
    assert fleet(fleet_type="request")["fleetType"] == "request"


def test_the_fleet_carries_its_pools_tag_and_the_owners():
    assert fleet(tags={"team": "batch"})["tags"] == {"team": "batch", "spotbatch:stack": "work/test", "spotbatch:pool": "workers-work-test"}


def test_a_destroy_ends_the_machines_too():
    assert fleet()["terminateInstancesOnDelete"] == "true"


def test_without_scaling_the_program_owns_the_target():
    deployment = declared()
    assert list(deployment.only("SpotFleetRequest").raw.ignoreChanges) == []
    assert {request.type for request in deployment.requests if request.custom} == {
        "aws:ec2/spotFleetRequest:SpotFleetRequest",
        "aws:iam/role:Role",
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    }


def test_the_fleet_starts_after_its_role_may_tag_machines_and_ends_before():
    deployment = declared()
    attachment = deployment.only("RolePolicyAttachment")
    assert attachment.urn in [urn.replace("pulumi:pulumi:Stack$", "") for urn in deployment.only("SpotFleetRequest").raw.dependencies]


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_the_role_can_be_taken_by_this_accounts_fleets_only_and_tags_machines_in_any_partition(partition: str):
    answers = {"aws:index/getPartition:getPartition": {"id": partition, "partition": partition, "dnsSuffix": "", "reverseDnsPrefix": ""}}
    deployment = deploy(lambda: SpotFleet("pool", {"template": TEMPLATE, "subnet_ids": SUBNETS}), answers=answers)
    trust = deployment.only("Role").inputs["assumeRolePolicy"]
    (statement,) = json.loads(trust)["Statement"]
    assert statement["Principal"] == {"Service": "spotfleet.amazonaws.com"}
    assert statement["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "123456789012"},
        "ArnLike": {"aws:SourceArn": f"arn:{partition}:ec2:us-east-1:123456789012:spot-fleet-request/sfr-*"},
    }
    assert iam_faults(trust, "trust") == []
    assert (
        deployment.only("RolePolicyAttachment").inputs["policyArn"] == f"arn:{partition}:iam::aws:policy/service-role/AmazonEC2SpotFleetTaggingRole"
    )


def test_types_are_ranked_only_where_the_strategy_reads_the_rank():
    assert all("priority" not in each for each in overrides())
    ranked = overrides(allocation_strategy="capacityOptimizedPrioritized")
    assert [(each["instanceType"], each["priority"]) for each in ranked[:4]] == [
        ("m5.xlarge", 0),
        ("m5a.xlarge", 1),
        ("m4.xlarge", 2),
        ("c5.xlarge", 3),
    ]
    assert [each["priority"] for each in ranked] == [0, 1, 2, 3] * 3


def test_a_replacement_on_rebalance_is_launched_only_when_asked_for():
    inputs = fleet(risks={"replace_on_rebalance": True})
    assert inputs["spotMaintenanceStrategies"] == {"capacityRebalance": {"replacementStrategy": "launch"}}


def test_a_machine_that_fails_its_status_checks_is_replaced_in_a_maintained_fleet():
    assert fleet()["replaceUnhealthyInstances"] is True
    assert "replaceUnhealthyInstances" not in fleet(fleet_type="request")


def test_weights_and_a_maximum_price_reach_the_fleet():
    types = [{"name": "m5.xlarge"}, {"name": "c5.xlarge", "weight": 0.5}, {"name": "m5.2xlarge", "weight": 2}]
    inputs = fleet(instance_types=types, target_capacity=7.0, risks={"max_price": "0.12", "accept_more_interruptions": True})
    assert [each["weightedCapacity"] for each in inputs["launchTemplateConfigs"][0]["overrides"][:3]] == [1, 0.5, 2]
    assert (inputs["targetCapacity"], inputs["spotPrice"]) == (7, "0.12")


def test_subnets_may_become_known_later(preview: bool):
    inputs = with_late_subnets(SUBNETS[:2], preview).only("SpotFleetRequest").inputs
    assert [each["subnetId"] for each in inputs["launchTemplateConfigs"][0]["overrides"]] == [subnet for subnet in SUBNETS[:2] for _ in range(4)]


def test_a_network_to_be_made_leaves_only_the_subnets_open_in_the_first_preview():
    def program() -> None:
        network = Network("net", {})
        SpotFleet("pool", {"template": TEMPLATE, "subnet_ids": network.subnets})

    (config,) = deploy(program, preview=True).only("SpotFleetRequest").inputs["launchTemplateConfigs"]
    assert [each["instanceType"] for each in config["overrides"]] == ["m5.xlarge", "m5a.xlarge", "m4.xlarge", "c5.xlarge"] * 3


def test_subnets_that_become_known_later_are_checked_then():
    with pytest.raises(InvalidArgs, match=r"subnet_ids: \['subnet-1'\] is not allowed; allowed: 2 or more subnets"):
        with_late_subnets(["subnet-1"])


@pytest.mark.parametrize(
    "args",
    [
        {},
        {"fleet_type": "request"},
        {"allocation_strategy": "capacityOptimizedPrioritized", "risks": {"replace_on_rebalance": True}},
        {"allocation_strategy": "lowestPrice", "risks": {"max_price": "0.05", "accept_more_interruptions": True}},
        {"scaling": {"queue_name": "tasks", "max": 100, "tasks_per_unit": 4}},
    ],
)
def test_aws_takes_the_request(args: dict[str, Any]):
    assert request_faults("ec2", "RequestSpotFleet", spot_fleet_request(fleet(**args))) == []


def warned(caplog: pytest.LogCaptureFixture, **args: Any) -> str:
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        declared(**args)
    return "\n".join(caplog.messages)


def test_it_warns_of_few_types_and_of_those_that_newer_zones_lack(caplog: pytest.LogCaptureFixture):
    text = warned(caplog)
    assert "4 types are few" in text
    assert "m4.xlarge (older, on Xen) may be missing in newer zones" in text


def test_ten_newer_types_need_no_warning_and_few_may_be_accepted(caplog: pytest.LogCaptureFixture):
    ten = [{"name": f"{family}.xlarge"} for family in ("m5", "m5a", "m5d", "m5n", "m6i", "m6a", "m7i", "c5", "c6i", "r5")]
    assert warned(caplog, instance_types=ten) == ""
    assert warned(caplog, risks={"accept_few_pools": True}) == ""


def test_it_warns_of_a_type_that_nobody_knows_and_of_the_cheapest_pools(caplog: pytest.LogCaptureFixture):
    types = [{"name": name} for name in ("m5.xlarge", "m55.xlarge", "c5.xlarge")]
    text = warned(caplog, instance_types=types, allocation_strategy="lowestPrice", risks={"accept_few_pools": True})
    assert "m55.xlarge is unknown to this release of pulumi-aws; did you mean m5.xlarge?" in text
    assert "lowestPrice draws from the pools that are interrupted most" in text
