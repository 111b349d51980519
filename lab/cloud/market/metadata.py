"""What a machine's metadata service says (facts of the EC2 user guide, "Instance metadata categories")."""

import json
import re
from collections.abc import Iterable
from typing import Any

from lab.cloud.market.emulator import stamp
from lab.cloud.market.query import Refusal

_TAG_KEY = re.compile(r"[0-9a-zA-Z\-_+=,.@:]{1,255}")


def metadata(
    record: dict[str, Any], *, region: str, account: str, role: str | None, credentials: dict[str, str] | None, tags: dict[str, str]
) -> dict[str, str]:
    """Paths and texts below `/latest/` at boot of an instance; `tags` is empty unless the template lets instances read theirs."""
    zone = record["Placement"]["AvailabilityZone"]
    spot = record.get("InstanceLifecycle") == "spot"
    values = {
        "meta-data/ami-id": record["ImageId"],
        "meta-data/hostname": record["PrivateDnsName"],
        "meta-data/instance-action": "none",
        "meta-data/instance-id": record["InstanceId"],
        "meta-data/instance-life-cycle": "spot" if spot else "on-demand",
        "meta-data/instance-type": record["InstanceType"],
        "meta-data/local-ipv4": record["PrivateIpAddress"],
        "meta-data/placement/availability-zone": zone,
        "meta-data/placement/region": region,
        "meta-data/events/maintenance/scheduled": "[]",
        "dynamic/instance-identity/document": json.dumps(
            {
                "accountId": account,
                "architecture": record["Architecture"],
                "availabilityZone": zone,
                "imageId": record["ImageId"],
                "instanceId": record["InstanceId"],
                "instanceType": record["InstanceType"],
                "pendingTime": record["LaunchTime"],
                "privateIp": record["PrivateIpAddress"],
                "region": region,
                "version": "2017-09-30",
            },
            indent=2,
        ),
    }
    values |= {f"meta-data/tags/instance/{key}": value for key, value in tags.items()}
    if role and credentials:
        values |= credential_values(role, credentials)
        values["meta-data/iam/info"] = json.dumps(
            {"Code": "Success", "InstanceProfileArn": record["IamInstanceProfile"]["Arn"], "InstanceProfileId": record["IamInstanceProfile"]["Id"]}
        )
    return values


def check_tag_keys(keys: Iterable[str]) -> None:
    """Raises Refusal, as RunInstances does, for the key of a tag that instances may read and that cannot stand in a path."""
    for key in keys:
        if _TAG_KEY.fullmatch(key) is None or key in (".", "..", "_index"):
            raise Refusal(
                "InvalidParameterValue",
                f"'{key}' is not a valid tag key. Tag keys must match pattern ([0-9a-zA-Z\\-_+=,.@:]{{1,255}}), "
                "and must not be a reserved name ('.', '..', '_index')",
            )


def credential_values(role: str, credentials: dict[str, str]) -> dict[str, str]:
    """The role's current keys."""
    return {f"meta-data/iam/security-credentials/{role}": json.dumps(credentials, indent=2)}


def interruption_values(action: str, deadline: float) -> dict[str, str | None]:
    """What appears with an interruption notice: the time is fixed here and never moves."""
    values: dict[str, str | None] = {"meta-data/spot/instance-action": json.dumps({"action": action, "time": stamp(deadline)})}
    if action == "terminate":
        values["meta-data/spot/termination-time"] = stamp(deadline)
    return values


def rebalance_values(at: float) -> dict[str, str | None]:
    """What appears with a rebalance recommendation."""
    return {"meta-data/events/recommendations/rebalance": json.dumps({"noticeTime": stamp(at)})}


def lifecycle_values(state: str) -> dict[str, str | None]:
    """What a machine of an Auto Scaling group reads about itself: InService, Terminated, Detached."""
    return {"meta-data/autoscaling/target-lifecycle-state": state}
