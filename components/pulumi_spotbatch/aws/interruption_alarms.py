"""What must never happen around the interruption handler, and what it means if it does."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

OLDEST_SECONDS = 180
"""Messages that the handler sends to itself wait out the two-minute warning in the same queue; a minute more, and nobody fetches."""


@dataclass(frozen=True)
class Alarm:
    """One thing that must not happen: `statistic` of the metric above `threshold` in each of so many `minutes` in a row."""

    role: str
    description: str
    namespace: str
    metric: str
    dimensions: Mapping[str, pulumi.Input[str]]
    statistic: str = "Sum"
    threshold: float = 0
    minutes: int = 1
    expected: bool = False
    """True turns it round: the alarm goes off when there is nothing of it, in all of those minutes."""


def watched(
    queue_name: pulumi.Input[str],
    bell_dead_letters_name: pulumi.Input[str],
    events_name: pulumi.Input[str],
    dead_letters_name: pulumi.Input[str],
    rule_names: Mapping[str, pulumi.Input[str]],
    function_names: Mapping[str, pulumi.Input[str]],
    metrics_namespace: str,
) -> list[Alarm]:
    """Every alarm of one handler; rules by event, functions by role."""
    alarms = [
        Alarm(
            "dead-letters",
            "Events that could not be delivered, read or handled lie in the dead letters, each with its reason; the sweep still takes tasks back.",
            "AWS/SQS",
            "ApproximateNumberOfMessagesVisible",
            {"QueueName": dead_letters_name},
            "Maximum",
        ),
        Alarm(
            "unreadable-bells",
            "Messages that no worker could read lie in the queue's own dead letters, each with its reason: somebody else sends to the queue.",
            "AWS/SQS",
            "ApproximateNumberOfMessagesVisible",
            {"QueueName": bell_dead_letters_name},
            "Maximum",
        ),
        Alarm(
            "oldest-event",
            "Nobody fetches events: machines are taken away without being marked, detached and emptied first.",
            "AWS/SQS",
            "ApproximateAgeOfOldestMessage",
            {"QueueName": events_name},
            "Maximum",
            OLDEST_SECONDS,
        ),
        Alarm(
            "notice-without-drain",
            "A machine was announced to go and gave nothing back before it went: its work since the last checkpoint is done again.",
            metrics_namespace,
            "NoticesWithoutDrain",
            {"Queue": queue_name},
        ),
        Alarm(
            "no-sweep",
            "The timer's function has not run for five minutes: tasks of machines that went without notice wait for ever.",
            "AWS/Lambda",
            "Invocations",
            {"FunctionName": function_names["sweep"]},
            minutes=5,
            expected=True,
        ),
    ]
    for role, function in function_names.items():
        alarms.append(
            Alarm(f"{role}-errors", f"The function for {role} raised or ran out of time.", "AWS/Lambda", "Errors", {"FunctionName": function})
        )
        alarms.append(
            Alarm(
                f"{role}-throttles",
                f"The function for {role} was not started: the account's Lambda concurrency is used up.",
                "AWS/Lambda",
                "Throttles",
                {"FunctionName": function},
            )
        )
    for event, rule in rule_names.items():
        alarms.append(
            Alarm(
                f"{event}-undelivered",
                f"EventBridge gave up on delivering for the rule of {event}: a policy or permission has been changed.",
                "AWS/Events",
                "FailedInvocations",
                {"RuleName": rule},
            )
        )
    return alarms


def declare(
    name: str, alarm: Alarm, topic_arn: pulumi.Input[str] | None, tags: Mapping[str, pulumi.Input[str]], child: pulumi.ResourceOptions
) -> "aws.cloudwatch.MetricAlarm":
    """The CloudWatch alarm; it tells the topic, if there is one, when it goes off and when it is over."""
    topics = None if topic_arn is None else [topic_arn]
    return aws.cloudwatch.MetricAlarm(
        f"{name}-{alarm.role}",
        alarm_description=alarm.description,
        namespace=alarm.namespace,
        metric_name=alarm.metric,
        dimensions=alarm.dimensions,
        statistic=alarm.statistic,
        period=60,
        evaluation_periods=alarm.minutes,
        comparison_operator="LessThanOrEqualToThreshold" if alarm.expected else "GreaterThanThreshold",
        threshold=alarm.threshold,
        treat_missing_data="breaching" if alarm.expected else "notBreaching",
        # A stack that has just come up has not swept yet, which is nothing to wake anybody for.
        warm_up_configuration=aws.cloudwatch.MetricAlarmWarmUpConfigurationArgs(warm_up_period_duration_in_minutes=alarm.minutes)
        if alarm.expected
        else None,
        alarm_actions=topics,
        ok_actions=topics,
        tags=tags,
        opts=child,
    )
