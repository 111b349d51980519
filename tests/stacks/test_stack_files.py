"""Every stack file that ships, without an engine."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from stacks import aws
from stacks.settings import AwsSettings
from stacks.stack_file import parse_aws
from tests.components.iam_lint import iam_faults
from tests.components.recorder import Deployment, deploy

FILES = {path.name.split(".")[1]: path for path in Path("stacks").glob("Pulumi.*.yaml") if "spotbatch:aws:" in path.read_text()}


def settings(stack: str) -> AwsSettings:
    read, faults = parse_aws(json.dumps(yaml.safe_load(FILES[stack].read_text())["config"]["spotbatch:aws"]))
    assert faults == []
    return read


def deployed(stack: str, preview: bool = False) -> Deployment:
    return deploy(lambda: aws.declare(settings(stack)), project="spotbatch", stack=stack, preview=preview)


def types(deployment: Deployment) -> set[str]:
    return {request.type.split(":")[-1] for request in deployment.requests if request.type.startswith("spotbatch:")}


def only(deployment: Deployment, kind: str) -> dict[str, Any]:
    return deployment.only(kind).inputs


@pytest.mark.parametrize("preview", [False, True], ids=["update", "preview"])
@pytest.mark.parametrize("stack", FILES)
def test_the_stack_deploys_whole_before_and_after_things_are_known(stack: str, preview: bool):
    deployment = deployed(stack, preview)
    assert {"Network", "SqsTaskQueue", "SpotLaunchTemplate", "InterruptionHandler"} <= types(deployment)
    outputs = deployment.result
    assert {"queue_url", "pool_tag", "dead_letters_url", "events_dead_letters_url", "handler_name"} <= set(outputs)
    assert [request.urn for request in deployment.requests if request.custom and not request.parent] == []


def test_every_iam_document_that_the_stacks_declare_is_sound():
    kinds = {"QueuePolicy": "queue", "BucketPolicy": "bucket"}
    documents = set()
    for request in [*deployed("prod").requests, *deployed("prod-asg").requests]:
        if "policy" in request.inputs:
            documents.add((request.name, request.inputs["policy"], kinds.get(request.type.split(":")[-1], "identity")))
        if "assumeRolePolicy" in request.inputs:
            documents.add((request.name, request.inputs["assumeRolePolicy"], "trust"))
    assert len(documents) >= 15
    assert {name: faults for name, document, kind in documents if (faults := iam_faults(document, kind))} == {}


@pytest.mark.parametrize("stack", FILES)
def test_everything_says_which_environment_it_is(stack: str):
    for request in deployed(stack).requests:
        tags = request.inputs.get("tags")
        if isinstance(tags, dict):
            assert tags["environment"] == stack.removesuffix("-asg"), request.urn


def test_local_is_a_small_fleet_whose_machines_may_be_taken_by_a_drill():
    deployment = deployed("local")
    assert types(deployment) == {"Network", "SqsTaskQueue", "SpotLaunchTemplate", "SpotFleet", "InterruptionHandler"}
    assert 8 <= only(deployment, "SpotFleetRequest")["targetCapacity"] <= 10
    assert len({override["subnetId"] for override in _overrides(deployment)}) == 3
    assert "interruptions-drill" in [rule.name for rule in deployment.all("EventRule")]
    assert only(deployment, "Table").get("deletionProtectionEnabled") is False


def test_dev_costs_no_machine_while_its_queue_is_empty():
    deployment = deployed("dev")
    target = only(deployment, "Target")
    assert (target["minCapacity"], only(deployment, "SpotFleetRequest")["targetCapacity"]) == (0, 0)
    assert only(deployment, "Table").get("deletionProtectionEnabled") is False


def test_prod_is_the_fleet_of_the_readme_over_three_zones():
    deployment = deployed("prod")
    fleet = only(deployment, "SpotFleetRequest")
    assert (fleet["allocationStrategy"], fleet["fleetType"], fleet["targetCapacity"]) == ("capacityOptimized", "maintain", 10)
    overrides = _overrides(deployment)
    assert [o["instanceType"] for o in overrides[:4]] == ["m5.xlarge", "m5a.xlarge", "m4.xlarge", "c5.xlarge"]
    assert {o["weightedCapacity"] for o in overrides} == {1}
    assert len(overrides) == 12
    assert only(deployment, "Target")["minCapacity"] == 0, "an empty queue is not billed for ten machines"
    assert "interruptions-drill" not in [rule.name for rule in deployment.all("EventRule")]
    assert only(deployment, "Table")["deletionProtectionEnabled"] is True


def test_prod_on_a_group_lets_the_handler_detach_from_that_group_alone():
    deployment = deployed("prod-asg")
    assert "SpotFleet" not in types(deployment)
    group = only(deployment, "Group")
    assert group["mixedInstancesPolicy"]["instancesDistribution"]["onDemandPercentageAboveBaseCapacity"] == 0
    policy = next(request for request in deployment.all("RolePolicy") if request.name == "interruptions-notices").inputs["policy"]
    named = re.findall(r"autoScalingGroupName/[\w-]+", policy)
    assert len(named) == 1
    assert named[0].startswith("autoScalingGroupName/group-group")


def test_a_stack_has_the_sections_of_its_file_and_nothing_else():
    read, faults = parse_aws('{"queue": {}}')
    assert faults == []
    assert types(deploy(lambda: aws.declare(read))) == {"SqsTaskQueue"}


def test_subnets_that_exist_are_used_instead_of_a_new_network():
    subnets = ["subnet-0aaaaaaaaaaaaaaaa", "subnet-0bbbbbbbbbbbbbbbb"]
    section = {"network": {"subnetIds": subnets}, "queue": {}, "machine": {"worker": "etl:SurvivalStatistics", "code": {"folder": "examples/etl"}}}
    read, faults = parse_aws(json.dumps({**section, "fleet": {}}))
    assert faults == []
    deployment = deploy(lambda: aws.declare(read))
    assert "Network" not in types(deployment)
    assert {override["subnetId"] for override in _overrides(deployment)} == set(subnets)
    assert only(deployment, "SecurityGroup")["vpcId"] == "vpc-0123456789abcdef0"


def test_settings_never_change():
    with pytest.raises(ValueError, match="frozen"):
        settings("local").queue = None  # pyright: ignore[reportAttributeAccessIssue]


def _overrides(deployment: Deployment) -> list[dict[str, Any]]:
    return only(deployment, "SpotFleetRequest")["launchTemplateConfigs"][0]["overrides"]
