"""IAM documents as data: written once, sorted, the same text at every preview."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi


def allow(actions: str | Sequence[str], resources: Any, conditions: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A statement that allows `actions` on `resources`, for a policy that is attached to a role."""
    statement: dict[str, Any] = {"Effect": "Allow", "Action": actions, "Resource": resources}
    return {**statement, "Condition": conditions} if conditions else statement


def document(*statements: Mapping[str, Any]) -> pulumi.Output[str]:
    """A policy document; Outputs may stand anywhere in it."""
    return pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": list(statements)}, sort_keys=True)


def trust(service: str, conditions: Mapping[str, Any] | None = None) -> pulumi.Output[str]:
    """A role's trust document: `service` (like `ec2.amazonaws.com`) may take the role."""
    statement: dict[str, Any] = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return document({**statement, "Condition": conditions} if conditions else statement)


def deny_plain_http(resources: Any, action: str) -> dict[str, Any]:
    """A statement of a resource's own policy that refuses every call without TLS."""
    return {"Effect": "Deny", "Principal": "*", "Action": action, "Resource": resources, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
