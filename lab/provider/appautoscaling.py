"""Application Auto Scaling: capacity of a Spot fleet that follows an alarm."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from lab.provider import shapes
from lab.provider.autoscaling import declared_steps, step_faults
from lab.provider.fault import Fault
from lab.provider.resource import Resource, lost_tags, resource
from lab.provider.wanted import Wanted
from lab.provider.wire import Properties

_SERVICE = "application-autoscaling"
_WHERE = {"serviceNamespace": "ServiceNamespace", "scalableDimension": "ScalableDimension", "resourceId": "ResourceId"}


@resource("appautoscaling/target:Target")
class Target(Resource):
    replaced_by = frozenset(_WHERE)
    outputs = ("arn", "roleArn", "suspendedState")
    shape = (_SERVICE, "RegisterScalableTarget")
    renames: ClassVar[Mapping[str, str]] = {"roleArn": "RoleARN"}

    def create(self, wanted: Properties) -> str:
        tags = {"Tags": wanted["tags"]} if wanted.get("tags") else {}
        self.client(_SERVICE).register_scalable_target(**self._settings(wanted), **tags)
        return wanted["resourceId"]

    def read(self, identity: str, known: Properties) -> Properties | None:
        where = {"ServiceNamespace": known["serviceNamespace"], "ScalableDimension": known["scalableDimension"]}
        found = self.client(_SERVICE).describe_scalable_targets(**where, ResourceIds=[known["resourceId"]])["ScalableTargets"]
        if not found:
            return None
        arn = found[0].get("ScalableTargetARN", "")
        sizes = {"minCapacity": found[0]["MinCapacity"], "maxCapacity": found[0]["MaxCapacity"], "roleArn": found[0].get("RoleARN", "")}
        tags = self.client(_SERVICE).list_tags_for_resource(ResourceARN=arn).get("Tags", {})
        return {**sizes, **{name: known[name] for name in _WHERE}, "arn": arn, "tags": tags}

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        self.client(_SERVICE).register_scalable_target(**self._settings(new))
        found = self.client(_SERVICE).describe_scalable_targets(ServiceNamespace=new["serviceNamespace"], ResourceIds=[new["resourceId"]])
        arn = found["ScalableTargets"][0]["ScalableTargetARN"]
        if lost := lost_tags(old, new):
            self.client(_SERVICE).untag_resource(ResourceARN=arn, TagKeys=lost)
        if new.get("tags"):
            self.client(_SERVICE).tag_resource(ResourceARN=arn, Tags=new["tags"])

    def delete(self, identity: str, known: Properties) -> None:
        self.client(_SERVICE).deregister_scalable_target(**{aws: known[name] for name, aws in _WHERE.items()})

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        low, high = wanted.get("minCapacity"), wanted.get("maxCapacity")
        if low is not None and high is not None and low > high:
            yield Fault.allowed("minCapacity", low, "ValidationException: Maximum capacity cannot be less than minimum capacity", f"0 to {high}")
        for name, value in (("minCapacity", low), ("maxCapacity", high)):
            if value is not None and value < 0:
                yield Fault.allowed(name, value, f"ValidationException: {name} must not be negative", "0 or more")
        yield from _place_faults(wanted)

    def _settings(self, wanted: Properties) -> Properties:
        given = {name: value for name, value in wanted.items() if name != "tags"}
        return shapes.request(given, shapes.input_shape(*self.shape), self.renames)


@resource("appautoscaling/policy:Policy")
class Policy(Resource):
    auto_name = "name"
    replaced_by = frozenset({"name", *_WHERE})
    outputs = ("arn", "alarmArns")
    shape = (_SERVICE, "PutScalingPolicy")
    renames: ClassVar[Mapping[str, str]] = {"name": "PolicyName"}

    def create(self, wanted: Properties) -> str:
        self.update("", {}, wanted)
        return wanted["name"]

    def read(self, identity: str, known: Properties) -> Properties | None:
        found = self.client(_SERVICE).describe_scaling_policies(
            ServiceNamespace=known["serviceNamespace"], PolicyNames=[identity], ResourceId=known["resourceId"]
        )["ScalingPolicies"]
        if not found:
            return None
        policy = found[0]
        shown = {"name": identity, "arn": policy["PolicyARN"], "policyType": policy["PolicyType"], **{name: known[name] for name in _WHERE}}
        if steps := policy.get("StepScalingPolicyConfiguration"):
            names = {"adjustmentType": "AdjustmentType", "cooldown": "Cooldown", "metricAggregationType": "MetricAggregationType"}
            plain = {name: steps.get(aws) for name, aws in names.items()}
            shown["stepScalingPolicyConfiguration"] = {**plain, "stepAdjustments": declared_steps(steps.get("StepAdjustments", []))}
        return {**shown, "alarmArns": [alarm["AlarmARN"] for alarm in policy.get("Alarms", [])]}

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        self.client(_SERVICE).put_scaling_policy(**shapes.request(new, shapes.input_shape(*self.shape), self.renames))

    def delete(self, identity: str, known: Properties) -> None:
        self.client(_SERVICE).delete_scaling_policy(PolicyName=identity, **{aws: known[name] for name, aws in _WHERE.items()})

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        kind = wanted.get("policyType", "StepScaling")
        blocks: Mapping[str, Any] = {
            "StepScaling": "stepScalingPolicyConfiguration",
            "TargetTrackingScaling": "targetTrackingScalingPolicyConfiguration",
        }
        if kind in blocks and wanted.known("policyType") and not wanted.given(blocks[kind]):
            yield Fault(blocks[kind], f"ValidationException: {blocks[kind]} is required for policy type {kind}")
        if steps := wanted.get("stepScalingPolicyConfiguration"):
            yield from step_faults("stepScalingPolicyConfiguration.stepAdjustments", steps.get("stepAdjustments", []))
        yield from _place_faults(wanted)


def _place_faults(wanted: Wanted) -> Iterator[Fault]:
    """A dimension belongs to its namespace, and a resource id has its namespace's form."""
    namespace, dimension, identity = (wanted.get(name, "") for name in _WHERE)
    if namespace and dimension and not dimension.startswith(f"{namespace}:"):
        wording = "ValidationException: Unsupported service namespace, resource type or scalable dimension"
        yield Fault.allowed("scalableDimension", dimension, wording, f"a dimension of {namespace}")
    if namespace == "ec2" and identity and not identity.startswith("spot-fleet-request/sfr-"):
        wording = "ValidationException: Unsupported resource ID"
        yield Fault.allowed("resourceId", identity, wording, "spot-fleet-request/sfr-...")
