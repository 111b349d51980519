"""Fault Injection Service: experiment templates, and experiments that interrupt Spot instances."""

import asyncio
import math
import random
import re
import time
import uuid
from typing import Any

from lab.cloud.market import emulator
from lab.cloud.market.instance import Instance
from lab.cloud.market.instances import Instances
from lab.cloud.market.interruption import Interruption
from lab.cloud.market.interruptions import Interruptions
from lab.cloud.market.json_service import JsonService
from lab.cloud.market.query import Refusal

ACTION = "aws:ec2:send-spot-instance-interruptions"
MOST_TARGETS = 5
"""Spot instances that one action takes. https://docs.aws.amazon.com/fis/latest/userguide/fis-quotas.html"""


class Experiments:
    """Serves FIS: a started experiment sends rebalance recommendations at once and notices two minutes before `durationBeforeInterruption` ends.

    The two minutes are `notice_seconds`. A stop condition is looked at when it starts and before each notice.
    Does not prove: the experiment's role and its permissions, other actions.
    """

    def __init__(self, instances: Instances, interruptions: Interruptions, *, notice_seconds: float = 120.0) -> None:
        self._instances = instances
        self._interruptions = interruptions
        self._notice_seconds = notice_seconds
        self._templates: dict[str, dict[str, Any]] = {}
        self._experiments: dict[str, dict[str, Any]] = {}
        self.service = JsonService(
            "fis",
            {
                "CreateExperimentTemplate": self._create,
                "GetExperimentTemplate": lambda request: {"experimentTemplate": self._template(request["id"])},
                "UpdateExperimentTemplate": self._update,
                "DeleteExperimentTemplate": self._delete,
                "ListExperimentTemplates": lambda _: {"experimentTemplates": list(self._templates.values())},
                "StartExperiment": self._start,
                "GetExperiment": lambda request: {"experiment": self._experiment(request["id"])},
                "ListExperiments": lambda _: {"experiments": list(self._experiments.values())},
                "StopExperiment": self._stop,
                "TagResource": self._tag,
                "UntagResource": self._untag,
                "ListTagsForResource": lambda request: {"tags": self._tagged(request["resourceArn"]).get("tags", {})},
            },
        )

    def _create(self, request: dict[str, Any]) -> dict[str, Any]:
        account, region = emulator.scope()
        template_id = "EXT" + uuid.uuid4().hex[:15]
        now = time.time()
        template = {
            "id": template_id,
            "arn": f"arn:aws:fis:{region}:{account}:experiment-template/{template_id}",
            "creationTime": now,
            "lastUpdateTime": now,
            "tags": {},
            **{name: value for name, value in request.items() if name != "clientToken"},
        }
        _check(template)
        self._templates[template_id] = template
        return {"experimentTemplate": template}

    def _update(self, request: dict[str, Any]) -> dict[str, Any]:
        template = self._template(request["id"])
        changed = {**template, **request, "lastUpdateTime": time.time()}
        _check(changed)
        template.update(changed)
        return {"experimentTemplate": template}

    def _delete(self, request: dict[str, Any]) -> dict[str, Any]:
        template = self._template(request["id"])
        del self._templates[template["id"]]
        return {"experimentTemplate": template}

    def _start(self, request: dict[str, Any]) -> dict[str, Any]:
        template = self._template(request["experimentTemplateId"])
        account, region = emulator.scope()
        experiment_id = "EXP" + uuid.uuid4().hex[:15]
        now = time.time()
        experiment = {
            **{name: template[name] for name in ("roleArn", "targets", "actions", "stopConditions") if name in template},
            "id": experiment_id,
            "arn": f"arn:aws:fis:{region}:{account}:experiment/{experiment_id}",
            "experimentTemplateId": template["id"],
            "creationTime": now,
            "startTime": now,
            "state": {"status": "running", "reason": "Experiment is running."},
            "tags": request.get("tags", {}),
        }
        self._experiments[experiment_id] = experiment
        if self._halted(experiment):
            return {"experiment": experiment}
        longest = 0.0
        for action in template["actions"].values():
            targets = self._resolve(template["targets"][action["targets"]["SpotInstances"]])
            if not targets:
                self._finish(experiment, "failed", "Target resolution returned empty set")
            elif len(targets) > MOST_TARGETS:
                self._finish(experiment, "failed", f"Target resolution exceeded the quota of {MOST_TARGETS} Spot instances for {ACTION}")
            if experiment["state"]["status"] == "failed":
                return {"experiment": experiment}
            # The duration includes the notice: PT2M warns now. A lab that shortens the notice shortens what comes before it alike.
            ahead = (_minutes(action["parameters"]["durationBeforeInterruption"]) - 2) * self._notice_seconds / 2
            longest = max(longest, ahead + self._notice_seconds)
            for instance in targets:
                self._interruptions.recommend_rebalance(instance)
                asyncio.get_running_loop().call_later(ahead, self._interrupt, experiment, instance)
        asyncio.get_running_loop().call_later(longest, self._finish, experiment, "completed", "Experiment completed.")
        return {"experiment": experiment}

    def _interrupt(self, experiment: dict[str, Any], instance: Instance) -> None:
        if not self._halted(experiment) and experiment["state"]["status"] == "running":
            self._interruptions.interrupt(instance, Interruption(self._notice_seconds, reason="instance-terminated-by-experiment"))

    def _halted(self, experiment: dict[str, Any]) -> bool:
        """Stop it if one of its alarms stands; whether that is so."""
        alarms = [one["value"] for one in experiment.get("stopConditions") or [] if one["source"] == "aws:cloudwatch:alarm"]
        if not any(emulator.alarm_state(arn) == "ALARM" for arn in alarms):
            return False
        self._finish(experiment, "stopped", "Experiment halted by stop condition.")
        return True

    def _stop(self, request: dict[str, Any]) -> dict[str, Any]:
        experiment = self._experiment(request["id"])
        self._finish(experiment, "stopped", "Experiment halted by user action.")
        return {"experiment": experiment}

    def _finish(self, experiment: dict[str, Any], status: str, reason: str) -> None:
        if experiment["state"]["status"] == "running":
            experiment["state"] = {"status": status, "reason": reason}
            experiment["endTime"] = time.time()

    def _resolve(self, target: dict[str, Any]) -> list[Instance]:
        states = [value for one in target.get("filters") or [] if one["path"] == "State.Name" for value in one["values"]]
        arns = target.get("resourceArns") or []
        wanted = target.get("resourceTags") or {}
        found = [
            one
            for one in self._instances.all()
            if one.spot_request
            and one.present
            and (not states or one.state in states)
            and (one.id in [arn.rpartition("/")[2] for arn in arns] if arns else wanted.items() <= emulator.tags(one.id).items())
        ]
        mode = target["selectionMode"]
        random.shuffle(found)
        if count := re.fullmatch(r"COUNT\((\d+)\)", mode):
            return found[: int(count[1])]
        if percent := re.fullmatch(r"PERCENT\((\d+)\)", mode):
            return found[: math.floor(len(found) * int(percent[1]) / 100)]
        return found

    def _template(self, template_id: str) -> dict[str, Any]:
        if template_id not in self._templates:
            raise Refusal("ResourceNotFoundException", f"Experiment template {template_id} does not exist.")
        return self._templates[template_id]

    def _experiment(self, experiment_id: str) -> dict[str, Any]:
        if experiment_id not in self._experiments:
            raise Refusal("ResourceNotFoundException", f"Experiment {experiment_id} does not exist.")
        return self._experiments[experiment_id]

    def _tagged(self, arn: str) -> dict[str, Any]:
        for one in (*self._templates.values(), *self._experiments.values()):
            if one["arn"] == arn:
                return one
        raise Refusal("ResourceNotFoundException", f"{arn} does not exist.")

    def _tag(self, request: dict[str, Any]) -> dict[str, Any]:
        self._tagged(request["resourceArn"]).setdefault("tags", {}).update(request["tags"])
        return {}

    def _untag(self, request: dict[str, Any]) -> dict[str, Any]:
        tags = self._tagged(request["resourceArn"]).get("tags", {})
        for key in request.get("tagKeys", []):
            tags.pop(key, None)
        return {}


def _minutes(duration: str) -> int:
    """Minutes of `PT2M`. Raises Refusal outside what FIS takes."""
    found = re.fullmatch(r"PT(\d+)M", duration)
    if found is None or not 2 <= int(found[1]) <= 15:
        raise Refusal("ValidationException", f"durationBeforeInterruption: {duration} is not between PT2M and PT15M.")
    return int(found[1])


def _check(template: dict[str, Any]) -> None:
    """Refuse what FIS would not accept in a template that interrupts Spot instances."""
    targets = template.get("targets") or {}
    for name, action in template["actions"].items():
        if action["actionId"] != ACTION:
            raise Refusal("ValidationException", f"Action {name}: {action['actionId']} is more than the lab can do; it knows {ACTION}.")
        if action.get("targets", {}).get("SpotInstances") not in targets:
            raise Refusal("ValidationException", f"Action {name}: its target SpotInstances names none of {', '.join(targets) or 'no targets'}.")
        _minutes((action.get("parameters") or {}).get("durationBeforeInterruption", ""))
    for name, target in targets.items():
        if target["resourceType"] != "aws:ec2:spot-instance":
            raise Refusal("ValidationException", f"Target {name}: resource type {target['resourceType']} does not fit {ACTION}.")
        if re.fullmatch(r"ALL|COUNT\([1-9]\d*\)|PERCENT\([1-9]\d*\)", target["selectionMode"]) is None:
            raise Refusal("ValidationException", f"Target {name}: selection mode {target['selectionMode']} is none of ALL, COUNT(n), PERCENT(n).")
        if not target.get("resourceTags") and not target.get("resourceArns"):
            raise Refusal("ValidationException", f"Target {name}: resource ARNs or resource tags are required.")
    if not template["stopConditions"]:
        raise Refusal("ValidationException", "At least one stop condition is required; its source may be none.")
