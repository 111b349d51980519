"""Tell the pool that one of its machines is about to go."""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from spotbatch.notice import EVENTS

from ..validation import Faults, Rule, like
from . import interruption_alarms, interruption_policies
from .iam import trust
from .interruption_archive import ENTRY, archive
from .queue_access import QueueAccess
from .scaling import METRIC_NAMESPACE
from .tagging import check_tags, own_tags

RUNTIME = "python3.13"
"""https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html"""

EVENT_SECONDS = 3600
"""How long EventBridge tries to deliver: far longer than the warning, as a late event still gives tasks back. Only the drain needs the
deadline. After an hour the sweep has long seen to the tasks, and a dead letter tells people more."""

EVENT_ATTEMPTS = 185
"""The most that EventBridge makes, so that the hour decides. https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_RetryPolicy.html"""

NOTICES_SECONDS, SWEEP_SECONDS = 10, 60

VISIBILITY_SECONDS = 30
"""Three times the function's own limit, so that the two-minute warning has room for three tries. AWS's advice of six times would leave one."""

RECEIVES = 5
"""https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html"""

CONCURRENCY = 5
"""Batches of ten events at once: a storm of 500 is through in seconds, without taking a small account's whole Lambda concurrency."""

RETENTION_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
"""https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html"""

_DAY, _DAYS_14 = 24 * 3600, 14 * 24 * 3600


class InterruptionHandlerArgs(TypedDict):
    """What an InterruptionHandler needs to know."""

    queue: QueueAccess
    """The queue whose machines it looks after: `SqsTaskQueue.access`."""
    group_names: NotRequired[Sequence[pulumi.Input[str]]]
    """Auto Scaling groups (`SpotAutoScalingGroup.group_name`) from which it takes announced machines, so that replacements start at once, and
    whose hooks it completes. Default: none. A Spot Fleet has no such call and replaces a machine when it is gone."""
    drill_source: NotRequired[bool]
    """Whether events of the source `spotbatch.drill` count as interruptions too, for rehearsals: whoever may call PutEvents in this account can
    then drain machines. Default: false."""
    alarm_topic_arn: NotRequired[pulumi.Input[str]]
    """SNS topic that is told of every alarm. Default: none; the alarms show in CloudWatch and tell nobody."""
    log_retention_days: NotRequired[int]
    """Days that the functions' logs are kept: 1, 3, 5, 7, 14, 30, 60, 90 and more as CloudWatch offers. Default: 30."""
    tags: NotRequired[Mapping[str, pulumi.Input[str]]]
    """Tags for every resource that takes tags. Default: the stack's own tag alone."""


class InterruptionHandler(pulumi.ComponentResource):
    """Tell the pool that one of its machines is about to go, and queue its tasks again.

    Creates one EventBridge rule for each entry of `spotbatch.notice.EVENTS`, a queue with dead letters (encrypted, open to these rules
    only), the function that marks machines, detaches them and queues their tasks again, a timer with a function that sweeps the ledger
    each minute and publishes the backlog, their roles and logs, and an alarm for everything that must not happen.

    Leaves to you: the fleet, the workers' own watcher (it is part of the worker), and a topic for the alarms.

    Events of machines that are not of this queue cost one read each. Idle, it costs the sweeps (about 44,000 short runs a month) and the
    alarms, 0.10 USD a month each. Raises InvalidArgs, with all faults at once, before anything is declared.
    """

    function_name: pulumi.Output[str]
    """Function that handles events."""
    function_arn: pulumi.Output[str]
    """ARN of the function that handles events."""
    events_queue_url: pulumi.Output[str]
    """URL of the queue between the rules and the function."""
    events_queue_arn: pulumi.Output[str]
    """ARN of the queue between the rules and the function."""
    dead_letters_url: pulumi.Output[str]
    """URL of the queue that keeps, for 14 days, every event that was not delivered, read or handled."""
    rule_arns: pulumi.Output[Mapping[str, str]]
    """ARN of each rule, by event; the timer's is `sweep`."""
    alarm_arns: pulumi.Output[Mapping[str, str]]
    """ARN of each alarm, by what must not happen. `dead-letters` is a good stop for drills."""

    def __init__(self, name: str, args: InterruptionHandlerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        given = checked(name, args)
        super().__init__("spotbatch:index:InterruptionHandler", name, {}, opts)
        self._name, self._child = name, pulumi.ResourceOptions(parent=self)
        self._tags, self._log_days = own_tags(given.get("tags")), given.get("log_retention_days", 30)
        queue, groups = given["queue"], given.get("group_names", [])

        dead_letters = self._queue("dead-letters", message_retention_seconds=_DAYS_14)
        events = self._queue(
            "events",
            message_retention_seconds=_DAY,
            visibility_timeout_seconds=VISIBILITY_SECONDS,
            redrive_policy=pulumi.Output.json_dumps({"deadLetterTargetArn": dead_letters.arn, "maxReceiveCount": RECEIVES}),
        )
        rules = self._rules(events, dead_letters, given.get("drill_source", False))
        notices = self._notices(queue, events, dead_letters, groups)
        sweep, timer = self._sweep(queue)

        watched = interruption_alarms.watched(
            queue["name"],
            pulumi.Output.from_input(queue["dead_letters_arn"]).apply(lambda arn: arn.rpartition(":")[2]),
            events.name,
            dead_letters.name,
            {**{event: rule.name for event, rule in rules.items()}, "sweep": timer.name},
            {"notices": notices.name, "sweep": sweep.name},
            METRIC_NAMESPACE,
        )
        topic = given.get("alarm_topic_arn")
        alarms = {alarm.role: interruption_alarms.declare(name, alarm, topic, self._tags, self._child) for alarm in watched}

        self.function_name, self.function_arn = notices.name, notices.arn
        self.events_queue_url, self.events_queue_arn = events.url, events.arn
        self.dead_letters_url = dead_letters.url
        self.rule_arns = pulumi.Output.all(**{event: rule.arn for event, rule in rules.items()}, sweep=timer.arn)
        self.alarm_arns = pulumi.Output.all(**{role: alarm.arn for role, alarm in alarms.items()})
        self.register_outputs(
            {
                "functionName": self.function_name,
                "functionArn": self.function_arn,
                "eventsQueueUrl": self.events_queue_url,
                "eventsQueueArn": self.events_queue_arn,
                "deadLettersUrl": self.dead_letters_url,
                "ruleArns": self.rule_arns,
                "alarmArns": self.alarm_arns,
            }
        )

    def _rules(self, events: "aws.sqs.Queue", dead_letters: "aws.sqs.Queue", drill_source: bool) -> dict[str, "aws.cloudwatch.EventRule"]:
        rules = {
            event.name: aws.cloudwatch.EventRule(
                f"{self._name}-{event.name}",
                description=event.description,
                event_pattern=pulumi.Output.json_dumps(event.pattern, sort_keys=True),
                tags=self._tags,
                opts=self._child,
            )
            for event in EVENTS
            if drill_source or not event.optional
        }
        rule_arns = [rule.arn for rule in rules.values()]
        open_to_rules = [
            aws.sqs.QueuePolicy(
                f"{self._name}-{role}-policy",
                queue_url=queue.url,
                policy=interruption_policies.from_rules(queue.arn, rule_arns),
                opts=self._child,
            )
            for role, queue in (("events", events), ("dead-letters", dead_letters))
        ]
        for event, rule in rules.items():
            aws.cloudwatch.EventTarget(
                f"{self._name}-{event}",
                rule=rule.name,
                arn=events.arn,
                retry_policy=aws.cloudwatch.EventTargetRetryPolicyArgs(
                    maximum_event_age_in_seconds=EVENT_SECONDS, maximum_retry_attempts=EVENT_ATTEMPTS
                ),
                dead_letter_config=aws.cloudwatch.EventTargetDeadLetterConfigArgs(arn=dead_letters.arn),
                # EventBridge drops at once what a queue's policy does not let it send.
                opts=pulumi.ResourceOptions(parent=self, depends_on=open_to_rules),
            )
        return rules

    def _notices(
        self,
        queue: QueueAccess,
        events: "aws.sqs.Queue",
        dead_letters: "aws.sqs.Queue",
        group_names: Sequence[pulumi.Input[str]],
    ) -> "aws.lambda_.Function":
        logs = self._logs("notices")
        policy = interruption_policies.for_notices(queue, events.arn, dead_letters.arn, logs.arn, group_names)
        environment = {
            "SPOTBATCH_QUEUE": queue["url"],
            "SPOTBATCH_METRICS": METRIC_NAMESPACE,
            "SPOTBATCH_EVENTS_QUEUE": events.url,
            "SPOTBATCH_DEAD_LETTERS": dead_letters.url,
        }
        if group_names:
            environment["SPOTBATCH_GROUPS"] = pulumi.Output.all(*group_names).apply(",".join)
        function, permissions = self._function("notices", NOTICES_SECONDS, "Marks and empties machines that will go", logs, policy, environment)
        aws.lambda_.EventSourceMapping(
            f"{self._name}-notices",
            event_source_arn=events.arn,
            function_name=function.arn,
            batch_size=10,
            maximum_batching_window_in_seconds=0,
            function_response_types=["ReportBatchItemFailures"],
            scaling_config=aws.lambda_.EventSourceMappingScalingConfigArgs(maximum_concurrency=CONCURRENCY),
            tags=self._tags,
            # Lambda refuses a mapping until its role may read the queue.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[permissions]),
        )
        return function

    def _sweep(self, queue: QueueAccess) -> tuple["aws.lambda_.Function", "aws.cloudwatch.EventRule"]:
        logs = self._logs("sweep")
        policy = interruption_policies.for_sweeps(queue, logs.arn)
        environment = {"SPOTBATCH_QUEUE": queue["url"], "SPOTBATCH_METRICS": METRIC_NAMESPACE}
        function, permissions = self._function(
            "sweep", SWEEP_SECONDS, "Queues again what gone machines held, and publishes the backlog", logs, policy, environment
        )
        timer = aws.cloudwatch.EventRule(
            f"{self._name}-sweep",
            description="Each minute: look for tasks whose machine is gone",
            schedule_expression="rate(1 minute)",
            tags=self._tags,
            opts=self._child,
        )
        may_call = aws.lambda_.Permission(
            f"{self._name}-sweep",
            action="lambda:InvokeFunction",
            function=function.name,
            principal="events.amazonaws.com",
            source_arn=timer.arn,
            opts=self._child,
        )
        aws.cloudwatch.EventTarget(
            f"{self._name}-sweep",
            rule=timer.name,
            arn=function.arn,
            input='{"spotbatch": "sweep"}',
            # The next minute brings the next sweep.
            retry_policy=aws.cloudwatch.EventTargetRetryPolicyArgs(maximum_event_age_in_seconds=60, maximum_retry_attempts=1),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[may_call, permissions]),
        )
        return function, timer

    def _queue(self, role: str, **settings: Any) -> "aws.sqs.Queue":
        return aws.sqs.Queue(f"{self._name}-{role}", sqs_managed_sse_enabled=True, tags=self._tags, opts=self._child, **settings)

    def _logs(self, role: str) -> "aws.cloudwatch.LogGroup":
        return aws.cloudwatch.LogGroup(f"{self._name}-{role}", retention_in_days=self._log_days, tags=self._tags, opts=self._child)

    def _function(
        self,
        role: str,
        seconds: int,
        description: str,
        logs: "aws.cloudwatch.LogGroup",
        policy: pulumi.Output[str],
        environment: Mapping[str, pulumi.Input[str]],
    ) -> tuple["aws.lambda_.Function", pulumi.Resource]:
        """A function with a role of its own, and the permissions that must stand before anything calls it."""
        own = aws.iam.Role(f"{self._name}-{role}", assume_role_policy=trust("lambda.amazonaws.com"), tags=self._tags, opts=self._child)
        permissions = aws.iam.RolePolicy(f"{self._name}-{role}", role=own.name, policy=policy, opts=self._child)
        function = aws.lambda_.Function(
            f"{self._name}-{role}",
            description=description,
            runtime=RUNTIME,
            architectures=["arm64"],
            handler=ENTRY,
            code=archive(),
            role=own.arn,
            timeout=seconds,
            # Lambda gives CPU by memory, and most of a cold start is the import of boto3.
            memory_size=512,
            environment=aws.lambda_.FunctionEnvironmentArgs(variables=environment),
            logging_config=aws.lambda_.FunctionLoggingConfigArgs(log_format="JSON", log_group=logs.name),
            tags=self._tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[permissions]),
        )
        return function, permissions


def checked(name: str, args: InterruptionHandlerArgs) -> InterruptionHandlerArgs:
    """The arguments, whole and sound; InvalidArgs otherwise. For programs that want to know before they declare anything."""
    faults = Faults("InterruptionHandler", name)
    rules = {
        "log_retention_days": Rule("one of " + ", ".join(map(str, RETENTION_DAYS)), lambda days: days in RETENTION_DAYS),
        "alarm_topic_arn": like(r"arn:[\w-]+:sns:[\w-]+:\d{12}:[\w-]+", "the ARN of an SNS topic, arn:aws:sns:REGION:ACCOUNT:NAME"),
    }
    given = faults.read(InterruptionHandlerArgs, args, rules)
    groups = given.get("group_names", [])
    for index, group in enumerate(groups):
        if isinstance(group, str) and (group == "" or "*" in group or ":" in group):
            faults.add(f"group_names[{index}]", group, "the name of an Auto Scaling group, not its ARN and no pattern")
        if isinstance(group, str) and group in groups[:index]:
            faults.add(f"group_names[{index}]", group, "each group once")
    check_tags(faults, given.get("tags"))
    faults.raise_any()
    return given
