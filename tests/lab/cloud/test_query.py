"""Botocore's own serializer and parser are the judges: what they send we read, what we write they read."""

from typing import Any
from urllib.parse import parse_qs, urlencode

import botocore.parsers
import botocore.serialize
import botocore.session
import pytest

from lab.cloud.market.query import QueryService, Refusal


def sent(service: str, action: str, members: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a request as they reach a server."""
    model: Any = botocore.session.get_session().get_service_model(service)
    serializer = botocore.serialize.create_serializer(model.metadata["protocol"])
    body = serializer.serialize_to_request(members, model.operation_model(action))["body"]
    return parse_qs(urlencode(body), keep_blank_values=True)


def received(service: str, action: str, inside: str) -> dict[str, Any]:
    """What a client makes of our reply."""
    model: Any = botocore.session.get_session().get_service_model(service)
    reply = {"status_code": 200, "headers": {}, "body": f"<{action}Response>{inside}</{action}Response>".encode()}
    parsed = botocore.parsers.create_parser(model.metadata["protocol"]).parse(reply, model.operation_model(action).output_shape)
    parsed.pop("ResponseMetadata", None)
    return parsed


FLEET = {
    "SpotFleetRequestConfig": {
        "IamFleetRole": "arn:aws:iam::1:role/r",
        "TargetCapacity": 10,
        "AllocationStrategy": "capacityOptimized",
        "TerminateInstancesWithExpiration": True,
        "LaunchTemplateConfigs": [
            {
                "LaunchTemplateSpecification": {"LaunchTemplateId": "lt-1", "Version": "3"},
                "Overrides": [{"InstanceType": "m5.xlarge", "SubnetId": "subnet-1", "WeightedCapacity": 1.5}, {"InstanceType": "c5.xlarge"}],
            }
        ],
        "TagSpecifications": [{"ResourceType": "spot-fleet-request", "Tags": [{"Key": "k", "Value": "a & b <c>"}]}],
    }
}
GROUP = {
    "AutoScalingGroupName": "g",
    "MinSize": 0,
    "MaxSize": 4,
    "AvailabilityZones": ["us-east-1a", "us-east-1b"],
    "NewInstancesProtectedFromScaleIn": False,
    "MixedInstancesPolicy": {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": {"LaunchTemplateId": "lt-1"},
            "Overrides": [{"InstanceType": "m5.xlarge", "WeightedCapacity": "2"}],
        },
        "InstancesDistribution": {"OnDemandPercentageAboveBaseCapacity": 0},
    },
    "Tags": [{"Key": "k", "Value": "v", "PropagateAtLaunch": True}],
}


@pytest.mark.parametrize(
    ("service", "action", "members"),
    [
        ("ec2", "RequestSpotFleet", FLEET),
        ("ec2", "CancelSpotFleetRequests", {"SpotFleetRequestIds": ["sfr-1", "sfr-2"], "TerminateInstances": True}),
        ("ec2", "TerminateInstances", {"InstanceIds": ["i-1", "i-2"]}),
        ("ec2", "DescribeSpotInstanceRequests", {"Filters": [{"Name": "status-code", "Values": ["fulfilled"]}]}),
        ("autoscaling", "CreateAutoScalingGroup", GROUP),
        ("autoscaling", "DetachInstances", {"AutoScalingGroupName": "g", "InstanceIds": ["i-1"], "ShouldDecrementDesiredCapacity": False}),
    ],
)
def test_what_a_client_sends_is_read_back_whole(service: str, action: str, members: dict[str, Any]):
    assert QueryService(service).read(action, sent(service, action, members)) == members


@pytest.mark.parametrize(
    ("service", "action", "result"),
    [
        (
            "ec2",
            "CancelSpotFleetRequests",
            {"SuccessfulFleetRequests": [{"SpotFleetRequestId": "sfr-1", "CurrentSpotFleetRequestState": "cancelled"}]},
        ),
        (
            "ec2",
            "DescribeSpotFleetRequests",
            {"SpotFleetRequestConfigs": [{"SpotFleetRequestId": "sfr-1", **FLEET, "Tags": [{"Key": "<", "Value": "&"}]}]},
        ),
        ("ec2", "ModifySpotFleetRequest", {"Return": True}),
        ("autoscaling", "DescribeAutoScalingInstances", {"AutoScalingInstances": [{"InstanceId": "i-1", "ProtectedFromScaleIn": False}]}),
        ("autoscaling", "StartInstanceRefresh", {"InstanceRefreshId": "r-1"}),
    ],
)
def test_what_is_written_reaches_the_client_whole(service: str, action: str, result: dict[str, Any]):
    assert received(service, action, QueryService(service).write(action, result)) == result


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({}, "MissingParameter: The request must contain the parameter spotFleetRequestConfig"),
        ({"SpotFleetRequestConfig.TargetCapacity": "1"}, "MissingParameter: The request must contain the parameter iamFleetRole"),
        (
            {"SpotFleetRequestConfig.TargetCapacity": "ten"},
            r"InvalidParameterValue: Value \(ten\) for parameter SpotFleetRequestConfig.TargetCapacity",
        ),
        ({"SpotFleetRequestConfig.Type": "forever"}, r"Value \(forever\) .* Valid values are: request, maintain, instant"),
    ],
)
def test_what_cannot_be_a_request_is_refused_by_name_and_value(parameters: dict[str, str], said: str):
    with pytest.raises(Refusal, match=said):
        QueryService("ec2").read("RequestSpotFleet", parameters)
