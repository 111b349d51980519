"""EventBridge rules and where their events go."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from lab.provider import shapes
from lab.provider.fault import Fault
from lab.provider.resource import Resource, lost_tags, resource, tag_list, tag_map
from lab.provider.wanted import Wanted
from lab.provider.wire import Properties

_OPERATORS = frozenset({"prefix", "suffix", "equals-ignore-case", "anything-but", "numeric", "exists", "cidr", "wildcard"})
"""https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html"""
_RATE = re.compile(r"rate\((\d+) (minute|minutes|hour|hours|day|days)\)")
_CRON = re.compile(r"cron\(\S+ \S+ \S+ \S+ \S+ \S+\)")
_START = "InvalidEventPatternException: Event pattern is not valid. Reason: "


@resource("cloudwatch/eventRule:EventRule")
class EventRule(Resource):
    auto_name = "name"
    replaced_by = frozenset({"name", "namePrefix", "eventBusName"})
    outputs = ("arn",)
    shape = ("events", "PutRule")

    def create(self, wanted: Properties) -> str:
        bus = wanted.get("eventBusName", "default")
        self.client("events").put_rule(**self._settings(wanted), Tags=tag_list(wanted.get("tags")))
        return wanted["name"] if bus == "default" else f"{bus}/{wanted['name']}"

    def read(self, identity: str, known: Properties) -> Properties:
        bus, name = _bus_and_name(identity)
        rule = self.client("events").describe_rule(Name=name, EventBusName=bus)
        tags = self.client("events").list_tags_for_resource(ResourceARN=rule["Arn"])["Tags"]
        shown = {"eventPattern": rule.get("EventPattern"), "scheduleExpression": rule.get("ScheduleExpression"), "roleArn": rule.get("RoleArn")}
        state = {"name": name, "arn": rule["Arn"], "state": rule["State"], "eventBusName": rule.get("EventBusName") or bus}
        return {**state, "description": rule.get("Description", ""), "tags": tag_map(tags), **{key: value for key, value in shown.items() if value}}

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        arn = self.client("events").put_rule(**self._settings(new))["RuleArn"]
        if lost := lost_tags(old, new):
            self.client("events").untag_resource(ResourceARN=arn, TagKeys=lost)
        if new.get("tags"):
            self.client("events").tag_resource(ResourceARN=arn, Tags=tag_list(new["tags"]))

    def delete(self, identity: str, known: Properties) -> None:
        bus, name = _bus_and_name(identity)
        self.client("events").delete_rule(Name=name, EventBusName=bus, Force=bool(known.get("forceDestroy")))

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        if not (wanted.given("eventPattern") or wanted.given("scheduleExpression")):
            yield Fault("eventPattern", "ValidationException: Parameter(s) EventPattern or ScheduleExpression must be specified.")
        if (text := wanted.get("eventPattern")) is not None:
            yield from _pattern_faults(text)
        if (schedule := wanted.get("scheduleExpression")) is not None:
            yield from schedule_faults("scheduleExpression", schedule)
            if wanted.get("eventBusName", "default") != "default":
                yield Fault("scheduleExpression", "ValidationException: ScheduleExpression is supported only on the default event bus.")

    def _settings(self, wanted: Properties) -> Properties:
        names = {"description": "Description", "eventPattern": "EventPattern", "scheduleExpression": "ScheduleExpression", "roleArn": "RoleArn"}
        given = {aws: wanted[name] for name, aws in names.items() if wanted.get(name)}
        return {"Name": wanted["name"], "EventBusName": wanted.get("eventBusName", "default"), "State": wanted.get("state", "ENABLED"), **given}


@resource("cloudwatch/eventTarget:EventTarget")
class EventTarget(Resource):
    auto_name = "targetId"
    replaced_by = frozenset({"rule", "targetId", "eventBusName"})
    shape = ("events", "PutTargets", "Targets")
    renames: ClassVar[Mapping[str, str]] = {
        "targetId": "Id",
        "sqsTarget": "SqsParameters",
        "inputPaths": "InputPathsMap",
        "runCommandTargets": "RunCommandParameters",
    }

    def create(self, wanted: Properties) -> str:
        self.update("", {}, wanted)
        return f"{wanted['rule']}-{wanted['targetId']}"

    def read(self, identity: str, known: Properties) -> Properties | None:
        targets = self.client("events").list_targets_by_rule(Rule=known["rule"], EventBusName=known.get("eventBusName", "default"))["Targets"]
        target = next((one for one in targets if one["Id"] == known["targetId"]), None)
        if target is None:
            return None
        retry, letters = target.get("RetryPolicy") or {}, target.get("DeadLetterConfig") or {}
        ages = {"maximumEventAgeInSeconds": retry.get("MaximumEventAgeInSeconds"), "maximumRetryAttempts": retry.get("MaximumRetryAttempts")}
        shown = {
            "arn": target["Arn"],
            "rule": known["rule"],
            "targetId": target["Id"],
            "input": target.get("Input"),
            "roleArn": target.get("RoleArn"),
        }
        blocks = {"retryPolicy": ages if retry else None, "deadLetterConfig": {"arn": letters.get("Arn")} if letters else None}
        return {
            **{name: value for name, value in shown.items() if value},
            **{name: value for name, value in blocks.items() if value or name in known},
        }

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        target = shapes.request(
            {name: value for name, value in new.items() if name not in ("rule", "eventBusName", "region")},
            shapes.input_shape(*self.shape),
            self.renames,
        )
        bus = new.get("eventBusName", "default")
        outcome = self.client("events").put_targets(Rule=new["rule"], EventBusName=bus, Targets=[target])
        for failed in outcome.get("FailedEntries", []):
            raise ValueError(f"{failed['ErrorCode']}: {failed['ErrorMessage']}")

    def delete(self, identity: str, known: Properties) -> None:
        bus = known.get("eventBusName", "default")
        self.client("events").remove_targets(Rule=known["rule"], EventBusName=bus, Ids=[known["targetId"]], Force=bool(known.get("forceDestroy")))

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        inputs = [name for name in ("input", "inputPath", "inputTransformer") if wanted.given(name)]
        if len(inputs) > 1:
            wording = "ValidationException: Only one of Input, InputPath, or InputTransformer must be provided for a target"
            yield Fault.allowed(inputs[1], inputs, wording, "one of them")
        if (text := wanted.get("input")) is not None:
            try:
                json.loads(text)
            except ValueError as error:
                yield Fault.allowed("input", text, f"ValidationException: JSON syntax error in input for target: {error}", "JSON")
        arn = wanted.get("arn", "")
        if arn.endswith(".fifo") and not wanted.given("sqsTarget"):
            yield Fault(
                "sqsTarget", "ValidationException: Parameter(s) SqsParameters must be specified for target: a FIFO queue needs a messageGroupId"
            )
        letters = (wanted.get("deadLetterConfig") or {}).get("arn", "")
        if letters and ":sqs:" not in letters:
            wording = "ValidationException: The dead-letter queue of a target must be an SQS queue"
            yield Fault.allowed("deadLetterConfig.arn", letters, wording, "the ARN of a standard queue")
        elif letters.endswith(".fifo"):
            wording = "ValidationException: The dead-letter queue of a target must be a standard queue"
            yield Fault.allowed("deadLetterConfig.arn", letters, wording, "the ARN of a standard queue")


def schedule_faults(path: str, expression: str, once: bool = False) -> Iterator[Fault]:
    """A rate or cron expression that is none. `once`: a single time is one too, as the scheduler takes it."""
    wording = "ValidationException: Parameter ScheduleExpression is not valid."
    allowed = "rate(N minutes|hours|days), cron(MINUTES HOURS DAY MONTH WEEKDAY YEAR)" + (" or at(YYYY-MM-DDTHH:MM:SS)" if once else "")
    rate = _RATE.fullmatch(expression)
    is_rate = rate is not None and int(rate[1]) > 0 and (rate[1] == "1") == (not rate[2].endswith("s"))
    if not (is_rate or _CRON.fullmatch(expression) or (once and re.fullmatch(r"at\(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\)", expression))):
        yield Fault.allowed(path, expression, wording, allowed)


def _pattern_faults(text: str) -> Iterator[Fault]:
    try:
        pattern = json.loads(text)
    except ValueError as error:
        yield Fault.allowed("eventPattern", text, f"{_START}it is no JSON: {error}", "a JSON object")
        return
    if not isinstance(pattern, Mapping):
        yield Fault.allowed("eventPattern", text, f"{_START}Filter is not an object", "a JSON object")
    elif not pattern:
        yield Fault("eventPattern", f"{_START}Empty objects are not allowed")
    else:
        for reason in _branch_faults(pattern, ""):
            yield Fault("eventPattern", _START + reason)


def _branch_faults(branch: Mapping[str, Any], path: str) -> Iterator[str]:
    for key, value in branch.items():
        here = f"{path}.{key}" if path else key
        if key == "$or" and isinstance(value, list):
            for alternative in value:
                yield from _branch_faults(alternative, here) if isinstance(alternative, Mapping) else [f'"{here}" must be an array of objects']
        elif isinstance(value, Mapping):
            yield from _branch_faults(value, here) if value else ["Empty objects are not allowed"]
        elif not isinstance(value, list):
            yield f'"{here}" must be an object or an array (got {value!r}; allowed: [{json.dumps(value)}])'
        elif not value:
            yield f'Empty arrays are not allowed: "{here}"'
        else:
            for entry in value:
                if isinstance(entry, Mapping) and (len(entry) != 1 or set(entry) - _OPERATORS):
                    yield f'Unrecognized match type {", ".join(entry)} in "{here}"; allowed: {", ".join(sorted(_OPERATORS))}'
                elif isinstance(entry, list):
                    yield f'Match value must be String, number, true, false, or null: "{here}"'


def _bus_and_name(identity: str) -> tuple[str, str]:
    bus, _, name = identity.rpartition("/")
    return bus or "default", name
