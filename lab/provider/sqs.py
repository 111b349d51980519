"""SQS queues and their policies."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lab.provider import policies
from lab.provider.fault import Fault
from lab.provider.resource import Resource, lost_tags, resource
from lab.provider.wanted import Wanted
from lab.provider.wire import Properties, same

_ATTRIBUTES: Mapping[str, str] = {
    "visibilityTimeoutSeconds": "VisibilityTimeout",
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "maxMessageSize": "MaximumMessageSize",
    "delaySeconds": "DelaySeconds",
    "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
    "policy": "Policy",
    "redrivePolicy": "RedrivePolicy",
    "redriveAllowPolicy": "RedriveAllowPolicy",
    "sqsManagedSseEnabled": "SqsManagedSseEnabled",
    "kmsMasterKeyId": "KmsMasterKeyId",
    "kmsDataKeyReusePeriodSeconds": "KmsDataKeyReusePeriodSeconds",
    "fifoQueue": "FifoQueue",
    "contentBasedDeduplication": "ContentBasedDeduplication",
    "deduplicationScope": "DeduplicationScope",
    "fifoThroughputLimit": "FifoThroughputLimit",
}

_RANGES: Mapping[str, tuple[int, int]] = {
    "visibilityTimeoutSeconds": (0, 43_200),
    "messageRetentionSeconds": (60, 1_209_600),
    "maxMessageSize": (1_024, 1_048_576),
    "delaySeconds": (0, 900),
    "receiveWaitTimeSeconds": (0, 20),
    "kmsDataKeyReusePeriodSeconds": (60, 86_400),
}
"""https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html"""

_MOST_RECEIVES = 1_000
_NAME_LENGTH = 80
_FIFO_ONLY = ("contentBasedDeduplication", "deduplicationScope", "fifoThroughputLimit")
_DOCUMENTS = ("policy", "redrivePolicy", "redriveAllowPolicy")


@resource("sqs/queue:Queue")
class Queue(Resource):
    auto_name = "name"
    replaced_by = frozenset({"name", "namePrefix", "fifoQueue"})
    outputs = ("arn", "url")

    def shaped_name(self, name: str, wanted: Properties) -> str:
        return f"{name}.fifo" if wanted.get("fifoQueue") else name

    def create(self, wanted: Properties) -> str:
        attributes = _attributes(wanted)
        return self.client("sqs").create_queue(QueueName=wanted["name"], Attributes=attributes, tags=wanted.get("tags", {}))["QueueUrl"]

    def read(self, identity: str, known: Properties) -> Properties:
        attributes = self.client("sqs").get_queue_attributes(QueueUrl=identity, AttributeNames=["All"])["Attributes"]
        tags = self.client("sqs").list_queue_tags(QueueUrl=identity).get("Tags", {})
        live = {name: None for name in _DOCUMENTS if name in known}
        live |= {name: _value(attributes[aws]) for name, aws in _ATTRIBUTES.items() if aws in attributes}
        return {**live, "arn": attributes["QueueArn"], "url": identity, "name": identity.rsplit("/", 1)[1], "tags": tags}

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        changed = {name: new.get(name) for name in _ATTRIBUTES if not same(old.get(name), new.get(name))}
        if changed:
            self.client("sqs").set_queue_attributes(QueueUrl=identity, Attributes={**_cleared(changed), **_attributes(changed)})
        if lost := lost_tags(old, new):
            self.client("sqs").untag_queue(QueueUrl=identity, TagKeys=lost)
        if new.get("tags"):
            self.client("sqs").tag_queue(QueueUrl=identity, Tags=new["tags"])

    def delete(self, identity: str, known: Properties) -> None:
        self.client("sqs").delete_queue(QueueUrl=identity)

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        name, fifo = wanted.get("name", ""), wanted.get("fifoQueue", False)
        if name and (len(name) > _NAME_LENGTH or not name.removesuffix(".fifo").replace("-", "").replace("_", "").isalnum()):
            wording = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
            yield Fault.allowed("name", name, f"InvalidParameterValue: {wording}")
        elif name and fifo != name.endswith(".fifo"):
            yield Fault.allowed(
                "name", name, "InvalidParameterValue: The name of a FIFO queue can only end with the .fifo suffix, and of no other queue"
            )
        yield from ranges(wanted, _RANGES)
        for name in _FIFO_ONLY if not wanted.given("fifoQueue") else ():
            if wanted.get(name):
                yield Fault.allowed(
                    name, wanted[name], f"InvalidAttributeName: Unknown Attribute {_ATTRIBUTES[name]}", "it only where fifoQueue is true"
                )
        if wanted.get("sqsManagedSseEnabled") and wanted.given("kmsMasterKeyId"):
            yield Fault(
                "kmsMasterKeyId", "InvalidAttributeValue: You can use one type of server-side encryption (SSE) at one time. Choose SSE-SQS or SSE-KMS"
            )
        for name in _DOCUMENTS:
            yield from _document_faults(name, wanted)


class _QueueAttribute(Resource):
    """A document that hangs on a queue as a resource of its own."""

    replaced_by = frozenset({"queueUrl"})
    document = ""

    def create(self, wanted: Properties) -> str:
        self.update(wanted["queueUrl"], {}, wanted)
        return wanted["queueUrl"]

    def read(self, identity: str, known: Properties) -> Properties | None:
        name = _ATTRIBUTES[self.document]
        found = self.client("sqs").get_queue_attributes(QueueUrl=identity, AttributeNames=[name]).get("Attributes", {})
        return {self.document: found[name], "queueUrl": identity} if found.get(name) else None

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        self.client("sqs").set_queue_attributes(QueueUrl=identity, Attributes={_ATTRIBUTES[self.document]: new[self.document]})

    def delete(self, identity: str, known: Properties) -> None:
        self.client("sqs").set_queue_attributes(QueueUrl=identity, Attributes={_ATTRIBUTES[self.document]: ""})

    def faults(self, wanted: Wanted) -> Iterable[Fault]:
        return _document_faults(self.document, wanted)


@resource("sqs/queuePolicy:QueuePolicy")
class QueuePolicy(_QueueAttribute):
    document = "policy"


@resource("sqs/redrivePolicy:RedrivePolicy")
class RedrivePolicy(_QueueAttribute):
    document = "redrivePolicy"


@resource("sqs/redriveAllowPolicy:RedriveAllowPolicy")
class RedriveAllowPolicy(_QueueAttribute):
    document = "redriveAllowPolicy"


def ranges(wanted: Properties, allowed: Mapping[str, tuple[int, int]]) -> Iterator[Fault]:
    """Numbers outside what SQS takes, in its words."""
    for name, (low, high) in allowed.items():
        value = wanted.get(name)
        if value is not None and not low <= float(value) <= high:
            wording = f"InvalidAttributeValue: Invalid value for the parameter {_ATTRIBUTES[name]}. Reason: Must be between {low} and {high}"
            yield Fault.allowed(name, value, wording, f"{low} to {high}")


def _document_faults(name: str, wanted: Properties) -> Iterator[Fault]:
    if not (text := wanted.get(name)):
        return
    document = policies.parsed(text)
    if not isinstance(document, dict):
        yield Fault.allowed(name, text, f"InvalidAttributeValue: Invalid value for the parameter {_ATTRIBUTES[name]}. Reason: it is no JSON object")
    elif name == "policy":
        yield from policies.faults(name, text, policies.RESOURCE_POLICY, services=("sqs",))
    elif name == "redrivePolicy":
        yield from _redrive_faults(name, document)
    else:
        yield from _redrive_allow_faults(name, document)


def _redrive_faults(name: str, document: Mapping[str, Any]) -> Iterator[Fault]:
    start = "InvalidParameterValue: Value {} for parameter RedrivePolicy is invalid. Reason: "
    if missing := {"deadLetterTargetArn", "maxReceiveCount"} - set(document):
        yield Fault(name, start.format(json.dumps(document)) + f"Redrive policy does not contain mandatory attribute: {', '.join(sorted(missing))}")
        return
    count = document["maxReceiveCount"]
    if not str(count).isdigit() or not 1 <= int(count) <= _MOST_RECEIVES:
        reason = f"Invalid value for maxReceiveCount: {count}, valid values are from 1 to {_MOST_RECEIVES} both inclusive"
        yield Fault(name, start.format(json.dumps(document)) + reason)
    if ":sqs:" not in str(document["deadLetterTargetArn"]):
        yield Fault(name, start.format(json.dumps(document)) + "Dead letter target does not exist; allowed: the ARN of a queue")


def _redrive_allow_faults(name: str, document: Mapping[str, Any]) -> Iterator[Fault]:
    choices = ("allowAll", "byQueue", "denyAll")
    permission = document.get("redrivePermission")
    if permission not in choices:
        yield Fault.allowed(name, permission, "InvalidParameterValue: RedriveAllowPolicy needs a redrivePermission", ", ".join(choices))
    elif (permission == "byQueue") != bool(document.get("sourceQueueArns")):
        yield Fault(name, "InvalidParameterValue: sourceQueueArns is needed with redrivePermission byQueue, and only with it")


def _attributes(wanted: Properties) -> dict[str, str]:
    known = {name: value for name, value in wanted.items() if name in _ATTRIBUTES and value is not None}
    return {_ATTRIBUTES[name]: str(value).lower() if isinstance(value, bool) else str(value) for name, value in known.items()}


_DEFAULTS = {"visibilityTimeoutSeconds": "30", "messageRetentionSeconds": "345600", "delaySeconds": "0", "receiveWaitTimeSeconds": "0"}
_DEFAULTS |= {"maxMessageSize": "262144", "sqsManagedSseEnabled": "true"}


def _cleared(changed: Properties) -> dict[str, str]:
    """AWS keeps an attribute until told otherwise: what is left out goes back to its default."""
    return {_ATTRIBUTES[name]: _DEFAULTS.get(name, "") for name, value in changed.items() if value is None}


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    return int(text) if text.isdigit() else text
