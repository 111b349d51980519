"""Fleets to play with, through the API that users have: boto3."""

import base64
import json
import time
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

from lab.cloud import LocalCloud, MarketMachine

T = TypeVar("T")


def eventually(question: Callable[[], T], seconds: float = 15.0) -> T:
    """The first answer that is true; the last one when time is up, so that an assert can show it."""
    until = time.monotonic() + seconds
    while not (answer := question()) and time.monotonic() < until:
        time.sleep(0.05)
    return answer


def make_template(cloud: LocalCloud, script: str = "#!/bin/bash\n", **data: Any) -> dict[str, str]:
    """A launch template specification whose machines run `script`."""
    made = cloud.client("ec2").create_launch_template(
        LaunchTemplateName=f"t-{uuid.uuid4().hex[:8]}",
        LaunchTemplateData={"ImageId": "ami-1", "UserData": base64.b64encode(script.encode()).decode(), **data},
    )
    return {"LaunchTemplateId": made["LaunchTemplate"]["LaunchTemplateId"], "Version": "1"}


def fleet_config(
    template: dict[str, str], pools: list[tuple[str, str]], target: int = 1, weights: dict[str, float] | None = None, **more: Any
) -> dict[str, Any]:
    """A Spot Fleet request over (type, zone letter) pools, otherwise with AWS's defaults and capacityOptimized."""
    overrides = [{"InstanceType": kind, "AvailabilityZone": f"us-east-1{zone}"} for kind, zone in pools]
    for override in overrides:
        if weights:
            override["WeightedCapacity"] = weights[override["InstanceType"]]  # type: ignore[assignment]
    return {
        "IamFleetRole": "arn:aws:iam::000000000000:role/fleet",
        "AllocationStrategy": "capacityOptimized",
        "TargetCapacity": target,
        "LaunchTemplateConfigs": [{"LaunchTemplateSpecification": template, "Overrides": overrides}],
        **more,
    }


def request_fleet(cloud: LocalCloud, config: dict[str, Any]) -> str:
    """Request it and wait until it is as large as it wanted to be."""
    fleet = cloud.client("ec2").request_spot_fleet(SpotFleetRequestConfig=config)["SpotFleetRequestId"]
    assert eventually(lambda: describe_fleet(cloud, fleet).get("ActivityStatus") == "fulfilled"), describe_fleet(cloud, fleet)
    return fleet


def describe_fleet(cloud: LocalCloud, fleet: str) -> dict[str, Any]:
    return cloud.client("ec2").describe_spot_fleet_requests(SpotFleetRequestIds=[fleet])["SpotFleetRequestConfigs"][0]


def members(cloud: LocalCloud, owner: str) -> list[MarketMachine]:
    """Living machines of a fleet or group, oldest first."""
    return [one for one in cloud.market.living() if one.owner == owner]


def machine(cloud: LocalCloud, machine_id: str) -> MarketMachine:
    return next(one for one in cloud.market.machines() if one.id == machine_id)


def listen(cloud: LocalCloud, pattern: dict[str, Any]) -> Callable[[], list[dict[str, Any]]]:
    """A rule with a queue behind it; the function returns every event received so far, in order of arrival."""
    sqs, events, name = cloud.client("sqs"), cloud.client("events"), f"r-{uuid.uuid4().hex[:8]}"
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": arn}])
    received: list[dict[str, Any]] = []

    def heard() -> list[dict[str, Any]]:
        while batch := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
            for message in batch:
                received.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return received

    return heard
