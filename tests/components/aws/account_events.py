"""Events as an account's default bus has them: those the handler waits for, by rule, and their near misses, which must stay outside.

Shapes: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitoring-instance-state-changes.html and the pages beside it. Instance ARNs
have the zone in the region's place, as real ones have.
"""

from typing import Any

ID = "i-0123456789abcdef0"


def event(source: str, kind: str, **detail: Any) -> dict[str, Any]:
    return {
        "version": "0",
        "id": "1e5527d7-bb36-4607-3370-4164db56a40e",
        "detail-type": kind,
        "source": source,
        "account": "123456789012",
        "time": "2026-08-11T14:00:00Z",
        "region": "us-east-1",
        "resources": [f"arn:aws:ec2:us-east-1a:instance/{ID}"],
        "detail": detail,
    }


WARNING, REBALANCE = "EC2 Spot Instance Interruption Warning", "EC2 Instance Rebalance Recommendation"
STATE, HOOK = "EC2 Instance State-change Notification", "EC2 Instance-terminate Lifecycle Action"


def hook(kind: str, transition: str) -> dict[str, Any]:
    return event(
        "aws.autoscaling",
        kind,
        LifecycleActionToken="87654321-4321-4321-4321-210987654321",
        AutoScalingGroupName="workers",
        LifecycleHookName="spotbatch-drain",
        EC2InstanceId=ID,
        LifecycleTransition=transition,
    )


def health(service: str, category: str) -> dict[str, Any]:
    return event(
        "aws.health",
        "AWS Health Event",
        service=service,
        eventTypeCategory=category,
        eventTypeCode="AWS_EC2_INSTANCE_REBOOT_MAINTENANCE_SCHEDULED",
        startTime="Sat, 05 Jun 2027 15:10:09 GMT",
        affectedEntities=[{"entityValue": ID}],
    )


WAITED_FOR: dict[str, list[dict[str, Any]]] = {
    "interruption": [event("aws.ec2", WARNING, **{"instance-id": ID, "instance-action": how}) for how in ("terminate", "stop", "hibernate")],
    "rebalance": [event("aws.ec2", REBALANCE, **{"instance-id": ID})],
    "state": [event("aws.ec2", STATE, **{"instance-id": ID, "state": state}) for state in ("shutting-down", "stopping", "stopped", "terminated")],
    "hook": [hook(HOOK, "autoscaling:EC2_INSTANCE_TERMINATING")],
    "scheduled": [health("EC2", "scheduledChange")],
    "drill": [event("spotbatch.drill", WARNING, **{"instance-id": ID, "instance-action": "terminate"})],
}

NEAR_MISSES: list[dict[str, Any]] = [
    *(event("aws.ec2", STATE, **{"instance-id": ID, "state": state}) for state in ("pending", "running")),
    event("aws.ec2", "EC2 Spot Instance Request Fulfillment", **{"instance-id": ID, "spot-instance-request-id": "sir-1a2b3c4d"}),
    event("aws.ec2", "EC2 Capacity Reservation Instance Interruption Warning", **{"instance-id": ID, "instance-action": "terminate"}),
    event("aws.ec2spotfleet", "EC2 Spot Fleet Instance Change", **{"instance-id": ID, "sub-type": "terminated"}),
    event("someone.else", WARNING, **{"instance-id": ID, "instance-action": "terminate"}),
    hook("EC2 Instance-launch Lifecycle Action", "autoscaling:EC2_INSTANCE_LAUNCHING"),
    health("RDS", "scheduledChange"),
    health("EC2", "accountNotification"),
]
