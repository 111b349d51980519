import io
import json
import uuid
import zipfile
from collections.abc import Iterator

import pytest

from lab.cloud import LocalCloud
from tests.lab.cloud.fleets import eventually, fleet_config, make_template, members, request_fleet
from tests.lab.cloud.test_scalable_targets import FLEET, LADDER

PUBLISHER = """
import json, time
def handle(event, context):
    print(json.dumps({"_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [
        {"Namespace": "spotbatch", "Dimensions": [["Queue"]], "Metrics": [{"Name": "Backlog", "Unit": "Count"}]}]},
        "Queue": event["queue"], "Backlog": event["backlog"]}))
"""


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A cloud whose minutes last half a second for alarms, with a function that publishes backlogs as the handler does."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("publisher.py", PUBLISHER)
    with LocalCloud(tmp_path_factory.mktemp("cloud"), minute_seconds=0.5) as running:
        role = "arn:aws:iam::000000000000:role/r"
        running.client("lambda").create_function(
            FunctionName="publisher", Runtime="python3.12", Handler="publisher.handle", Role=role, Code={"ZipFile": archive.getvalue()}
        )
        yield running


def publish(cloud: LocalCloud, queue: str, backlog: int) -> None:
    cloud.client("lambda").invoke(FunctionName="publisher", Payload=json.dumps({"queue": queue, "backlog": backlog}).encode())


def alarm(cloud: LocalCloud, queue: str, policy: str) -> None:
    cloud.client("cloudwatch").put_metric_alarm(
        AlarmName=f"a-{uuid.uuid4().hex[:8]}",
        Namespace="spotbatch",
        MetricName="Backlog",
        Dimensions=[{"Name": "Queue", "Value": queue}],
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=2,
        Threshold=0,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        AlarmActions=[policy],
    )


def test_a_fleet_follows_the_backlog_of_its_own_queue_up_and_down_and_keeps_still_without_one(fast: LocalCloud):
    fleet = request_fleet(fast, fleet_config(make_template(fast), [("m5.xlarge", "a")]))
    scaling = fast.client("application-autoscaling")
    resource = {**FLEET, "ResourceId": f"spot-fleet-request/{fleet}"}
    scaling.register_scalable_target(MinCapacity=0, MaxCapacity=4, **resource)
    policy = scaling.put_scaling_policy(PolicyName="p", PolicyType="StepScaling", StepScalingPolicyConfiguration=LADDER, **resource)
    alarm(fast, "ours", policy["PolicyARN"])
    publish(fast, "theirs", 3)
    assert eventually(lambda: len(members(fast, fleet)) != 1, seconds=1.5) is False
    publish(fast, "ours", 100)
    assert eventually(lambda: len(members(fast, fleet)) == 4), "the ladder says 10, the bound 4"
    assert eventually(lambda: len(members(fast, fleet)) != 4, seconds=2) is False, "no data: capacity stays"
    publish(fast, "ours", 0)
    assert eventually(lambda: not members(fast, fleet))
    assert [record["capacity"] for record in fast.market.history() if record["what"] == "scaling"] == [4, 0]


def test_a_group_follows_it_too(fast: LocalCloud):
    scaling, name = fast.client("autoscaling"), "group"
    template = make_template(fast)
    scaling.create_auto_scaling_group(
        AutoScalingGroupName=name,
        MinSize=0,
        MaxSize=6,
        AvailabilityZones=["us-east-1a"],
        MixedInstancesPolicy={"LaunchTemplate": {"LaunchTemplateSpecification": template, "Overrides": [{"InstanceType": "c5.xlarge"}]}},
    )
    policy = {"AutoScalingGroupName": name, "PolicyName": "steps", "PolicyType": "StepScaling", **LADDER}
    arn = scaling.put_scaling_policy(**policy)["PolicyARN"]
    assert scaling.put_scaling_policy(**policy)["PolicyARN"] == arn
    alarm(fast, "group", arn)
    publish(fast, "group", 2)
    assert eventually(lambda: len(members(fast, name)) == 4)
    publish(fast, "group", 0)
    assert eventually(lambda: not members(fast, name))
