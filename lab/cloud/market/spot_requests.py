"""Spot requests, one behind each Spot instance: the way to learn why a machine went without any event."""

from typing import Any

from lab.cloud.market import emulator
from lab.cloud.market.instance import Instance
from lab.cloud.market.instances import Instances


def status_code(instance: Instance) -> tuple[str, str]:
    """State and status code of the Spot request behind an instance, as DescribeSpotInstanceRequests has them."""
    if instance.living:
        return "active", "marked-for-termination" if instance.deadline is not None else "fulfilled"
    return "closed", instance.reason


def describe_spot_requests(instances: Instances, request: dict[str, Any]) -> dict[str, Any]:
    """DescribeSpotInstanceRequests, with the filters that a reconciling job would use."""
    wanted = request.get("SpotInstanceRequestIds")
    filters = {one["Name"]: one.get("Values") or [] for one in request.get("Filters") or []}
    found = []
    for one in instances.all():
        state, code = status_code(one)
        facts = {"status-code": code, "state": state, "instance-id": one.id}
        if one.spot_request is None or (wanted and one.spot_request not in wanted):
            continue
        if all(facts[name] in values for name, values in filters.items() if name in facts):
            found.append(
                {
                    "SpotInstanceRequestId": one.spot_request,
                    "InstanceId": one.id,
                    "State": state,
                    "Status": {"Code": code, "UpdateTime": emulator.stamp(one.ended or one.launched)},
                    "CreateTime": emulator.stamp(one.launched),
                    "LaunchedAvailabilityZone": one.pool[1],
                    "Type": "one-time",
                    "InstanceInterruptionBehavior": "terminate",
                    "Tags": [],
                }
            )
    return {"SpotInstanceRequests": found}
