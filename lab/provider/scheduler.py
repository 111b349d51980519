"""EventBridge Scheduler schedules."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from lab.provider import shapes
from lab.provider.events import schedule_faults
from lab.provider.fault import Fault
from lab.provider.resource import Resource, resource
from lab.provider.wanted import Wanted
from lab.provider.wire import Properties


@resource("scheduler/schedule:Schedule")
class Schedule(Resource):
    auto_name = "name"
    replaced_by = frozenset({"name", "namePrefix", "groupName"})
    outputs = ("arn",)
    shape = ("scheduler", "CreateSchedule")
    renames: ClassVar[Mapping[str, str]] = {"maximumWindowInMinutes": "MaximumWindowInMinutes"}

    def create(self, wanted: Properties) -> str:
        self.client("scheduler").create_schedule(**self._settings(wanted))
        return f"{wanted.get('groupName', 'default')}/{wanted['name']}"

    def read(self, identity: str, known: Properties) -> Properties:
        group, _, name = identity.partition("/")
        found = self.client("scheduler").get_schedule(GroupName=group, Name=name)
        target = {"arn": found["Target"]["Arn"], "roleArn": found["Target"]["RoleArn"], "input": found["Target"].get("Input")}
        return {
            "name": name,
            "groupName": group,
            "arn": found["Arn"],
            "state": found.get("State", "ENABLED"),
            "scheduleExpression": found["ScheduleExpression"],
            "flexibleTimeWindow": {"mode": found["FlexibleTimeWindow"]["Mode"]},
            "target": {key: value for key, value in target.items() if value},
        }

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        self.client("scheduler").update_schedule(**self._settings(new))

    def delete(self, identity: str, known: Properties) -> None:
        group, _, name = identity.partition("/")
        self.client("scheduler").delete_schedule(GroupName=group, Name=name)

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        if (expression := wanted.get("scheduleExpression")) is not None:
            yield from schedule_faults("scheduleExpression", expression, once=True)
        window = wanted.get("flexibleTimeWindow")
        if isinstance(window, Wanted) and window.get("mode") in ("OFF", "FLEXIBLE"):
            needs = window["mode"] == "FLEXIBLE"
            if needs != window.given("maximumWindowInMinutes"):
                wording = "ValidationException: MaximumWindowInMinutes is needed with a FLEXIBLE window, and only with it"
                yield Fault("flexibleTimeWindow.maximumWindowInMinutes", wording)

    def _settings(self, wanted: Properties) -> Properties:
        return shapes.request(wanted, shapes.input_shape(*self.shape), self.renames)
