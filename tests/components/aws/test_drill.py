import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pulumi_spotbatch.aws import InterruptionDrill
from pulumi_spotbatch.validation import InvalidArgs

from tests.components.aws.api_requests import experiment_template_request, request_faults
from tests.components.iam_lint import iam_faults
from tests.components.recorder import Deployment, deploy
from tests.components.samples import STOP_ALARM

ZONES = ["us-east-1a", "us-east-1b", "us-east-1c"]
LOG_GROUP = "arn:aws:logs:us-east-1:123456789012:log-group:/spotbatch/drills"


def declared(preview: bool = False, **args: Any) -> Deployment:
    given: Any = {"pool_tag": "workers-work-test", "stop_alarm_arn": STOP_ALARM, **args}
    return deploy(lambda: InterruptionDrill("drill", given), preview=preview)


def experiment(preview: bool = False, **args: Any) -> dict[str, Any]:
    return declared(preview, **args).only("ExperimentTemplate").inputs


def taken(inputs: dict[str, Any]) -> dict[str, int]:
    """Machines that each target takes, by its zone ("" for any)."""
    shares = {}
    for target in inputs["targets"]:
        zones = [value for each in target["filters"] if each["path"] == "Placement.AvailabilityZone" for value in each["values"]]
        shares["".join(zones)] = int(target["selectionMode"].removeprefix("COUNT(").removesuffix(")"))
    return shares


def test_it_takes_running_machines_of_one_pool_only_with_the_real_notice(preview: bool):
    inputs = experiment(preview)
    (target,) = inputs["targets"]
    assert target["resourceType"] == "aws:ec2:spot-instance"
    assert target["resourceTags"] == [{"key": "spotbatch:pool", "value": "workers-work-test"}]
    assert target["filters"] == [{"path": "State.Name", "values": ["running"]}]
    assert target["selectionMode"] == "COUNT(1)"
    (action,) = inputs["actions"]
    assert action["actionId"] == "aws:ec2:send-spot-instance-interruptions"
    assert action["parameters"] == [{"key": "durationBeforeInterruption", "value": "PT2M"}]
    assert action["target"] == {"key": "SpotInstances", "value": target["name"]}


def test_an_alarm_stops_it():
    assert experiment()["stopConditions"] == [{"source": "aws:cloudwatch:alarm", "value": STOP_ALARM}]


def test_its_role_cannot_interrupt_a_machine_without_the_pools_tag(preview: bool):
    deployment = declared(preview)
    if preview:
        return
    policy = deployment.only("RolePolicy").inputs["policy"]
    assert json.loads(policy)["Statement"] == [
        {
            "Effect": "Allow",
            "Action": "ec2:SendSpotInstanceInterruptions",
            "Resource": "arn:aws:ec2:us-east-1:123456789012:instance/*",
            "Condition": {"StringEquals": {"aws:ResourceTag/spotbatch:pool": "workers-work-test"}},
        },
        {"Effect": "Allow", "Action": "ec2:DescribeInstances", "Resource": "*"},
    ]
    assert iam_faults(policy) == []


def test_its_role_is_taken_by_experiments_of_this_account_only():
    trust = declared().only("Role").inputs["assumeRolePolicy"]
    (statement,) = json.loads(trust)["Statement"]
    assert statement["Principal"] == {"Service": "fis.amazonaws.com"}
    assert statement["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "123456789012"},
        "ArnLike": {"aws:SourceArn": "arn:aws:fis:us-east-1:123456789012:experiment/*"},
    }
    assert iam_faults(trust, "trust") == []


def test_a_log_is_kept_where_asked_with_the_permission_for_it():
    deployment = declared(log_group_arn=LOG_GROUP)
    log = deployment.only("ExperimentTemplate").inputs["logConfiguration"]
    assert log["cloudwatchLogsConfiguration"] == {"logGroupArn": f"{LOG_GROUP}:*"}
    policy = deployment.only("RolePolicy").inputs["policy"]
    assert "logs:CreateLogDelivery" in policy
    assert iam_faults(policy) == []
    assert "logConfiguration" not in experiment()


def test_a_pool_without_machines_fails_the_drill_and_a_zone_without_is_passed_over():
    assert experiment()["experimentOptions"]["emptyTargetResolutionMode"] == "fail"
    assert experiment(zones=ZONES, count=6)["experimentOptions"]["emptyTargetResolutionMode"] == "skip"


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 15), st.lists(st.sampled_from(ZONES), unique=True))
def test_the_targets_are_disjoint_take_five_each_at_most_and_the_count_together(count: int, zones: list[str]):
    args: dict[str, Any] = {"count": count, "zones": zones or None}
    if count > 5 * max(1, len(zones)):
        with pytest.raises(InvalidArgs, match=f"count: {count} is not allowed; allowed: 1 to {5 * max(1, len(zones))} "):
            experiment(**args)
        return
    inputs = experiment(**args)
    shares = taken(inputs)
    assert set(shares) <= (set(zones) or {""})
    assert sum(shares.values()) == count
    assert all(1 <= share <= 5 for share in shares.values())
    assert {action["target"]["value"] for action in inputs["actions"]} == {target["name"] for target in inputs["targets"]}


@pytest.mark.parametrize("args", [{}, {"count": 15, "zones": ZONES, "log_group_arn": LOG_GROUP}])
def test_aws_takes_the_request(args: dict[str, Any]):
    assert request_faults("fis", "CreateExperimentTemplate", experiment_template_request(experiment(**args))) == []


@pytest.mark.parametrize(
    ("args", "fault"),
    [
        ({"count": 0}, "count: 0 is not allowed; allowed: 1 to 5 with no zones given, and five more for each zone"),
        ({"count": 6}, "count: 6 is not allowed; allowed: 1 to 5 with no zones given"),
        ({"count": 11, "zones": ZONES[:2]}, "count: 11 is not allowed; allowed: 1 to 10 with the 2 zones given"),
        ({"zones": ["us-east-1"]}, "zones[0]: 'us-east-1' is not allowed; allowed: an availability zone like us-east-1a"),
        ({"zones": [ZONES[0], ZONES[0]]}, "zones[1]: 'us-east-1a' is not allowed; allowed: each zone once"),
        ({"zones": []}, "zones: [] is not allowed; allowed: 1 or more entries"),
        ({"stop_alarm_arn": "none"}, "stop_alarm_arn: 'none' is not allowed; allowed: the ARN of a CloudWatch alarm"),
        ({"stop_alarm_arn": None}, "stop_alarm_arn: missing"),
        ({"pool_tag": ""}, "pool_tag: '' is not allowed"),
        ({"log_group_arn": "/drills"}, "log_group_arn: '/drills' is not allowed; allowed: the ARN of a log group"),
    ],
)
def test_what_cannot_work_is_refused_by_name(args: dict[str, Any], fault: str):
    with pytest.raises(InvalidArgs) as raised:
        declared(**args)
    (said,) = raised.value.faults
    assert said.startswith(fault)


@pytest.mark.parametrize("zone", ["us-east-1a", "eu-central-1b", "us-gov-west-1a", "ap-southeast-4c", "us-west-2-lax-1a", "us-east-1-wl1-bos-wlz-1"])
def test_zones_of_every_kind_are_taken(zone: str):
    assert taken(experiment(zones=[zone])) == {zone: 1}
