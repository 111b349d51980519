"""Who may do what around the interruption handler: the place to look when a function lacks a permission."""

from collections.abc import Sequence
from typing import Any

import pulumi

from .iam import allow, deny_plain_http, document
from .queue_access import QueueAccess


def from_rules(queue_arn: pulumi.Input[str], rule_arns: Sequence[pulumi.Input[str]]) -> pulumi.Output[str]:
    """A queue's own policy: exactly these EventBridge rules may send, and nobody without TLS."""
    rules = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": list(rule_arns)}},
    }
    return document(rules, deny_plain_http(queue_arn, "sqs:*"))


def for_notices(
    queue: QueueAccess,
    events_arn: pulumi.Input[str],
    dead_letters_arn: pulumi.Input[str],
    log_group_arn: pulumi.Input[str],
    group_names: Sequence[pulumi.Input[str]],
) -> pulumi.Output[str]:
    """The function behind the queue: take its messages and ring itself for deadlines, keep what nobody can read, mark machines, queue
    their tasks again, and take machines out of these groups. It can end no machine."""
    groups = [_group_arn(queue["arn"], group) for group in group_names]
    return document(
        allow(["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:SendMessage"], events_arn),
        allow("sqs:SendMessage", dead_letters_arn),
        *_ledger(queue),
        *([allow(["autoscaling:CompleteLifecycleAction", "autoscaling:DetachInstances"], groups)] if groups else []),
        _logs(log_group_arn),
    )


def for_sweeps(queue: QueueAccess, log_group_arn: pulumi.Input[str]) -> pulumi.Output[str]:
    """The function behind the timer: look through the ledger, queue again what gone machines held, ring for what waits too long."""
    return document(*_ledger(queue), _logs(log_group_arn))


def _ledger(queue: QueueAccess) -> list[dict[str, Any]]:
    return [
        allow(["sqs:ListQueueTags", "sqs:SendMessage"], queue["arn"]),
        allow(["dynamodb:GetItem", "dynamodb:PutItem"], queue["table_arn"]),
        allow("dynamodb:Query", pulumi.Output.concat(queue["table_arn"], "/index/*")),
    ]


def _logs(log_group_arn: pulumi.Input[str]) -> dict[str, Any]:
    return allow(["logs:CreateLogStream", "logs:PutLogEvents"], pulumi.Output.concat(log_group_arn, ":*"))


def _group_arn(queue_arn: pulumi.Input[str], group: pulumi.Input[str]) -> pulumi.Output[str]:
    """A group's ARN has an id of AWS's in the middle; partition, region and account are those of the queue."""

    def join(parts: Sequence[str]) -> str:
        _, partition, _, region, account, _ = parts[0].split(":")
        return f"arn:{partition}:autoscaling:{region}:{account}:autoScalingGroup:*:autoScalingGroupName/{parts[1]}"

    return pulumi.Output.all(queue_arn, group).apply(join)
