"""FIS experiment templates."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from lab.provider.fault import Fault
from lab.provider.resource import Resource, lost_tags, resource
from lab.provider.wanted import Wanted
from lab.provider.wire import Properties

_STOPS = ("none", "aws:cloudwatch:alarm")
_MODE = re.compile(r"ALL|COUNT\([1-9]\d*\)|PERCENT\(([1-9]\d?|100)\)")
_DURATION = re.compile(r"P(?=.)(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+S)?)?")
_INTERRUPT = "aws:ec2:send-spot-instance-interruptions"
_INTERRUPTED_AT_ONCE = 5
_MOST_ARNS = 5
_START = "ValidationException: "


@resource("fis/experimentTemplate:ExperimentTemplate")
class ExperimentTemplate(Resource):
    outputs = ()

    def create(self, wanted: Properties) -> str:
        made = self.client("fis").create_experiment_template(**_settings(wanted), tags=wanted.get("tags") or {})
        return made["experimentTemplate"]["id"]

    def read(self, identity: str, known: Properties) -> Properties:
        template = self.client("fis").get_experiment_template(id=identity)["experimentTemplate"]
        return {
            "description": template["description"],
            "roleArn": template["roleArn"],
            "stopConditions": template["stopConditions"],
            "actions": [_declared_action(name, action) for name, action in template.get("actions", {}).items()],
            "targets": [_declared_target(name, target) for name, target in template.get("targets", {}).items()],
            **({"experimentOptions": template["experimentOptions"]} if template.get("experimentOptions") else {}),
            "tags": template.get("tags", {}),
        }

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        settings = _settings(new)
        # accountTargeting is chosen once, at creation.
        options = {name: value for name, value in settings.pop("experimentOptions", {}).items() if name != "accountTargeting"}
        self.client("fis").update_experiment_template(id=identity, **settings, **({"experimentOptions": options} if options else {}))
        arn = self.client("fis").get_experiment_template(id=identity)["experimentTemplate"]["arn"]
        if lost := lost_tags(old, new):
            self.client("fis").untag_resource(resourceArn=arn, tagKeys=lost)
        if new.get("tags"):
            self.client("fis").tag_resource(resourceArn=arn, tags=new["tags"])

    def delete(self, identity: str, known: Properties) -> None:
        self.client("fis").delete_experiment_template(id=identity)

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        for index, stop in enumerate(wanted.get("stopConditions", [])):
            if stop.get("source", "none") not in _STOPS:
                wording = f"{_START}Stop condition source is not valid"
                yield Fault.allowed(f"stopConditions[{index}].source", stop["source"], wording, ", ".join(_STOPS))
            elif stop.get("source") == "aws:cloudwatch:alarm" and not stop.given("value"):
                yield Fault(f"stopConditions[{index}].value", f"{_START}Stop condition of an alarm must have the alarm's ARN as its value")
        names = [target.get("name") for target in wanted.get("targets", [])]
        for index, target in enumerate(wanted.get("targets", [])):
            yield from _target_faults(f"targets[{index}]", target)
        if wanted.known("actions") and not wanted.get("actions"):
            yield Fault("actions", f"{_START}Template must contain at least one action")
        for index, action in enumerate(wanted.get("actions", [])):
            yield from _action_faults(f"actions[{index}]", action, names if wanted.known("targets") else None)


def _target_faults(path: str, target: Wanted) -> Iterator[Fault]:
    mode = target.get("selectionMode")
    if mode is not None and not _MODE.fullmatch(mode):
        yield Fault.allowed(f"{path}.selectionMode", mode, f"{_START}Selection mode is not valid", "ALL, COUNT(N), PERCENT(1 to 100)")
    count = re.fullmatch(r"COUNT\((\d+)\)", mode or "")
    if count and target.get("resourceType") == "aws:ec2:spot-instance" and int(count[1]) > _INTERRUPTED_AT_ONCE:
        wording = f"{_START}Up to {_INTERRUPTED_AT_ONCE} Spot instances per action"
        yield Fault.allowed(f"{path}.selectionMode", mode, wording, f"COUNT(1) to COUNT({_INTERRUPTED_AT_ONCE})")
    if target.given("resourceArns") == target.given("resourceTags"):
        yield Fault(f"{path}.resourceTags", f"{_START}Target must specify either resourceArns or resourceTags")
    if len(target.get("resourceArns", [])) > _MOST_ARNS:
        yield Fault.allowed(f"{path}.resourceArns", len(target["resourceArns"]), f"{_START}Too many resource ARNs", f"up to {_MOST_ARNS}")


def _action_faults(path: str, action: Wanted, targets: list[Any] | None) -> Iterator[Fault]:
    used = (action.get("target") or {}).get("value")
    if used is not None and targets is not None and used not in targets:
        wording = f"{_START}Action refers to the target {used!r}, which the template does not have"
        yield Fault.allowed(f"{path}.target.value", used, wording, ", ".join(map(str, targets)) or "none")
    if action.get("actionId") != _INTERRUPT:
        return
    if (key := (action.get("target") or {}).get("key", "SpotInstances")) != "SpotInstances":
        yield Fault.allowed(f"{path}.target.key", key, f"{_START}Target key is not valid for action {_INTERRUPT}", "SpotInstances")
    if not action.known("parameters"):
        return
    parameters = {one.get("key"): one for one in action.get("parameters", [])}
    for name in parameters:
        if name != "durationBeforeInterruption":
            wording = f"{_START}Parameter {name} is not valid for action {_INTERRUPT}"
            yield Fault.allowed(f"{path}.parameters", name, wording, "durationBeforeInterruption")
    given = parameters.get("durationBeforeInterruption")
    if given is None:
        yield Fault(
            f"{path}.parameters", f"{_START}Missing required parameter durationBeforeInterruption for action {_INTERRUPT}; allowed: PT2M to PT15M"
        )
    elif (text := given.get("value")) is not None and not (_DURATION.fullmatch(text) and 120 <= _seconds(text) <= 900):
        wording = f"{_START}Value {text} for durationBeforeInterruption is not valid"
        yield Fault.allowed(f"{path}.parameters", text, wording, "PT2M to PT15M, the two minutes of notice included")


def _seconds(duration: str) -> int:
    sizes = {"D": 86_400, "H": 3_600, "M": 60, "S": 1}
    return sum(int(number) * sizes[unit] for number, unit in re.findall(r"(\d+)([DHMS])", duration))


def _settings(wanted: Properties) -> Properties:
    settings = {name: wanted[name] for name in ("description", "roleArn", "stopConditions", "experimentOptions") if wanted.get(name)}
    settings["actions"] = {action["name"]: _action(action) for action in wanted.get("actions", [])}
    settings["targets"] = {target["name"]: _target(target) for target in wanted.get("targets", [])}
    if log := wanted.get("logConfiguration"):
        cloudwatch, bucket = log.get("cloudwatchLogsConfiguration"), log.get("s3Configuration")
        settings["logConfiguration"] = {
            "logSchemaVersion": int(log["logSchemaVersion"]),
            **({"cloudWatchLogsConfiguration": cloudwatch} if cloudwatch else {}),
            **({"s3Configuration": bucket} if bucket else {}),
        }
    return settings


def _action(action: Mapping[str, Any]) -> Properties:
    made: Properties = {"actionId": action["actionId"], "parameters": {one["key"]: one["value"] for one in action.get("parameters", [])}}
    if action.get("target"):
        made["targets"] = {action["target"]["key"]: action["target"]["value"]}
    return made | {name: value for name, value in (("description", action.get("description")), ("startAfter", action.get("startAfters"))) if value}


def _target(target: Mapping[str, Any]) -> Properties:
    made: Properties = {"resourceType": target["resourceType"], "selectionMode": target["selectionMode"]}
    tags = {one["key"]: one["value"] for one in target.get("resourceTags", [])}
    parts = (("resourceTags", tags), ("resourceArns", target.get("resourceArns")), ("filters", target.get("filters")))
    return made | {name: value for name, value in parts if value}


def _declared_action(name: str, action: Mapping[str, Any]) -> Properties:
    shown: Properties = {"name": name, "actionId": action["actionId"], "parameters": _pairs(action.get("parameters"))}
    if action.get("targets"):
        shown["target"] = _pairs(action["targets"])[0]
    return shown | {ours: action[aws] for ours, aws in (("description", "description"), ("startAfters", "startAfter")) if action.get(aws)}


def _declared_target(name: str, target: Mapping[str, Any]) -> Properties:
    shown = {"name": name, "resourceType": target["resourceType"], "selectionMode": target["selectionMode"]}
    parts = (("resourceTags", _pairs(target.get("resourceTags"))), ("resourceArns", target.get("resourceArns")), ("filters", target.get("filters")))
    return shown | {ours: value for ours, value in parts if value}


def _pairs(entries: Mapping[str, str] | None) -> list[Properties]:
    return [{"key": key, "value": value} for key, value in (entries or {}).items()]
