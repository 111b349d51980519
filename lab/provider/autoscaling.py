"""EC2 Auto Scaling groups, their hooks and policies."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from lab.provider import shapes
from lab.provider.fault import Fault
from lab.provider.resource import Resource, resource
from lab.provider.wanted import Wanted
from lab.provider.wire import Properties

_DELETE_SECONDS = 600.0
_MOST_TYPES = 40
_PROCESSES = frozenset(
    [
        "Launch",
        "Terminate",
        "AddToLoadBalancer",
        "AlarmNotification",
        "AZRebalance",
        "HealthCheck",
        "InstanceRefresh",
        "ReplaceUnhealthy",
        "ScheduledActions",
    ]
)
_TRANSITIONS = ("autoscaling:EC2_INSTANCE_LAUNCHING", "autoscaling:EC2_INSTANCE_TERMINATING")
_SPOT_STRATEGIES = ("lowest-price", "capacity-optimized", "capacity-optimized-prioritized", "price-capacity-optimized")
_ON_DEMAND_STRATEGIES = ("lowest-price", "prioritized")
_RESULTS = ("CONTINUE", "ABANDON")
_POLICIES = ("SimpleScaling", "StepScaling", "TargetTrackingScaling", "PredictiveScaling")
_ADJUSTMENTS = ("ChangeInCapacity", "ExactCapacity", "PercentChangeInCapacity")
_HOOK_SECONDS = (30, 7_200)
_START = "ValidationError: "


@resource("autoscaling/group:Group")
class Group(Resource):
    auto_name = "name"
    replaced_by = frozenset({"name", "namePrefix"})
    outputs = ("arn", "availabilityZones", "defaultCooldown", "healthCheckType", "predictedCapacity", "serviceLinkedRoleArn", "warmPoolSize")
    shape = ("autoscaling", "CreateAutoScalingGroup")
    renames: ClassVar[Mapping[str, str]] = {
        "name": "AutoScalingGroupName",
        "vpcZoneIdentifiers": "VPCZoneIdentifier",
        "version": "Version",
        "targetGroupArns": "TargetGroupARNs",
        "id": "LaunchTemplateId",
        "protectFromScaleIn": "NewInstancesProtectedFromScaleIn",
        "serviceLinkedRoleArn": "ServiceLinkedRoleARN",
        "initialLifecycleHooks": "LifecycleHookSpecificationList",
    }

    def create(self, wanted: Properties) -> str:
        self.client("autoscaling").create_auto_scaling_group(**self._settings(wanted), Tags=_tags(wanted))
        return wanted["name"]

    def finish(self, identity: str, wanted: Properties) -> None:
        self._suspend(identity, {}, wanted)

    def read(self, identity: str, known: Properties) -> Properties | None:
        groups = self.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[identity])["AutoScalingGroups"]
        if not groups or (groups[0].get("Status") or "").startswith("Delete"):
            return None
        group = groups[0]
        return {
            "name": identity,
            "arn": group["AutoScalingGroupARN"],
            "minSize": group["MinSize"],
            "maxSize": group["MaxSize"],
            "desiredCapacity": group["DesiredCapacity"],
            "availabilityZones": group.get("AvailabilityZones", []),
            "vpcZoneIdentifiers": [subnet for subnet in (group.get("VPCZoneIdentifier") or "").split(",") if subnet],
            "capacityRebalance": group.get("CapacityRebalance", False),
            "protectFromScaleIn": group.get("NewInstancesProtectedFromScaleIn", False),
            "suspendedProcesses": sorted(one["ProcessName"] for one in group.get("SuspendedProcesses", [])),
            "defaultCooldown": group.get("DefaultCooldown", 300),
            "healthCheckType": group.get("HealthCheckType", "EC2"),
            **({"mixedInstancesPolicy": _declared(group["MixedInstancesPolicy"])} if group.get("MixedInstancesPolicy") else {}),
            "tags": [
                {"key": tag["Key"], "value": tag["Value"], "propagateAtLaunch": tag.get("PropagateAtLaunch", False)} for tag in group.get("Tags", [])
            ],
        }

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        before, after = self._settings(old), self._settings(new)
        changed = {name: value for name, value in after.items() if before.get(name) != value or name == "AutoScalingGroupName"}
        if len(changed) > 1:
            self.client("autoscaling").update_auto_scaling_group(**changed)
        self._suspend(identity, old, new)
        gone = [tag for tag in _tags(old) if tag["Key"] not in {one["Key"] for one in _tags(new)}]
        if gone:
            self.client("autoscaling").delete_tags(Tags=[{name: tag[name] for name in ("Key", "ResourceId", "ResourceType")} for tag in gone])
        if _tags(new):
            self.client("autoscaling").create_or_update_tags(Tags=_tags(new))
        if "MixedInstancesPolicy" in changed or "LaunchTemplate" in changed:
            self._roll(identity, new)

    def delete(self, identity: str, known: Properties) -> None:
        self.client("autoscaling").update_auto_scaling_group(AutoScalingGroupName=identity, MinSize=0, MaxSize=0, DesiredCapacity=0)
        self.client("autoscaling").delete_auto_scaling_group(AutoScalingGroupName=identity, ForceDelete=bool(known.get("forceDelete")))
        until = time.monotonic() + _DELETE_SECONDS
        while self.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[identity])["AutoScalingGroups"]:
            if time.monotonic() > until:
                raise ValueError(f"group {identity} still has machines after {_DELETE_SECONDS:g} s")
            time.sleep(0.2)

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        yield from _size_faults(wanted)
        templates = [name for name in ("launchTemplate", "mixedInstancesPolicy", "launchConfiguration") if wanted.given(name)]
        if len(templates) != 1:
            wording = (
                f"{_START}Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter."
            )
            yield Fault.allowed(templates[1] if templates else "mixedInstancesPolicy", templates, wording, "one of them")
        if not (wanted.given("vpcZoneIdentifiers") or wanted.given("availabilityZones")):
            yield Fault("vpcZoneIdentifiers", f"{_START}At least one Availability Zone or VPC Subnet is required.")
        for index, process in enumerate(wanted.get("suspendedProcesses", [])):
            if process not in _PROCESSES:
                wording = f"{_START}Invalid scaling process {process}"
                yield Fault.allowed(f"suspendedProcesses[{index}]", process, wording, ", ".join(sorted(_PROCESSES)))
        for index, hook in enumerate(wanted.get("initialLifecycleHooks", [])):
            for fault in _hook_faults(hook):
                yield Fault(f"initialLifecycleHooks[{index}].{fault.path}", fault.reason)
        if isinstance(policy := wanted.get("mixedInstancesPolicy"), Wanted):
            yield from _distribution_faults(policy.get("instancesDistribution"))
            yield from _mixed_faults(policy.get("launchTemplate"), self)

    def _settings(self, wanted: Properties) -> Properties:
        given = {name: value for name, value in wanted.items() if name not in ("tags", "vpcZoneIdentifiers", "instanceRefresh", "region")}
        settings = shapes.request(given, shapes.input_shape(*self.shape), self.renames)
        if subnets := wanted.get("vpcZoneIdentifiers"):
            settings["VPCZoneIdentifier"] = ",".join(subnets)
        return settings

    def _suspend(self, identity: str, old: Properties, new: Properties) -> None:
        before, after = set(old.get("suspendedProcesses", [])), set(new.get("suspendedProcesses", []))
        if after - before:
            self.client("autoscaling").suspend_processes(AutoScalingGroupName=identity, ScalingProcesses=sorted(after - before))
        if before - after:
            self.client("autoscaling").resume_processes(AutoScalingGroupName=identity, ScalingProcesses=sorted(before - after))

    def _roll(self, identity: str, new: Properties) -> None:
        """What the provider does after a change of the template: start an instance refresh, where one is declared."""
        refresh = new.get("instanceRefresh")
        if refresh:
            given = {"strategy": refresh["strategy"], "preferences": refresh.get("preferences") or {}}
            shape = shapes.input_shape("autoscaling", "StartInstanceRefresh")
            self.client("autoscaling").start_instance_refresh(AutoScalingGroupName=identity, **shapes.request(given, shape))


@resource("autoscaling/lifecycleHook:LifecycleHook")
class LifecycleHook(Resource):
    auto_name = "name"
    replaced_by = frozenset({"name", "autoscalingGroupName"})
    shape = ("autoscaling", "PutLifecycleHook")
    renames: ClassVar[Mapping[str, str]] = {
        "name": "LifecycleHookName",
        "autoscalingGroupName": "AutoScalingGroupName",
        "notificationTargetArn": "NotificationTargetARN",
        "roleArn": "RoleARN",
    }

    def create(self, wanted: Properties) -> str:
        self.update("", {}, wanted)
        return wanted["name"]

    def read(self, identity: str, known: Properties) -> Properties | None:
        group = known["autoscalingGroupName"]
        hooks = self.client("autoscaling").describe_lifecycle_hooks(AutoScalingGroupName=group, LifecycleHookNames=[identity])["LifecycleHooks"]
        if not hooks:
            return None
        hook = hooks[0]
        return {
            "name": identity,
            "autoscalingGroupName": group,
            "lifecycleTransition": hook["LifecycleTransition"],
            "heartbeatTimeout": hook.get("HeartbeatTimeout", 3600),
            "defaultResult": hook.get("DefaultResult", "ABANDON"),
        }

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        self.client("autoscaling").put_lifecycle_hook(**shapes.request(new, shapes.input_shape(*self.shape), self.renames))

    def delete(self, identity: str, known: Properties) -> None:
        self.client("autoscaling").delete_lifecycle_hook(LifecycleHookName=identity, AutoScalingGroupName=known["autoscalingGroupName"])

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        yield from _hook_faults(wanted)


@resource("autoscaling/policy:Policy")
class Policy(Resource):
    auto_name = "name"
    replaced_by = frozenset({"name", "autoscalingGroupName"})
    outputs = ("arn", "metricAggregationType")
    shape = ("autoscaling", "PutScalingPolicy")
    renames: ClassVar[Mapping[str, str]] = {"name": "PolicyName", "autoscalingGroupName": "AutoScalingGroupName"}

    def create(self, wanted: Properties) -> str:
        self.update("", {}, wanted)
        return wanted["name"]

    def read(self, identity: str, known: Properties) -> Properties | None:
        group = known["autoscalingGroupName"]
        found = self.client("autoscaling").describe_policies(AutoScalingGroupName=group, PolicyNames=[identity])["ScalingPolicies"]
        if not found:
            return None
        policy = found[0]
        return {
            "name": identity,
            "arn": policy["PolicyARN"],
            "autoscalingGroupName": group,
            "policyType": policy.get("PolicyType", "SimpleScaling"),
            "adjustmentType": policy.get("AdjustmentType"),
            "metricAggregationType": policy.get("MetricAggregationType") or known.get("metricAggregationType", "Average"),
            "estimatedInstanceWarmup": policy.get("EstimatedInstanceWarmup") or known.get("estimatedInstanceWarmup"),
            **({"stepAdjustments": declared_steps(policy["StepAdjustments"])} if policy.get("StepAdjustments") else {}),
        }

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        settings = shapes.request(new, shapes.input_shape(*self.shape), self.renames)
        self.client("autoscaling").put_scaling_policy(**{"PolicyType": "SimpleScaling", **settings})

    def delete(self, identity: str, known: Properties) -> None:
        self.client("autoscaling").delete_policy(AutoScalingGroupName=known["autoscalingGroupName"], PolicyName=identity)

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        kind, adjustment = wanted.get("policyType", "SimpleScaling"), wanted.get("adjustmentType")
        if kind not in _POLICIES:
            yield Fault.allowed("policyType", kind, f"{_START}PolicyType must be one of", ", ".join(_POLICIES))
        if adjustment is not None and adjustment not in _ADJUSTMENTS:
            yield Fault.allowed("adjustmentType", adjustment, f"{_START}AdjustmentType must be one of", ", ".join(_ADJUSTMENTS))
        if kind == "StepScaling":
            if not wanted.given("adjustmentType"):
                yield Fault("adjustmentType", f"{_START}You must specify an AdjustmentType for policy type: StepScaling")
            if not wanted.given("stepAdjustments"):
                yield Fault("stepAdjustments", f"{_START}You must specify at least one StepAdjustment for policy type: StepScaling")
            yield from step_faults("stepAdjustments", wanted.get("stepAdjustments", []))
            if wanted.given("scalingAdjustment"):
                yield Fault("scalingAdjustment", f"{_START}ScalingAdjustment is not supported for policy type: StepScaling")
        if kind == "SimpleScaling" and wanted.known("policyType") and wanted.given("stepAdjustments"):
            yield Fault("stepAdjustments", f"{_START}StepAdjustments are not supported for policy type: SimpleScaling")


def step_faults(path: str, steps: Sequence[Mapping[str, Any]]) -> Iterator[Fault]:
    """Steps that overlap or leave a gap, which AWS refuses both. Bounds are texts or numbers, an open end is left out."""
    wording = f"{_START}Step adjustment intervals must be adjacent: no gap, no overlap"
    bounds = [(_bound(step, "metricIntervalLowerBound", "-inf"), _bound(step, "metricIntervalUpperBound", "inf")) for step in steps]
    for index, (low, high) in enumerate(bounds):
        if low is not None and high is not None and low >= high:
            yield Fault.allowed(f"{path}[{index}]", f"{low:g} to {high:g}", f"{_START}The lower bound of a step must be less than its upper bound")
    known = sorted((low, high) for low, high in bounds if low is not None and high is not None)
    if len(known) == len(bounds):
        for (_, end), (start, _) in pairwise(known):
            if end != start:
                yield Fault.allowed(path, f"one ends at {end:g}, the next starts at {start:g}", wording, "each step starts where another ends")


def declared_steps(steps: Sequence[Mapping[str, Any]]) -> list[Properties]:
    names = {"metricIntervalLowerBound": "MetricIntervalLowerBound", "metricIntervalUpperBound": "MetricIntervalUpperBound"}
    return [
        {
            "scalingAdjustment": step["ScalingAdjustment"],
            **{name: f"{float(step[aws]):g}" for name, aws in names.items() if step.get(aws) is not None},
        }
        for step in steps
    ]


def _bound(step: Mapping[str, Any], name: str, open_end: str) -> float | None:
    if isinstance(step, Wanted) and not step.known(name):
        return None
    return float(step.get(name) or open_end if step.get(name) != 0 else 0)


def _size_faults(wanted: Wanted) -> Iterator[Fault]:
    low, high, desired = wanted.get("minSize"), wanted.get("maxSize"), wanted.get("desiredCapacity")
    for name, size in (("minSize", low), ("maxSize", high), ("desiredCapacity", desired)):
        if size is not None and size < 0:
            yield Fault.allowed(name, size, f"{_START}{name} must not be negative", "0 or more")
    least, most = low if low is not None else 0, high if high is not None else math.inf
    if least > most:
        yield Fault.allowed("minSize", low, f"{_START}Max bound, {high}, must be greater than or equal to min bound, {low}", f"0 to {high}")
    elif desired is not None and not least <= desired <= most:
        wording = f"{_START}Desired capacity:{desired} must be between the specified min size:{low} and max size:{high}"
        yield Fault.allowed("desiredCapacity", desired, wording, f"{low} to {high}")


def _hook_faults(hook: Wanted) -> Iterator[Fault]:
    transition, result, seconds = hook.get("lifecycleTransition", _TRANSITIONS[0]), hook.get("defaultResult", "ABANDON"), hook.get("heartbeatTimeout")
    if transition not in _TRANSITIONS:
        yield Fault.allowed("lifecycleTransition", transition, f"{_START}Lifecycle transition is not valid", ", ".join(_TRANSITIONS))
    if result not in _RESULTS:
        yield Fault.allowed("defaultResult", result, f"{_START}Default result must be one of CONTINUE, ABANDON", ", ".join(_RESULTS))
    if seconds is not None and not _HOOK_SECONDS[0] <= seconds <= _HOOK_SECONDS[1]:
        wording = f"{_START}Heartbeat timeout must be between 30 and 7200 seconds"
        yield Fault.allowed("heartbeatTimeout", seconds, wording, "30 to 7200")


def _distribution_faults(distribution: Wanted | None) -> Iterator[Fault]:
    path = "mixedInstancesPolicy.instancesDistribution"
    if not isinstance(distribution, Wanted):
        return
    strategy = distribution.get("spotAllocationStrategy", "lowest-price")
    on_demand = distribution.get("onDemandAllocationStrategy", "prioritized")
    if strategy not in _SPOT_STRATEGIES:
        wording = f"{_START}Unsupported Spot allocation strategy"
        yield Fault.allowed(f"{path}.spotAllocationStrategy", strategy, wording, ", ".join(_SPOT_STRATEGIES))
    if on_demand not in _ON_DEMAND_STRATEGIES:
        wording = f"{_START}Unsupported On-Demand allocation strategy"
        yield Fault.allowed(f"{path}.onDemandAllocationStrategy", on_demand, wording, ", ".join(_ON_DEMAND_STRATEGIES))
    pools = distribution.get("spotInstancePools")
    if pools not in (None, 0) and distribution.known("spotAllocationStrategy") and strategy != "lowest-price":
        wording = f"{_START}SpotInstancePools option is only available with the lowest-price allocation strategy"
        yield Fault.allowed(f"{path}.spotInstancePools", pools, wording, "it only with lowest-price")
    percent, base = distribution.get("onDemandPercentageAboveBaseCapacity"), distribution.get("onDemandBaseCapacity")
    if percent is not None and not 0 <= percent <= 100:
        wording = f"{_START}OnDemandPercentageAboveBaseCapacity must be between 0 and 100"
        yield Fault.allowed(f"{path}.onDemandPercentageAboveBaseCapacity", percent, wording, "0 to 100")
    if base is not None and base < 0:
        yield Fault.allowed(f"{path}.onDemandBaseCapacity", base, f"{_START}OnDemandBaseCapacity must not be negative", "0 or more")


def _mixed_faults(template: Wanted | None, group: Resource) -> Iterator[Fault]:
    if not isinstance(template, Wanted):
        return
    path = "mixedInstancesPolicy.launchTemplate"
    specification = template.get("launchTemplateSpecification")
    if isinstance(specification, Wanted):
        if specification.given("launchTemplateId") == specification.given("launchTemplateName"):
            wording = f"{_START}Valid requests must contain either launchTemplateId or LaunchTemplateName"
            yield Fault(f"{path}.launchTemplateSpecification", wording)
        yield from _market_faults(f"{path}.launchTemplateSpecification.launchTemplateId", specification, group)
    overrides = template.get("overrides", [])
    weighted = [override for override in overrides if override.given("weightedCapacity")]
    if weighted and len(weighted) != len(overrides):
        index = next(index for index, override in enumerate(overrides) if not override.given("weightedCapacity"))
        wording = f"{_START}Weighted capacity must be specified for all instance types or for none"
        yield Fault(f"{path}.overrides[{index}].weightedCapacity", wording)
    types = [override.get("instanceType") for override in overrides]
    if len(set(types)) > _MOST_TYPES:
        yield Fault.allowed(f"{path}.overrides", len(set(types)), f"{_START}You can use up to {_MOST_TYPES} instance types", f"up to {_MOST_TYPES}")
    for index, override in enumerate(overrides):
        if (weight := override.get("weightedCapacity")) is not None and not (str(weight).isdigit() and 1 <= int(weight) <= 999):
            wording = f"{_START}Weighted capacity must be a whole number between 1 and 999"
            yield Fault.allowed(f"{path}.overrides[{index}].weightedCapacity", weight, wording, "1 to 999")
        if types[index] is not None and types[index] in types[:index]:
            wording = f"{_START}Duplicate instance types in overrides: {types[index]}"
            yield Fault.allowed(f"{path}.overrides[{index}].instanceType", types[index], wording, "each type once")


def _market_faults(path: str, specification: Wanted, group: Resource) -> Iterator[Fault]:
    """A template that buys Spot by itself contradicts a policy that decides what to buy. Judged as soon as the template exists."""
    template, version = specification.get("launchTemplateId"), specification.get("version", "$Default")
    if not template or not specification.known("version"):
        return
    try:
        found = group.client("ec2").describe_launch_template_versions(LaunchTemplateId=template, Versions=[str(version)])["LaunchTemplateVersions"]
    except ClientError:
        # A template that is gone will be made again before the group is touched.
        return
    if found and found[0]["LaunchTemplateData"].get("InstanceMarketOptions"):
        wording = (
            f"{_START}Incompatible launch template: You cannot use a launch template that is set to request Spot Instances (InstanceMarketOptions)"
            " when you configure an Auto Scaling group with a mixed instances policy."
        )
        yield Fault.allowed(path, template, wording, "one without market options")


def _tags(wanted: Properties) -> list[Properties]:
    named = {"ResourceId": wanted.get("name"), "ResourceType": "auto-scaling-group"}
    return [
        {**named, "Key": tag["key"], "Value": tag["value"], "PropagateAtLaunch": str(tag["propagateAtLaunch"]).lower() == "true"}
        for tag in wanted.get("tags", [])
    ]


def _declared(value: Any) -> Any:
    if isinstance(value, Mapping):
        renamed = {key[:1].lower() + key[1:]: _declared(entry) for key, entry in value.items()}
        return renamed
    return [_declared(entry) for entry in value] if isinstance(value, list) else value
