"""CloudWatch log groups, and metrics made of their lines."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from lab.provider import shapes
from lab.provider.fault import Fault
from lab.provider.resource import Resource, lost_tags, resource
from lab.provider.wanted import Wanted
from lab.provider.wire import Properties

RETENTIONS = (0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
"""Days. 0 means for ever. https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html"""


@resource("cloudwatch/logGroup:LogGroup")
class LogGroup(Resource):
    auto_name = "name"
    replaced_by = frozenset({"name", "namePrefix", "logGroupClass"})
    outputs = ("arn",)
    shape = ("logs", "CreateLogGroup")
    renames: ClassVar[Mapping[str, str]] = {"name": "logGroupName"}

    def create(self, wanted: Properties) -> str:
        tags = {"tags": wanted["tags"]} if wanted.get("tags") else {}
        self.client("logs").create_log_group(logGroupName=wanted["name"], **tags)
        return wanted["name"]

    def finish(self, identity: str, wanted: Properties) -> None:
        self._retain(identity, wanted)

    def read(self, identity: str, known: Properties) -> Properties | None:
        groups = self.client("logs").describe_log_groups(logGroupNamePrefix=identity)["logGroups"]
        group = next((one for one in groups if one["logGroupName"] == identity), None)
        if group is None:
            return None
        arn = group["arn"].removesuffix(":*")
        tags = self.client("logs").list_tags_for_resource(resourceArn=arn).get("tags", {})
        return {"name": identity, "arn": arn, "retentionInDays": group.get("retentionInDays", 0), "tags": tags}

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        self._retain(identity, new)
        arn = self.arn("logs", f"log-group:{identity}")
        if lost := lost_tags(old, new):
            self.client("logs").untag_resource(resourceArn=arn, tagKeys=lost)
        if new.get("tags"):
            self.client("logs").tag_resource(resourceArn=arn, tags=new["tags"])

    def delete(self, identity: str, known: Properties) -> None:
        if not known.get("skipDestroy"):
            self.client("logs").delete_log_group(logGroupName=identity)

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        days = wanted.get("retentionInDays")
        if days is not None and days not in RETENTIONS:
            wording = shapes.constraint("logs", "retentionInDays", days, f"Member must satisfy enum value set: {list(RETENTIONS[1:])}")
            yield Fault.allowed("retentionInDays", days, wording, ", ".join(map(str, RETENTIONS)))

    def _retain(self, identity: str, wanted: Properties) -> None:
        if wanted.get("retentionInDays"):
            self.client("logs").put_retention_policy(logGroupName=identity, retentionInDays=int(wanted["retentionInDays"]))
        else:
            self.client("logs").delete_retention_policy(logGroupName=identity)


@resource("cloudwatch/logMetricFilter:LogMetricFilter")
class LogMetricFilter(Resource):
    auto_name = "name"
    replaced_by = frozenset({"name", "logGroupName"})
    shape = ("logs", "PutMetricFilter")
    renames: ClassVar[Mapping[str, str]] = {"name": "filterName", "pattern": "filterPattern"}

    def create(self, wanted: Properties) -> str:
        self.update("", {}, wanted)
        return wanted["name"]

    def read(self, identity: str, known: Properties) -> Properties | None:
        found = self.client("logs").describe_metric_filters(logGroupName=known["logGroupName"], filterNamePrefix=identity)["metricFilters"]
        one = next((one for one in found if one["filterName"] == identity), None)
        if one is None:
            return None
        metric = one["metricTransformations"][0]
        shown = {"name": metric["metricName"], "namespace": metric["metricNamespace"], "value": metric["metricValue"]}
        return {"name": identity, "logGroupName": known["logGroupName"], "pattern": one.get("filterPattern", ""), "metricTransformation": shown}

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        metric = new["metricTransformation"]
        names = {"name": "metricName", "namespace": "metricNamespace", "value": "metricValue", "unit": "unit"}
        made: Properties = {aws: str(metric[name]) for name, aws in names.items() if metric.get(name) is not None}
        if metric.get("defaultValue") is not None:
            made["defaultValue"] = float(metric["defaultValue"])
        target = {"logGroupName": new["logGroupName"], "filterName": new["name"], "filterPattern": new["pattern"]}
        self.client("logs").put_metric_filter(**target, metricTransformations=[made])

    def delete(self, identity: str, known: Properties) -> None:
        self.client("logs").delete_metric_filter(logGroupName=known["logGroupName"], filterName=identity)
