import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi_spotbatch.aws import InterruptionHandler

from spotbatch.notice import EVENTS, WARNING_SECONDS
from tests.components.iam_lint import iam_faults
from tests.components.recorder import Deployment, deploy
from tests.components.samples import QUEUE

GROUP = "arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:*:autoScalingGroupName/workers"


def handler(preview: bool = False, **args: Any) -> Deployment:
    given: Any = {"queue": QUEUE, **args}
    return deploy(lambda: InterruptionHandler("h", given), preview=preview)


def statements(deployment: Deployment, name: str, kind: str = "RolePolicy") -> list[dict[str, Any]]:
    return json.loads(next(request for request in deployment.all(kind) if request.name == name).inputs["policy"])["Statement"]


def actions(deployment: Deployment, name: str) -> set[str]:
    found: set[str] = set()
    for statement in statements(deployment, name):
        found |= {statement["Action"]} if isinstance(statement["Action"], str) else set(statement["Action"])
    return found


def one(deployment: Deployment, kind: str, name: str) -> dict[str, Any]:
    return next(request for request in deployment.all(kind) if request.name == name).inputs


def one_arn(deployment: Deployment, queue: str) -> str:
    """ARN of one of the handler's queues, as its own policy names it."""
    return statements(deployment, f"{queue}-policy", "QueuePolicy")[0]["Resource"]


def test_each_event_has_a_rule_with_its_pattern_and_description(preview: bool):
    rules = {rule.name: rule.inputs for rule in handler(preview, drill_source=True).all("EventRule")}
    for event in EVENTS:
        assert json.loads(rules[f"h-{event.name}"]["eventPattern"]) == event.pattern
        assert rules[f"h-{event.name}"]["description"] == event.description
    assert set(rules) == {f"h-{event.name}" for event in EVENTS} | {"h-sweep"}


def test_a_drill_source_is_there_only_when_asked_for():
    assert "h-drill" not in [rule.name for rule in handler().all("EventRule")]
    assert "spotbatch.drill" not in json.dumps([rule.inputs for rule in handler().all("EventRule")])


def test_an_event_that_cannot_be_delivered_is_tried_well_past_its_warning_and_then_kept():
    deployment = handler()
    for event in EVENTS:
        if not event.optional:
            target = one(deployment, "EventTarget", f"h-{event.name}")
            assert target["retryPolicy"]["maximumEventAgeInSeconds"] >= 10 * WARNING_SECONDS
            assert target["deadLetterConfig"] == {"arn": one_arn(deployment, "h-dead-letters")}
            assert target["arn"] == one_arn(deployment, "h-events")


@pytest.mark.parametrize("queue", ["events", "dead-letters"])
def test_exactly_the_rules_of_this_handler_may_send_to_its_queues_and_only_with_tls(queue: str):
    deployment = handler()
    allowed, denied = statements(deployment, f"h-{queue}-policy", "QueuePolicy")
    rules = list(deployment.outputs["h"]["ruleArns"].values())
    assert allowed["Principal"] == {"Service": "events.amazonaws.com"}
    assert allowed["Action"] == "sqs:SendMessage"
    assert sorted(allowed["Condition"]["ArnEquals"]["aws:SourceArn"]) == sorted(arn for arn in rules if "sweep" not in arn)
    assert denied["Effect"] == "Deny"
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert one(deployment, "Queue", f"h-{queue}")["sqsManagedSseEnabled"] is True


def test_no_rule_delivers_before_the_queue_lets_it():
    deployment = handler()
    policies = {request.urn for request in deployment.all("QueuePolicy")}
    for target in deployment.all("EventTarget"):
        if target.name != "h-sweep":
            assert policies <= {urn.replace("pulumi:pulumi:Stack$", "") for urn in target.raw.dependencies}


def test_a_failed_event_comes_back_in_time_for_three_tries_within_the_warning_and_then_becomes_a_dead_letter():
    deployment = handler()
    queue, function = one(deployment, "Queue", "h-events"), one(deployment, "Function", "h-notices")
    assert function["timeout"] <= queue["visibilityTimeoutSeconds"]
    assert 3 * queue["visibilityTimeoutSeconds"] < WARNING_SECONDS
    redrive = json.loads(queue["redrivePolicy"])
    assert redrive["deadLetterTargetArn"] == one_arn(deployment, "h-dead-letters")
    assert redrive["maxReceiveCount"] >= 5
    assert one(deployment, "Queue", "h-dead-letters")["messageRetentionSeconds"] > queue["messageRetentionSeconds"] >= 12 * 3600


def test_events_reach_the_function_at_once_in_batches_that_may_fail_in_part():
    mapping = handler().only("EventSourceMapping").inputs
    assert mapping["batchSize"] == 10
    assert mapping["maximumBatchingWindowInSeconds"] == 0
    assert mapping["functionResponseTypes"] == ["ReportBatchItemFailures"]
    assert 2 <= mapping["scalingConfig"]["maximumConcurrency"] <= 10


def test_the_timer_asks_for_a_sweep_each_minute_and_may_call_no_other_function():
    deployment = handler()
    target, permission = one(deployment, "EventTarget", "h-sweep"), deployment.only("Permission").inputs
    assert one(deployment, "EventRule", "h-sweep")["scheduleExpression"] == "rate(1 minute)"
    assert json.loads(target["input"]) == {"spotbatch": "sweep"}
    assert permission["principal"] == "events.amazonaws.com"
    assert permission["sourceArn"] == deployment.outputs["h"]["ruleArns"]["sweep"]
    # Sweeps may overlap without harm, but each should be over before the next.
    assert one(deployment, "Function", "h-sweep")["timeout"] <= 60


NOTICES = {"SPOTBATCH_QUEUE", "SPOTBATCH_METRICS", "SPOTBATCH_EVENTS_QUEUE", "SPOTBATCH_DEAD_LETTERS", "SPOTBATCH_GROUPS"}


@pytest.mark.parametrize(("role", "names"), [("notices", NOTICES), ("sweep", {"SPOTBATCH_QUEUE", "SPOTBATCH_METRICS"})])
def test_a_function_finds_what_it_works_with_in_its_environment(role: str, names: set[str]):
    function = one(handler(group_names=["workers", "others"]), "Function", f"h-{role}")
    variables = function["environment"]["variables"]
    assert set(variables) == names
    assert variables["SPOTBATCH_QUEUE"] == QUEUE["url"]
    assert variables.get("SPOTBATCH_GROUPS", "workers,others") == "workers,others"
    assert function["runtime"] == "python3.13"
    module, _, name = function["handler"].rpartition(".")
    assert callable(getattr(importlib.import_module(module), name))


@pytest.mark.parametrize("role", ["notices", "sweep"])
def test_a_function_logs_to_a_group_made_first_that_forgets(role: str):
    deployment = handler(log_retention_days=14)
    assert one(deployment, "LogGroup", f"h-{role}")["retentionInDays"] == 14
    assert one(deployment, "Function", f"h-{role}")["loggingConfig"]["logGroup"].startswith(f"h-{role}")


def test_the_archive_is_the_runtime_alone():
    files = set(one(handler(), "Function", "h-notices")["code"])
    assert {"spotbatch/__init__.py", "spotbatch/notice.py", "spotbatch/clouds/aws_lambda.py"} <= files
    assert [name for name in files if not name.startswith("spotbatch/") or not name.endswith(".py")] == []
    assert [name for name in files if "tools" in name or name.startswith("spotbatch/clouds/local")] == []


def test_the_archive_alone_with_what_lambda_has_is_enough_to_start_the_function(tmp_path: Path):
    function = one(handler(), "Function", "h-notices")
    for name, path in function["code"].items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / name)
    start = f"""
import importlib, sys
sys.path.insert(0, {str(tmp_path)!r})
module = importlib.import_module({function["handler"].rpartition(".")[0]!r})
assert module.__file__.startswith({str(tmp_path)!r})
print(*sorted({{name.split(".")[0] for name in sys.modules}} - set(sys.stdlib_module_names)))
"""
    loaded = subprocess.run([sys.executable, "-I", "-c", start], capture_output=True, text=True, check=True).stdout.split()
    assert {"spotbatch", "botocore"} <= set(loaded)
    assert not {"boto3", "pulumi", "pydantic", "rich", "typer"} & set(loaded)


def test_the_functions_can_end_no_machine_and_touch_no_group_but_those_given():
    deployment = handler(group_names=["workers"])
    taken = [statement for statement in statements(deployment, "h-notices") if "autoscaling" in json.dumps(statement["Action"])]
    assert [statement["Resource"] for statement in taken] == [[GROUP]]
    assert actions(deployment, "h-notices") & {"autoscaling:DetachInstances", "autoscaling:CompleteLifecycleAction"}
    for role in ("h-notices", "h-sweep"):
        assert not [action for action in actions(deployment, role) if action.startswith(("ec2:", "iam:", "lambda:")) or action.endswith("*")]
        assert not [statement for statement in statements(deployment, role) if statement["Resource"] == "*"]
    assert not [action for action in actions(deployment, "h-sweep") | actions(handler(), "h-notices") if action.startswith("autoscaling:")]


def test_every_policy_is_sound():
    deployment = handler(group_names=["workers"], drill_source=True)
    found = {request.name: iam_faults(request.inputs["policy"]) for request in deployment.all("RolePolicy")}
    found |= {request.name: iam_faults(request.inputs["policy"], "queue") for request in deployment.all("QueuePolicy")}
    found |= {f"{request.name} trust": iam_faults(request.inputs["assumeRolePolicy"], "trust") for request in deployment.all("Role")}
    assert {name: faults for name, faults in found.items() if faults} == {}
    assert len(found) == 6


def test_a_group_in_another_partition_is_named_in_that_partition():
    queue = {**QUEUE, "arn": "arn:aws-cn:sqs:cn-north-1:123456789012:tasks"}
    deployment = deploy(lambda: InterruptionHandler("h", {"queue": queue, "group_names": ["workers"]}))  # pyright: ignore[reportArgumentType]
    text = json.dumps(statements(deployment, "h-notices"))
    assert "arn:aws-cn:autoscaling:cn-north-1:123456789012:autoScalingGroup:*:autoScalingGroupName/workers" in text


MUST_ALARM = {
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): {"QueueName": {"h-dead-letters", "tasks-dead-letters"}},
    ("AWS/SQS", "ApproximateAgeOfOldestMessage"): {"QueueName": {"h-events"}},
    ("AWS/Events", "FailedInvocations"): {"RuleName": {"h-interruption", "h-rebalance", "h-state", "h-hook", "h-scheduled", "h-drill", "h-sweep"}},
    ("AWS/Lambda", "Errors"): {"FunctionName": {"h-notices", "h-sweep"}},
    ("AWS/Lambda", "Throttles"): {"FunctionName": {"h-notices", "h-sweep"}},
    ("AWS/Lambda", "Invocations"): {"FunctionName": {"h-sweep"}},
    ("spotbatch", "NoticesWithoutDrain"): {"Queue": {"tasks"}},
}


def test_everything_that_must_not_happen_raises_an_alarm():
    found: dict[tuple[str, str], dict[str, set[str]]] = {}
    for alarm in handler(drill_source=True).all("MetricAlarm"):
        of = found.setdefault((alarm.inputs["namespace"], alarm.inputs["metricName"]), {})
        for dimension, value in alarm.inputs["dimensions"].items():
            of.setdefault(dimension, set()).add(value.removesuffix("-name"))
        assert alarm.inputs["alarmDescription"]
    assert found == MUST_ALARM


def test_alarms_stay_quiet_while_nothing_happens_but_for_the_sweep_that_must_happen():
    for alarm in handler().all("MetricAlarm"):
        missing, compared = alarm.inputs["treatMissingData"], alarm.inputs["comparisonOperator"]
        if alarm.name == "h-no-sweep":
            assert (missing, compared, alarm.inputs["threshold"]) == ("breaching", "LessThanOrEqualToThreshold", 0)
            assert alarm.inputs["warmUpConfiguration"] == {"warmUpPeriodDurationInMinutes": 5}
        else:
            assert (missing, compared) == ("notBreaching", "GreaterThanThreshold")


def test_messages_that_wait_for_a_deadline_do_not_set_off_the_alarm_on_old_events():
    assert one(handler(), "MetricAlarm", "h-oldest-event")["threshold"] > WARNING_SECONDS


def test_alarms_tell_the_topic_if_there_is_one():
    topic = "arn:aws:sns:us-east-1:123456789012:on-call"
    for alarm in handler(alarm_topic_arn=topic).all("MetricAlarm"):
        assert alarm.inputs["alarmActions"] == alarm.inputs["okActions"] == [topic]
    assert "alarmActions" not in handler().all("MetricAlarm")[0].inputs


def test_outputs_name_each_rule_and_alarm(preview: bool):
    outputs = handler(preview).outputs["h"]
    if not preview:
        assert set(outputs["ruleArns"]) == {event.name for event in EVENTS if not event.optional} | {"sweep"}
        assert {"dead-letters", "oldest-event", "no-sweep", "notices-errors", "interruption-undelivered"} <= set(outputs["alarmArns"])


@pytest.mark.parametrize(
    ("args", "fault"),
    [
        ({"log_retention_days": 8}, "log_retention_days: 8 is not allowed; allowed: one of 1, 3, 5, 7, 14"),
        ({"alarm_topic_arn": "on-call"}, "alarm_topic_arn: 'on-call' is not allowed; allowed: the ARN of an SNS topic"),
        ({"group_names": ["arn:aws:autoscaling:x"]}, "group_names[0]: 'arn:aws:autoscaling:x' is not allowed; allowed: the name of"),
        ({"group_names": ["*"]}, "group_names[0]: '*' is not allowed"),
        ({"group_names": ["a", "a"]}, "group_names[1]: 'a' is not allowed; allowed: each group once"),
        ({"drill_source": "no"}, "drill_source: 'no' is not allowed; allowed: true or false"),
        ({"queue": {"url": "x"}}, "queue.arn: missing"),
    ],
    ids=str,
)
def test_a_wrong_argument_is_refused_before_anything_is_declared(args: dict[str, Any], fault: str):
    with pytest.raises(pulumi.RunError) as raised:
        handler(**args)
    assert fault in str(raised.value)
