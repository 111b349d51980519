"""Application Auto Scaling: who may set a Spot Fleet's capacity, between which bounds, and by which policy."""

import time
import uuid
from collections.abc import Callable
from typing import Any

from lab.cloud.market import emulator
from lab.cloud.market.json_service import JsonService
from lab.cloud.market.query import Refusal
from lab.cloud.market.step_scaling import step

DIMENSION = "ec2:spot-fleet-request:TargetCapacity"
Key = tuple[str, str]


class ScalableTargets:
    """Keeps targets and policies, and carries out a step policy when an alarm's value is handed to `apply`.

    `capacity_of` and `set_capacity` reach the fleet by its request id. Registering a target moves a capacity that is out of bounds into them.
    Does not prove: cooldowns, target tracking, scheduled actions.
    """

    def __init__(self, capacity_of: Callable[[str], int], set_capacity: Callable[[str, int], None]) -> None:
        self._capacity_of = capacity_of
        self._set_capacity = set_capacity
        self._targets: dict[Key, dict[str, Any]] = {}
        self._policies: dict[str, dict[str, Any]] = {}
        self._tags: dict[str, dict[str, str]] = {}
        self.service = JsonService(
            "application-autoscaling",
            {
                "RegisterScalableTarget": self._register,
                "DescribeScalableTargets": self._describe_targets,
                "DeregisterScalableTarget": self._deregister,
                "PutScalingPolicy": self._put_policy,
                "DescribeScalingPolicies": self._describe_policies,
                "DeleteScalingPolicy": self._delete_policy,
                "DescribeScalingActivities": lambda _: {"ScalingActivities": []},
                "DescribeScheduledActions": lambda _: {"ScheduledActions": []},
                "TagResource": self._tag,
                "UntagResource": self._untag,
                "ListTagsForResource": lambda request: {"Tags": self._tags.get(request["ResourceARN"], {})},
            },
        )

    def policy(self, arn: str) -> dict[str, Any] | None:
        """A step policy by its ARN, as an alarm's action names it."""
        return next((one for one in self._policies.values() if one["PolicyARN"] == arn), None)

    def apply(self, policy: dict[str, Any], breach: float) -> int | None:
        """Carry out a step policy for a metric that lies `breach` above its alarm's threshold; the new capacity, None if it stays."""
        target = self._targets.get((policy["ResourceId"], policy["ScalableDimension"]))
        configuration = policy.get("StepScalingPolicyConfiguration")
        if target is None or configuration is None:
            return None
        fleet_id = policy["ResourceId"].partition("/")[2]
        now = self._capacity_of(fleet_id)
        wanted = step(configuration, now, breach)
        if wanted is None:
            return None
        capacity = max(target["MinCapacity"], min(target["MaxCapacity"], wanted))
        if capacity == now:
            return None
        self._set_capacity(fleet_id, capacity)
        return capacity

    def _register(self, request: dict[str, Any]) -> dict[str, Any]:
        key = self._key(request)
        known = self._targets.get(key)
        merged = {**(known or {}), **{name: value for name, value in request.items() if name != "Tags"}}
        for name in ("MinCapacity", "MaxCapacity"):
            if name not in merged:
                raise Refusal("ValidationException", f"{name} is required to register a new scalable target.")
        if merged["MinCapacity"] > merged["MaxCapacity"]:
            raise Refusal("ValidationException", "Maximum capacity cannot be less than minimum capacity.")
        capacity = self._capacity_of(key[0].partition("/")[2])
        account, region = emulator.scope()
        merged.setdefault("ScalableTargetARN", f"arn:aws:application-autoscaling:{region}:{account}:scalable-target/{uuid.uuid4().hex[:24]}")
        merged.setdefault("CreationTime", time.time())
        merged.setdefault(
            "RoleARN",
            f"arn:aws:iam::{account}:role/aws-service-role/ec2.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_EC2SpotFleetRequest",
        )
        merged.setdefault(
            "SuspendedState", {"DynamicScalingInSuspended": False, "DynamicScalingOutSuspended": False, "ScheduledScalingSuspended": False}
        )
        self._targets[key] = merged
        self._tags.setdefault(merged["ScalableTargetARN"], {}).update(request.get("Tags", {}))
        within = max(merged["MinCapacity"], min(merged["MaxCapacity"], capacity))
        if within != capacity:
            self._set_capacity(key[0].partition("/")[2], within)
        return {"ScalableTargetARN": merged["ScalableTargetARN"]}

    def _key(self, request: dict[str, Any]) -> Key:
        if request["ServiceNamespace"] != "ec2" or request["ScalableDimension"] != DIMENSION:
            raise Refusal(
                "ValidationException",
                f"The lab scales {DIMENSION} of namespace ec2 only, not {request['ScalableDimension']} of {request['ServiceNamespace']}.",
            )
        if not request["ResourceId"].startswith("spot-fleet-request/sfr-"):
            raise Refusal(
                "ValidationException", f"Unsupported resource ID: {request['ResourceId']}. A Spot Fleet is named spot-fleet-request/sfr-..."
            )
        return request["ResourceId"], request["ScalableDimension"]

    def _describe_targets(self, request: dict[str, Any]) -> dict[str, Any]:
        wanted = request.get("ResourceIds")
        return {"ScalableTargets": [one for (resource, _), one in self._targets.items() if not wanted or resource in wanted]}

    def _deregister(self, request: dict[str, Any]) -> dict[str, Any]:
        key = self._key(request)
        if self._targets.pop(key, None) is None:
            raise Refusal(
                "ObjectNotFoundException", f"No scalable target found for service namespace: ec2, resource ID: {key[0]}, scalable dimension: {key[1]}"
            )
        self._policies = {name: one for name, one in self._policies.items() if one["ResourceId"] != key[0]}
        return {}

    def _put_policy(self, request: dict[str, Any]) -> dict[str, Any]:
        key = self._key(request)
        if key not in self._targets:
            raise Refusal(
                "ObjectNotFoundException",
                f"No scalable target registered for service namespace: ec2, resource ID: {key[0]}, scalable dimension: {key[1]}",
            )
        name = f"{request['PolicyName']}/{key[0]}"
        account, region = emulator.scope()
        arn = f"arn:aws:autoscaling:{region}:{account}:scalingPolicy:{uuid.uuid4()}:resource/ec2/{key[0]}:policyName/{request['PolicyName']}"
        known = self._policies.get(name, {"PolicyARN": arn, "CreationTime": time.time(), "Alarms": []})
        self._policies[name] = {**known, "PolicyType": "StepScaling", **request}
        return {"PolicyARN": known["PolicyARN"], "Alarms": []}

    def _describe_policies(self, request: dict[str, Any]) -> dict[str, Any]:
        names, resource = request.get("PolicyNames"), request.get("ResourceId")
        found = [one for one in self._policies.values() if (not names or one["PolicyName"] in names) and resource in (None, one["ResourceId"])]
        return {"ScalingPolicies": found}

    def _delete_policy(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._policies.pop(f"{request['PolicyName']}/{request['ResourceId']}", None) is None:
            raise Refusal(
                "ObjectNotFoundException",
                f"No scaling policy found for service namespace: ec2, resource ID: {request['ResourceId']}, policy name: {request['PolicyName']}",
            )
        return {}

    def _tag(self, request: dict[str, Any]) -> dict[str, Any]:
        self._tags.setdefault(request["ResourceARN"], {}).update(request["Tags"])
        return {}

    def _untag(self, request: dict[str, Any]) -> dict[str, Any]:
        for key in request["TagKeys"]:
            self._tags.get(request["ResourceARN"], {}).pop(key, None)
        return {}
