"""Scaling policies of Auto Scaling groups."""

import uuid
from collections.abc import Callable
from typing import Any

from lab.cloud.market import emulator
from lab.cloud.market.query import Refusal
from lab.cloud.market.step_scaling import step


class GroupPolicies:
    """Keeps step and simple policies, and carries them out. `capacity_of` raises Refusal for a group that is not there.

    MiniStack has policies too, but gives each change a new ARN, which no alarm would know.
    Does not prove: cooldowns, warm-up, target tracking, predictive scaling.
    """

    def __init__(self, capacity_of: Callable[[str], int], set_capacity: Callable[[str, int], None]) -> None:
        self._capacity_of = capacity_of
        self._set_capacity = set_capacity
        self._policies: dict[tuple[str, str], dict[str, Any]] = {}

    def serve(self) -> None:
        """Take over the actions from MiniStack."""
        emulator.serve("autoscaling", "PutScalingPolicy", self._put)
        emulator.serve("autoscaling", "DescribePolicies", self._describe)
        emulator.serve("autoscaling", "DeletePolicy", self._delete)

    def policy(self, arn: str) -> dict[str, Any] | None:
        """A policy by its ARN, as an alarm's action names it."""
        return next((one for one in self._policies.values() if one["PolicyARN"] == arn), None)

    def apply(self, policy: dict[str, Any], breach: float) -> int | None:
        """Carry out a policy for a metric that lies `breach` above its alarm's threshold; the new capacity, None if it stays."""
        group = policy["AutoScalingGroupName"]
        now = self._capacity_of(group)
        simple = {**policy, "StepAdjustments": [{"ScalingAdjustment": policy.get("ScalingAdjustment", 0)}]}
        wanted = step(simple if policy["PolicyType"] == "SimpleScaling" else policy, now, breach)
        if wanted is None:
            return None
        self._set_capacity(group, wanted)
        capacity = self._capacity_of(group)
        return capacity if capacity != now else None

    def forget(self, group: str) -> None:
        """The group has been deleted, and its policies with it."""
        self._policies = {key: one for key, one in self._policies.items() if key[0] != group}

    def _put(self, request: dict[str, Any]) -> dict[str, Any]:
        group, name = request["AutoScalingGroupName"], request["PolicyName"]
        self._capacity_of(group)
        kind = request.get("PolicyType", "SimpleScaling")
        if kind == "StepScaling" and not request.get("StepAdjustments"):
            raise Refusal("ValidationError", "At least one StepAdjustment must be specified for policy type StepScaling.")
        if kind != "TargetTrackingScaling" and not request.get("AdjustmentType"):
            raise Refusal("ValidationError", f"AdjustmentType must be specified for policy type {kind}.")
        account, region = emulator.scope()
        arn = f"arn:aws:autoscaling:{region}:{account}:scalingPolicy:{uuid.uuid4()}:autoScalingGroupName/{group}:policyName/{name}"
        known = self._policies.get((group, name), {}).get("PolicyARN", arn)
        self._policies[group, name] = {"Enabled": True, "Alarms": [], **request, "PolicyType": kind, "PolicyARN": known}
        return {"PolicyARN": known, "Alarms": []}

    def _describe(self, request: dict[str, Any]) -> dict[str, Any]:
        group, names = request.get("AutoScalingGroupName"), request.get("PolicyNames")
        found = [one for one in self._policies.values() if group in (None, one["AutoScalingGroupName"])]
        return {"ScalingPolicies": [one for one in found if not names or one["PolicyName"] in names or one["PolicyARN"] in names]}

    def _delete(self, request: dict[str, Any]) -> dict[str, Any]:
        for key, one in list(self._policies.items()):
            if request["PolicyName"] in (one["PolicyName"], one["PolicyARN"]) and request.get("AutoScalingGroupName") in (None, key[0]):
                del self._policies[key]
                return {}
        raise Refusal("ValidationError", f"ScalingPolicy name not found - No policy {request['PolicyName']}")
