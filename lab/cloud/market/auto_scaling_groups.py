"""Auto Scaling groups with real machines behind them."""

import time
import uuid
from collections.abc import Callable
from typing import Any

from lab.cloud.market import emulator
from lab.cloud.market.auto_scaling_group import DEFAULTS, PROCESSES, Group, validated
from lab.cloud.market.group_upkeep import GroupUpkeep
from lab.cloud.market.instance import Instance
from lab.cloud.market.instances import Instances
from lab.cloud.market.metadata import lifecycle_values
from lab.cloud.market.pools import Pools
from lab.cloud.market.query import Refusal

_SETTABLE = [
    "LaunchTemplate",
    "MixedInstancesPolicy",
    "MinSize",
    "MaxSize",
    "DesiredCapacity",
    "DefaultCooldown",
    "HealthCheckType",
    "HealthCheckGracePeriod",
    "VPCZoneIdentifier",
    "TerminationPolicies",
    "NewInstancesProtectedFromScaleIn",
    "CapacityRebalance",
    "MaxInstanceLifetime",
    "DefaultInstanceWarmup",
    "Context",
    "DesiredCapacityType",
    "InstanceMaintenancePolicy",
    "InstanceLifecyclePolicy",
    "AvailabilityZoneDistribution",
    "PlacementGroup",
    "ServiceLinkedRoleARN",
]


class AutoScalingGroups:
    """Serves the groups' part of Auto Scaling; scheduled actions stay MiniStack's.

    A machine counts as in service when it runs. Replacement starts at death, at detachment without decrement, and with capacity
    rebalancing at the recommendation or the notice.
    Does not prove: health checks, launch hooks, warm pools, AZ rebalancing, instance requirements, load balancers.
    """

    def __init__(self, instances: Instances, pools: Pools) -> None:
        self._instances = instances
        self._groups: dict[str, Group] = {}
        self._upkeep = GroupUpkeep(instances, pools)
        self.on_deleted: list[Callable[[str], None]] = []
        """Called with the name of a group that has been deleted."""
        instances.on_gone.append(self._gone)

    def serve(self) -> None:
        """Take over the actions from MiniStack, whose groups have no machines."""
        actions: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "CreateAutoScalingGroup": self._create,
            "UpdateAutoScalingGroup": self._update,
            "DeleteAutoScalingGroup": self._delete,
            "DescribeAutoScalingGroups": self._describe,
            "DescribeAutoScalingInstances": self._describe_instances,
            "DescribeScalingActivities": self._describe_activities,
            "SetDesiredCapacity": self._set_desired,
            "DetachInstances": self._detach,
            "TerminateInstanceInAutoScalingGroup": self._terminate,
            "SetInstanceProtection": self._protect,
            "SuspendProcesses": self._suspend,
            "ResumeProcesses": self._resume,
            "PutLifecycleHook": self._put_hook,
            "DescribeLifecycleHooks": self._describe_hooks,
            "DeleteLifecycleHook": self._delete_hook,
            "CompleteLifecycleAction": lambda request: self._upkeep.actions.complete(request) or {},
            "RecordLifecycleActionHeartbeat": lambda request: self._upkeep.actions.heartbeat(request) or {},
            "StartInstanceRefresh": self._refresh,
            "DescribeInstanceRefreshes": self._describe_refreshes,
            "CancelInstanceRefresh": self._cancel_refresh,
            "EnableMetricsCollection": lambda request: self._metrics(request, True),
            "DisableMetricsCollection": lambda request: self._metrics(request, False),
            "CreateOrUpdateTags": self._put_tags,
            "DeleteTags": self._delete_tags,
            "DescribeTags": self._describe_tags,
        }
        for action, answer in actions.items():
            emulator.serve("autoscaling", action, answer)

    def at_risk(self, instance: Instance) -> None:
        """A rebalance recommendation or an interruption notice: with capacity rebalancing the replacement starts now."""
        group = self._groups.get(instance.owner)
        if group is not None and group.config["CapacityRebalance"]:
            self._upkeep.replace_early(group, instance)

    def set_capacity(self, name: str, capacity: int) -> None:
        """What a scaling policy wants, within the group's bounds."""
        group = self._find(name)
        group.config["DesiredCapacity"] = max(group.config["MinSize"], min(group.config["MaxSize"], capacity))
        self._upkeep.soon(group)

    def arn_of(self, name: str) -> str | None:
        """None if there is no such group."""
        return self._groups[name].arn if name in self._groups else None

    def capacity_of(self, name: str) -> int:
        return self._find(name).desired

    def _create(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["AutoScalingGroupName"]
        if name in self._groups:
            raise Refusal("AlreadyExists", f"AutoScalingGroup by this name already exists - A group with the name {name} already exists")
        config = {**DEFAULTS, "DesiredCapacity": request["MinSize"], **request}
        account, region = emulator.scope()
        arn = f"arn:aws:autoscaling:{region}:{account}:autoScalingGroup:{uuid.uuid4()}:autoScalingGroupName/{name}"
        group = Group(name, arn, (account, region), emulator.stamp(time.time()), config, validated(config))
        for hook in request.get("LifecycleHookSpecificationList") or []:
            group.hooks[hook["LifecycleHookName"]] = _hook(name, hook)
        self._groups[name] = group
        self._upkeep.soon(group)
        return {}

    def _update(self, request: dict[str, Any]) -> dict[str, Any]:
        group = self._find(request["AutoScalingGroupName"])
        changed = {**group.config, **{name: request[name] for name in _SETTABLE if name in request}}
        for one, other in (("LaunchTemplate", "MixedInstancesPolicy"), ("MixedInstancesPolicy", "LaunchTemplate")):
            if one in request:
                changed.pop(other, None)
        if "DesiredCapacity" not in request:
            # AWS moves the desired capacity into new bounds by itself.
            changed["DesiredCapacity"] = max(changed["MinSize"], min(changed["MaxSize"], changed["DesiredCapacity"]))
        group.candidates = validated(changed)
        group.config = changed
        self._upkeep.soon(group)
        return {}

    def _delete(self, request: dict[str, Any]) -> dict[str, Any]:
        group = self._find(request["AutoScalingGroupName"])
        present = self._instances.of(group.name)
        if present and not request.get("ForceDelete"):
            text = "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group."
            raise Refusal("ResourceInUse", text)
        group.deleting = True
        group.config |= {"MinSize": 0, "MaxSize": 0, "DesiredCapacity": 0}
        for instance in present:
            self._upkeep.actions.forget(instance.id)
            self._instances.shut_down(instance, "instance-terminated-by-user")
        self._remove_if_empty(group)
        return {}

    def _describe(self, request: dict[str, Any]) -> dict[str, Any]:
        wanted = request.get("AutoScalingGroupNames")
        here = [group for group in self._groups.values() if group.scope == emulator.scope() and (not wanted or group.name in wanted)]
        return {"AutoScalingGroups": [self._view(group) for group in here]}

    def _view(self, group: Group) -> dict[str, Any]:
        return {
            **group.config,
            "AutoScalingGroupARN": group.arn,
            "CreatedTime": group.created,
            "AvailabilityZones": sorted({one.zone for one in group.candidates}),
            "LoadBalancerNames": [],
            "TargetGroupARNs": [],
            "Instances": [self._instance_view(group, one) for one in self._instances.of(group.name)],
            "SuspendedProcesses": [{"ProcessName": name, "SuspensionReason": "User suspended"} for name in sorted(group.suspended)],
            "Tags": [
                {"ResourceId": group.name, "ResourceType": "auto-scaling-group", "PropagateAtLaunch": False, **tag}
                for tag in group.config.get("Tags") or []
            ],
            "Status": "Delete in progress" if group.deleting else None,
        }

    def _instance_view(self, group: Group, one: Instance) -> dict[str, Any]:
        return {
            "InstanceId": one.id,
            "InstanceType": one.pool[0],
            "AvailabilityZone": one.pool[1],
            "LifecycleState": group.states.get(one.id, "Terminating"),
            "HealthStatus": "Healthy" if one.living else "Unhealthy",
            "ProtectedFromScaleIn": one.id in group.protected,
            "LaunchTemplate": group.versions.get(one.id),
            "WeightedCapacity": str(int(one.weight)) if one.weight != 1 else None,
        }

    def _describe_instances(self, request: dict[str, Any]) -> dict[str, Any]:
        wanted = request.get("InstanceIds")
        found = [
            {**self._instance_view(group, one), "AutoScalingGroupName": group.name}
            for group in self._groups.values()
            for one in self._instances.of(group.name)
            if not wanted or one.id in wanted
        ]
        return {"AutoScalingInstances": found}

    def _describe_activities(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request.get("AutoScalingGroupName")
        return {"Activities": [one for group in self._groups.values() if name in (None, group.name) for one in reversed(group.activities)]}

    def _set_desired(self, request: dict[str, Any]) -> dict[str, Any]:
        group = self._find(request["AutoScalingGroupName"])
        wanted = request["DesiredCapacity"]
        for bound, outside, word in (
            ("MaxSize", wanted > group.config["MaxSize"], "above max"),
            ("MinSize", wanted < group.config["MinSize"], "below min"),
        ):
            if outside:
                raise Refusal(
                    "ValidationError", f"New SetDesiredCapacity value {wanted} is {word} value {group.config[bound]} for the AutoScalingGroup."
                )
        group.config["DesiredCapacity"] = wanted
        self._upkeep.soon(group)
        return {}

    def _detach(self, request: dict[str, Any]) -> dict[str, Any]:
        group = self._find(request["AutoScalingGroupName"])
        ids = request.get("InstanceIds") or []
        if len(ids) > 20:
            raise Refusal(
                "ValidationError",
                "1 validation error detected: Value at 'instanceIds' failed to satisfy constraint: Member must have length less than or equal to 20",
            )
        members = {one.id: one for one in self._instances.of(group.name)}
        for instance_id in ids:
            if instance_id not in members or group.states.get(instance_id) != "InService":
                raise Refusal(
                    "ValidationError", f"The instance {instance_id} is not part of Auto Scaling group {group.name} or not in state InService."
                )
        if request["ShouldDecrementDesiredCapacity"]:
            if group.desired - len(ids) < group.config["MinSize"]:
                raise Refusal(
                    "ValidationError", f"Detaching {len(ids)} instances would take the group below its minimum size of {group.config['MinSize']}."
                )
            group.config["DesiredCapacity"] -= len(ids)
        activities = []
        for instance_id in ids:
            one = members[instance_id]
            one.owner = ""
            self._upkeep.forget(group, instance_id)
            emulator.set_tags(instance_id, {key: value for key, value in emulator.tags(instance_id).items() if key != "aws:autoscaling:groupName"})
            one.process.change_metadata(lifecycle_values("Detached"))
            activities.append(self._upkeep.note(group, f"Detaching EC2 instance: {instance_id}"))
        self._upkeep.soon(group)
        return {"Activities": activities}

    def _terminate(self, request: dict[str, Any]) -> dict[str, Any]:
        one = self._instances.get(request["InstanceId"])
        group = self._groups.get(one.owner) if one else None
        if one is None or group is None:
            raise Refusal("ValidationError", f"Instance Id not found - No managed instance found for instance ID {request['InstanceId']}")
        if request["ShouldDecrementDesiredCapacity"]:
            group.config["DesiredCapacity"] = max(group.config["MinSize"], group.desired - 1)
        self._upkeep.end(group, one, "instance was taken out of service in response to a user request")
        self._upkeep.soon(group)
        return {"Activity": group.activities[-1]}

    def _protect(self, request: dict[str, Any]) -> dict[str, Any]:
        group = self._find(request["AutoScalingGroupName"])
        change = group.protected.update if request["ProtectedFromScaleIn"] else group.protected.difference_update
        change(request["InstanceIds"])
        return {}

    def _suspend(self, request: dict[str, Any]) -> dict[str, Any]:
        self._find(request["AutoScalingGroupName"]).suspended |= set(_processes(request))
        return {}

    def _resume(self, request: dict[str, Any]) -> dict[str, Any]:
        group = self._find(request["AutoScalingGroupName"])
        group.suspended -= set(_processes(request))
        self._upkeep.soon(group)
        return {}

    def _put_hook(self, request: dict[str, Any]) -> dict[str, Any]:
        group = self._find(request["AutoScalingGroupName"])
        group.hooks[request["LifecycleHookName"]] = _hook(group.name, {**group.hooks.get(request["LifecycleHookName"], {}), **request})
        return {}

    def _describe_hooks(self, request: dict[str, Any]) -> dict[str, Any]:
        names = request.get("LifecycleHookNames")
        hooks = self._find(request["AutoScalingGroupName"]).hooks.values()
        return {"LifecycleHooks": [hook for hook in hooks if not names or hook["LifecycleHookName"] in names]}

    def _delete_hook(self, request: dict[str, Any]) -> dict[str, Any]:
        self._find(request["AutoScalingGroupName"]).hooks.pop(request["LifecycleHookName"], None)
        return {}

    def _refresh(self, request: dict[str, Any]) -> dict[str, Any]:
        group = self._find(request["AutoScalingGroupName"])
        if any(one["Status"] == "InProgress" for one in group.refreshes):
            raise Refusal(
                "InstanceRefreshInProgress", "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh."
            )
        refresh = {
            "InstanceRefreshId": str(uuid.uuid4()),
            "AutoScalingGroupName": group.name,
            "Status": "InProgress",
            "StartTime": emulator.stamp(time.time()),
            "PercentageComplete": 0,
            "Preferences": request.get("Preferences"),
        }
        group.refreshes.insert(0, refresh)
        old = [one.id for one in self._instances.of(group.name) if group.versions.get(one.id) != group.template_specification]
        self._upkeep.roll(group, refresh, old)
        return {"InstanceRefreshId": refresh["InstanceRefreshId"]}

    def _describe_refreshes(self, request: dict[str, Any]) -> dict[str, Any]:
        wanted = request.get("InstanceRefreshIds")
        found = self._find(request["AutoScalingGroupName"]).refreshes
        return {"InstanceRefreshes": [one for one in found if not wanted or one["InstanceRefreshId"] in wanted]}

    def _cancel_refresh(self, request: dict[str, Any]) -> dict[str, Any]:
        for refresh in self._find(request["AutoScalingGroupName"]).refreshes:
            if refresh["Status"] == "InProgress":
                refresh |= {"Status": "Cancelled", "EndTime": emulator.stamp(time.time())}
                return {"InstanceRefreshId": refresh["InstanceRefreshId"]}
        raise Refusal(
            "ActiveInstanceRefreshNotFound",
            f"No in progress or pending Instance Refresh found for Auto Scaling group {request['AutoScalingGroupName']}",
        )

    def _metrics(self, request: dict[str, Any], on: bool) -> dict[str, Any]:
        config = self._find(request["AutoScalingGroupName"]).config
        names = {one["Metric"] for one in config.get("EnabledMetrics") or []}
        named = set(request.get("Metrics") or [])
        names = names | named if on else names - named if named else set()
        config["EnabledMetrics"] = [{"Metric": name, "Granularity": "1Minute"} for name in sorted(names)]
        return {}

    def _put_tags(self, request: dict[str, Any]) -> dict[str, Any]:
        for tag in request["Tags"]:
            config = self._find(tag["ResourceId"]).config
            config["Tags"] = [*(one for one in config.get("Tags") or [] if one["Key"] != tag["Key"]), tag]
        return {}

    def _delete_tags(self, request: dict[str, Any]) -> dict[str, Any]:
        for tag in request["Tags"]:
            config = self._find(tag["ResourceId"]).config
            config["Tags"] = [one for one in config.get("Tags") or [] if one["Key"] != tag["Key"]]
        return {}

    def _describe_tags(self, request: dict[str, Any]) -> dict[str, Any]:
        names = [value for one in request.get("Filters") or [] if one["Name"] == "auto-scaling-group" for value in one["Values"]]
        return {"Tags": [tag for group in self._groups.values() if not names or group.name in names for tag in self._view(group)["Tags"]]}

    def _find(self, name: str) -> Group:
        group = self._groups.get(name)
        if group is None or group.deleting:
            raise Refusal("ValidationError", f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")
        return group

    def _gone(self, instance: Instance) -> None:
        if (group := self._groups.get(instance.owner)) is not None:
            self._upkeep.gone(group, instance)
            self._remove_if_empty(group)

    def _remove_if_empty(self, group: Group) -> None:
        if group.deleting and not self._instances.of(group.name):
            self._groups.pop(group.name, None)
            for listener in self.on_deleted:
                listener(group.name)


def _processes(request: dict[str, Any]) -> list[str]:
    names = request.get("ScalingProcesses") or PROCESSES
    for name in names:
        if name not in PROCESSES:
            raise Refusal("ValidationError", f"Invalid process type: {name}. Valid values are {', '.join(PROCESSES)}.")
    return names


def _hook(group: str, given: dict[str, Any]) -> dict[str, Any]:
    hook = {"HeartbeatTimeout": 3600, "DefaultResult": "ABANDON", "GlobalTimeout": 172800, **given, "AutoScalingGroupName": group}
    if "LifecycleTransition" not in hook:
        raise Refusal("ValidationError", "LifecycleTransition is required to create a lifecycle hook.")
    if not 30 <= hook["HeartbeatTimeout"] <= 7200:
        raise Refusal("ValidationError", f"HeartbeatTimeout: {hook['HeartbeatTimeout']} is not between 30 and 7200.")
    if hook["DefaultResult"] not in ("CONTINUE", "ABANDON"):
        raise Refusal("ValidationError", f"DefaultResult: {hook['DefaultResult']} is none of CONTINUE, ABANDON.")
    return hook
