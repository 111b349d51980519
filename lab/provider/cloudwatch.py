"""CloudWatch alarms."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from lab.provider import shapes
from lab.provider.fault import Fault
from lab.provider.resource import Resource, lost_tags, resource, tag_list, tag_map
from lab.provider.wanted import Wanted
from lab.provider.wire import Properties

_SHORT_PERIODS = (10, 20, 30)
_DAY = 86_400
_WEEK = 604_800
_MISSING = ("breaching", "notBreaching", "ignore", "missing")
_TEXTS = {
    "alarmDescription": "AlarmDescription",
    "namespace": "Namespace",
    "metricName": "MetricName",
    "statistic": "Statistic",
    "extendedStatistic": "ExtendedStatistic",
    "comparisonOperator": "ComparisonOperator",
    "unit": "Unit",
}


@resource("cloudwatch/metricAlarm:MetricAlarm")
class MetricAlarm(Resource):
    auto_name = "name"
    replaced_by = frozenset({"name"})
    outputs = ("arn",)
    shape = ("cloudwatch", "PutMetricAlarm")
    renames: ClassVar[Mapping[str, str]] = {"name": "AlarmName", "metricQueries": "Metrics", "okActions": "OKActions"}

    def create(self, wanted: Properties) -> str:
        self.client("cloudwatch").put_metric_alarm(**self._settings(wanted), Tags=tag_list(wanted.get("tags")))
        return wanted["name"]

    def read(self, identity: str, known: Properties) -> Properties | None:
        alarms = self.client("cloudwatch").describe_alarms(AlarmNames=[identity])["MetricAlarms"]
        if not alarms:
            return None
        alarm = alarms[0]
        tags = self.client("cloudwatch").list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]
        return {
            **{name: alarm.get(aws) for name, aws in _TEXTS.items()},
            "name": identity,
            "arn": alarm["AlarmArn"],
            "period": alarm.get("Period"),
            "threshold": alarm.get("Threshold"),
            "evaluationPeriods": alarm["EvaluationPeriods"],
            "datapointsToAlarm": alarm.get("DatapointsToAlarm"),
            "treatMissingData": alarm.get("TreatMissingData", "missing"),
            "actionsEnabled": alarm.get("ActionsEnabled", True),
            "alarmActions": alarm.get("AlarmActions", []),
            "okActions": alarm.get("OKActions", []),
            "insufficientDataActions": alarm.get("InsufficientDataActions", []),
            "dimensions": {one["Name"]: one["Value"] for one in alarm.get("Dimensions", [])},
            "tags": tag_map(tags),
        }

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        self.client("cloudwatch").put_metric_alarm(**self._settings(new))
        arn = self.client("cloudwatch").describe_alarms(AlarmNames=[identity])["MetricAlarms"][0]["AlarmArn"]
        if lost := lost_tags(old, new):
            self.client("cloudwatch").untag_resource(ResourceARN=arn, TagKeys=lost)
        if new.get("tags"):
            self.client("cloudwatch").tag_resource(ResourceARN=arn, Tags=tag_list(new["tags"]))

    def delete(self, identity: str, known: Properties) -> None:
        self.client("cloudwatch").delete_alarms(AlarmNames=[identity])

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        missing = wanted.get("treatMissingData", "missing")
        if missing not in _MISSING:
            yield Fault.allowed(
                "treatMissingData", missing, f"ValidationError: Value {missing} for TreatMissingData is not valid", ", ".join(_MISSING)
            )
        period, count = wanted.get("period"), wanted.get("evaluationPeriods", 1)
        if period is not None and period not in _SHORT_PERIODS and (period < 60 or period % 60):
            yield Fault.allowed("period", period, "ValidationError: Invalid Period", "10, 20, 30 or a multiple of 60")
        elif period is not None and period * count > (_DAY if period < 3_600 else _WEEK):
            wording = "ValidationError: Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400)"
            yield Fault.allowed("evaluationPeriods", count, wording, "a product up to 86400, or up to 604800 where the period is an hour or more")
        if (points := wanted.get("datapointsToAlarm")) is not None and points > count:
            yield Fault.allowed("datapointsToAlarm", points, "ValidationError: DatapointsToAlarm is above EvaluationPeriods", f"1 to {count}")
        if wanted.given("metricName") == wanted.given("metricQueries"):
            yield Fault("metricName", "InvalidParameterCombination: exactly one of metricName and metricQueries must be given")
        if wanted.given("metricName"):
            for name in ("namespace", "period", "evaluationPeriods", "comparisonOperator"):
                if not wanted.given(name):
                    yield Fault(name, f"ValidationError: {name} is required with metricName")
            if wanted.given("statistic") == wanted.given("extendedStatistic"):
                yield Fault("statistic", "InvalidParameterCombination: Exactly one of Statistic and ExtendedStatistic must be specified")
        for name in ("alarmActions", "okActions", "insufficientDataActions"):
            for index, action in enumerate(wanted.get(name, [])):
                if not str(action).startswith("arn:"):
                    yield Fault.allowed(f"{name}[{index}]", action, f"ValidationError: Invalid arn syntax: {action}", "an ARN")

    def _settings(self, wanted: Properties) -> Properties:
        given = {name: value for name, value in wanted.items() if name not in ("tags", "dimensions", "region")}
        settings = shapes.request(given, shapes.input_shape(*self.shape), self.renames)
        if dimensions := wanted.get("dimensions"):
            settings["Dimensions"] = [{"Name": name, "Value": str(value)} for name, value in dimensions.items()]
        return settings
