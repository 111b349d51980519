"""Machine M stops at time T because R: every message a cloud may send about that, and what it means.

A new kind of EventBridge event is a new entry in `EVENTS`, and nothing else: the components make one rule of each entry, the handler parses
with it. Google Cloud says it by audit log entries.
"""

import calendar
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["interruption", "rebalance", "stop", "scheduled", "gone"]
"""interruption: the cloud takes the machine at the deadline. rebalance: it may soon. stop: we, a scaler or the system stop it (a hook,
scale-in, SIGTERM). scheduled: maintenance, days ahead. gone: it is stopping or has stopped already."""

WARNING_SECONDS = 120
"""AWS: a Spot interruption warning comes two minutes ahead.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html"""

PREEMPTED_SECONDS = 30
"""Google Cloud: a preempted machine is powered off after 30 s at the latest, or later where a longer notice was asked for.
https://docs.cloud.google.com/compute/docs/instances/preemptible#preemption-process"""

STOPPING_SECONDS = 60
"""A machine that is told to stop still runs while its services end, and its workers give back by themselves meanwhile. No longer than a
lease: one that has died instead would be given up by then anyway. The event of its end comes earlier as a rule."""

UNANNOUNCED = "instance state"
"""How the reason begins where nobody said beforehand that a machine would go."""


class MalformedEvent(ValueError):
    """An event that claims a known kind and lacks what that kind carries; the text names the field and its value."""


@dataclass(frozen=True)
class Notice:
    machine: str
    """Instance id."""
    kind: Kind
    sent: float
    """When the cloud said so, seconds since 1970, by the cloud's clock."""
    deadline: float | None = None
    """When the machine stops, by the cloud's clock; None where the message does not say."""
    reason: str = ""
    """The cloud's own words, for logs and the ledger's history."""
    hook: dict[str, str] | None = None
    """Auto Scaling terminate hook to complete once drained: `group`, `hook`, `token`."""


@dataclass(frozen=True)
class Event:
    """One kind of EventBridge event: the rule's pattern as data, and how to read what it matches."""

    name: str
    """Suffix of the rule's name; frozen, as it is part of resource names."""
    pattern: dict[str, Any]
    description: str
    read: Callable[[dict[str, Any]], list[Notice]]
    optional: bool = False
    """True: a rule is made of it only when asked for."""


def timestamp(text: object, field: str) -> float:
    """Seconds since 1970 of `2022-08-11T14:00:00Z`, with or without fractions. Raises MalformedEvent."""
    try:
        return float(calendar.timegm(time.strptime(str(text).split(".")[0].rstrip("Z"), "%Y-%m-%dT%H:%M:%S")))
    except ValueError:
        raise MalformedEvent(f"{field}: {text!r} is not a time like 2022-08-11T14:00:00Z") from None


def _field(event: dict[str, Any], path: str) -> Any:
    value: Any = event
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if value is None or value == "":
        raise MalformedEvent(f"{path}: missing in an event of detail-type {event.get('detail-type')!r}")
    return value


def _instance(event: dict[str, Any], path: str = "detail.instance-id") -> str:
    # Never from `resources`: that ARN has the zone in the region's place and no account.
    value = _field(event, path)
    if not isinstance(value, str) or not value.startswith("i-"):
        raise MalformedEvent(f"{path}: {value!r} is not an instance id like i-0123456789abcdef0")
    return value


def _warning(event: dict[str, Any]) -> list[Notice]:
    # {"detail-type":"EC2 Spot Instance Interruption Warning","source":"aws.ec2","time":"2022-08-11T14:00:00Z",
    #  "detail":{"instance-id":"i-0123456789","instance-action":"terminate"}}
    action = _field(event, "detail.instance-action")
    if action not in ("terminate", "stop", "hibernate"):
        raise MalformedEvent(f"detail.instance-action: {action!r} is none of terminate, stop, hibernate")
    sent = timestamp(_field(event, "time"), "time")
    # Hibernation starts at once: there are no two minutes.
    ahead = 0 if action == "hibernate" else WARNING_SECONDS
    return [Notice(_instance(event), "interruption", sent, sent + ahead, f"spot interruption: {action}")]


def _rebalance(event: dict[str, Any]) -> list[Notice]:
    # {"detail-type":"EC2 Instance Rebalance Recommendation","source":"aws.ec2","detail":{"instance-id":"i-0123456789"}}
    return [Notice(_instance(event), "rebalance", timestamp(_field(event, "time"), "time"), None, "rebalance recommendation")]


def _state_change(event: dict[str, Any]) -> list[Notice]:
    # {"detail-type":"EC2 Instance State-change Notification","source":"aws.ec2","detail":{"instance-id":"i-0123456789","state":"shutting-down"}}
    state = _field(event, "detail.state")
    sent = timestamp(_field(event, "time"), "time")
    if state not in STOPPED_STATES:
        return []
    ahead = STOPPING_SECONDS if state in ("shutting-down", "stopping") else 0
    return [Notice(_instance(event), "gone", sent, sent + ahead, f"{UNANNOUNCED}: {state}")]


def _lifecycle(event: dict[str, Any]) -> list[Notice]:
    # {"detail-type":"EC2 Instance-terminate Lifecycle Action","source":"aws.autoscaling","detail":{"LifecycleActionToken":"87654321-...",
    #  "AutoScalingGroupName":"my-asg","LifecycleHookName":"my-hook","EC2InstanceId":"i-0123456789",
    #  "LifecycleTransition":"autoscaling:EC2_INSTANCE_TERMINATING"}}
    hook = {
        "group": str(_field(event, "detail.AutoScalingGroupName")),
        "hook": str(_field(event, "detail.LifecycleHookName")),
        "token": str(_field(event, "detail.LifecycleActionToken")),
    }
    sent = timestamp(_field(event, "time"), "time")
    return [Notice(_instance(event, "detail.EC2InstanceId"), "stop", sent, sent + WARNING_SECONDS, "terminate lifecycle hook", hook)]


def _scheduled(event: dict[str, Any]) -> list[Notice]:
    # {"detail-type":"AWS Health Event","source":"aws.health","detail":{"service":"EC2","eventTypeCategory":"scheduledChange",
    #  "statusCode":"upcoming","eventScopeCode":"ACCOUNT_SPECIFIC",
    #  "startTime":"Sat, 05 Jun 2027 15:10:09 GMT","affectedEntities":[{"entityValue":"i-0123456789","status":"PENDING"}, ...]}}
    sent = timestamp(_field(event, "time"), "time")
    # Health tells of an event's end under the same type, with its old times; a public event names nobody's machines.
    detail = _field(event, "detail")
    if isinstance(detail, dict) and (detail.get("statusCode") == "closed" or detail.get("eventScopeCode") == "PUBLIC"):
        return []
    start = _field(event, "detail.startTime")
    try:
        due = float(calendar.timegm(time.strptime(str(start), "%a, %d %b %Y %H:%M:%S GMT")))
    except ValueError:
        raise MalformedEvent(f"detail.startTime: {start!r} is not a time like Sat, 05 Jun 2027 15:10:09 GMT") from None
    entities = _field(event, "detail.affectedEntities")
    if not isinstance(entities, list):
        raise MalformedEvent(f"detail.affectedEntities: {entities!r} is not a list")
    ids = [entity.get("entityValue") for entity in entities if isinstance(entity, dict) and entity.get("status") != "RESOLVED"]
    return [
        Notice(i, "scheduled", sent, due, str(event.get("detail", {}).get("eventTypeCode", "scheduled change")))
        for i in ids
        if isinstance(i, str) and i.startswith("i-")
    ]


PREEMPTED_METHOD = "compute.instances.preempted"
GONE_METHODS = ("compute.instances.guestTerminate", "compute.instances.hostError", "compute.instances.terminateOnHostMaintenance")
"""Ends of a machine that nobody announced. https://docs.cloud.google.com/compute/docs/logging/audit-logging#system_event"""


def _audit_entry(entry: dict[str, Any]) -> list[Notice]:
    # {"protoPayload":{"methodName":"compute.instances.preempted","resourceName":"projects/P/zones/Z/instances/I",...},"resource":
    #  {"type":"gce_instance","labels":{"instance_id":"4520031799277581759",...}},"timestamp":"2026-08-04T09:12:33.482915Z",...}
    payload = entry["protoPayload"]
    method = payload.get("methodName") if isinstance(payload, dict) else None
    if method != PREEMPTED_METHOD and method not in GONE_METHODS:
        return []
    resource = entry.get("resource")
    labels = resource.get("labels") if isinstance(resource, dict) else None
    # Never the name in `resourceName`: a machine that is made anew has it too.
    machine = labels.get("instance_id") if isinstance(labels, dict) else None
    if not isinstance(machine, str) or not machine.isdecimal():
        raise MalformedEvent(f"resource.labels.instance_id: {machine!r} is not an instance id like 4520031799277581759")
    sent = timestamp(entry.get("timestamp"), "timestamp")
    if method == PREEMPTED_METHOD:
        # It says that it has begun, not how long is left: the machine's own record does.
        return [Notice(machine, "interruption", sent, None, "preempted")]
    return [Notice(machine, "gone", sent, sent, f"{UNANNOUNCED}: {method}")]


STOPPED_STATES = ("shutting-down", "stopping", "stopped", "terminated")

_DRILL_SOURCE = "spotbatch.drill"

EVENTS: tuple[Event, ...] = (
    Event(
        "interruption",
        {
            "source": ["aws.ec2"],
            "detail-type": ["EC2 Spot Instance Interruption Warning"],
            "detail": {"instance-action": ["terminate", "stop", "hibernate"]},
        },
        "A Spot machine is taken back in two minutes",
        _warning,
    ),
    Event(
        "rebalance",
        {"source": ["aws.ec2"], "detail-type": ["EC2 Instance Rebalance Recommendation"]},
        "A Spot machine is at raised risk of interruption",
        _rebalance,
    ),
    Event(
        "state",
        {"source": ["aws.ec2"], "detail-type": ["EC2 Instance State-change Notification"], "detail": {"state": list(STOPPED_STATES)}},
        "A machine is stopping or gone, with or without a warning",
        _state_change,
    ),
    Event(
        "hook",
        {"source": ["aws.autoscaling"], "detail-type": ["EC2 Instance-terminate Lifecycle Action"]},
        "An Auto Scaling group waits for a machine to drain",
        _lifecycle,
    ),
    Event(
        "scheduled",
        {"source": ["aws.health"], "detail-type": ["AWS Health Event"], "detail": {"service": ["EC2"], "eventTypeCategory": ["scheduledChange"]}},
        "Maintenance will stop a machine, days ahead",
        _scheduled,
    ),
    Event(
        "drill",
        {"source": [_DRILL_SOURCE], "detail-type": ["EC2 Spot Instance Interruption Warning"]},
        "A drill of ours: PutEvents refuses sources that begin with aws.",
        _warning,
        optional=True,
    ),
)


def parse_event(event: object) -> list[Notice]:
    """The notices in an EventBridge event or an audit log entry of Google Cloud; none for one that is no business of ours.

    Raises MalformedEvent.
    """
    if not isinstance(event, dict):
        raise MalformedEvent(f"event: {event!r:.80} is not an object")
    if "protoPayload" in event:
        return _audit_entry(event)
    for known in EVENTS:
        if event.get("source") in known.pattern["source"] and event.get("detail-type") in known.pattern["detail-type"]:
            return known.read(event)
    return []
