"""Turns what a component declares into the AWS API request it stands for, and has botocore judge that.

Names come from botocore's own shapes. What the provider renames is written down here, a line each.
"""

import re
from collections.abc import Mapping
from typing import Any

import botocore.session
from botocore.validate import ParamValidator

_SESSION = botocore.session.get_session()


def request_faults(service: str, operation: str, request: Mapping[str, Any]) -> list[str]:
    """What is wrong with a request: missing or unknown members, kinds, lengths, ranges, enums, patterns. Empty: sound."""
    shape = _SESSION.get_service_model(service).operation_model(operation).input_shape
    report = ParamValidator().validate(request, shape)
    return [*([report.generate_report()] if report.has_errors() else []), *_misspelt(request, shape, operation)]


def spot_fleet_request(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """RequestSpotFleet as the provider sends it for a SpotFleetRequest."""
    inputs = dict(inputs)
    assert inputs.pop("terminateInstancesOnDelete") == "true"
    tags = [{"Key": key, "Value": value} for key, value in inputs.pop("tags").items()]
    config = _named(inputs, _shape("ec2", "SpotFleetRequestConfigData"), {"fleetType": "Type", "id": "LaunchTemplateId"})
    return {"SpotFleetRequestConfig": {**config, "TagSpecifications": [{"ResourceType": "spot-fleet-request", "Tags": tags}]}}


def auto_scaling_group_request(inputs: Mapping[str, Any], name: str = "group") -> dict[str, Any]:
    """CreateAutoScalingGroup as the provider sends it for a Group (the rest it does by other calls)."""
    inputs = dict(inputs)
    assert inputs.pop("suspendedProcesses") == ["AZRebalance"]
    assert inputs.pop("waitForCapacityTimeout") == "0"
    inputs.pop("instanceRefresh")
    zones = ",".join(inputs.pop("vpcZoneIdentifiers"))
    return {"AutoScalingGroupName": name, "VPCZoneIdentifier": zones, **plain_request("autoscaling", "CreateAutoScalingGroup", inputs)}


def experiment_template_request(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """CreateExperimentTemplate as the provider sends it for an ExperimentTemplate."""
    inputs = dict(inputs)
    targets = {
        target["name"]: {
            "resourceType": target["resourceType"],
            "resourceTags": {tag["key"]: tag["value"] for tag in target["resourceTags"]},
            "filters": target["filters"],
            "selectionMode": target["selectionMode"],
        }
        for target in inputs.pop("targets")
    }
    actions = {
        action["name"]: {
            "actionId": action["actionId"],
            "parameters": {parameter["key"]: parameter["value"] for parameter in action["parameters"]},
            "targets": {action["target"]["key"]: action["target"]["value"]},
        }
        for action in inputs.pop("actions")
    }
    log = inputs.pop("logConfiguration", None)
    if log:
        inputs["logConfiguration"] = {
            "logSchemaVersion": int(log["logSchemaVersion"]),
            "cloudWatchLogsConfiguration": log["cloudwatchLogsConfiguration"],
        }
    return {"clientToken": "token", "targets": targets, "actions": actions, **inputs}


def plain_request(service: str, operation: str, inputs: Mapping[str, Any], **renamed: str) -> dict[str, Any]:
    """A request whose members have the property's name in their own capitals, but for those `renamed`."""
    return _named(inputs, _input(service, operation), renamed)


def _input(service: str, operation: str) -> Any:
    return _SESSION.get_service_model(service).operation_model(operation).input_shape


def _shape(service: str, name: str) -> Any:
    return _SESSION.get_service_model(service).shape_for(name)


def _named(value: Any, shape: Any, renamed: Mapping[str, str]) -> Any:
    """The value with the shape's member names and number kinds."""
    if shape is None:
        return value
    if shape.type_name == "structure" and isinstance(value, Mapping):
        named = {}
        for key, entry in value.items():
            member = renamed.get(key) or next((name for name in shape.members if name.lower() == key.lower()), key)
            named[member] = _named(entry, shape.members.get(member), renamed)
        return named
    if shape.type_name == "list" and isinstance(value, list):
        return [_named(entry, shape.member, renamed) for entry in value]
    if shape.type_name == "list" and isinstance(value, Mapping):
        return [{"Key": key, "Value": entry} for key, entry in value.items()]
    if shape.type_name in ("integer", "long") and isinstance(value, float) and value.is_integer():
        return int(value)
    if shape.type_name in ("double", "float") and isinstance(value, str):
        return float(value)
    return value


def _misspelt(value: Any, shape: Any, where: str) -> list[str]:
    """Values outside an enum or against a pattern, which botocore leaves to the service."""
    if shape.type_name == "structure" and isinstance(value, Mapping):
        return [fault for key, entry in value.items() if key in shape.members for fault in _misspelt(entry, shape.members[key], f"{where}.{key}")]
    if shape.type_name == "map" and isinstance(value, Mapping):
        return [fault for key, entry in value.items() for fault in _misspelt(entry, shape.value, f"{where}[{key}]")]
    if shape.type_name == "list" and isinstance(value, list):
        return [fault for index, entry in enumerate(value) for fault in _misspelt(entry, shape.member, f"{where}[{index}]")]
    if isinstance(value, str) and getattr(shape, "enum", None) and value not in shape.enum:
        return [f"{where}: {value!r} is none of {', '.join(shape.enum[:8])}"]
    pattern = shape.metadata.get("pattern", "")
    # Patterns over code points are written for Java, and say only "no control characters".
    if isinstance(value, str) and pattern and "\\u" not in pattern and "\\p" not in pattern and not re.fullmatch(pattern, value):
        return [f"{where}: {value!r} does not match {pattern}"]
    return []
