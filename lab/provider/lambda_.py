"""Lambda functions, what calls them and who may."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from lab.provider import shapes
from lab.provider.archive import zipped
from lab.provider.fault import Fault
from lab.provider.resource import Resource, lost_tags, resource
from lab.provider.wanted import Wanted
from lab.provider.wire import Properties, same

_TIMEOUT = (1, 900)
_QUEUE_BATCH = 10_000
_QUEUE_BATCH_WITHOUT_WINDOW = 10
_ENVIRONMENT_BYTES = 4_096
_RESERVED_VARIABLES = ("AWS_REGION", "AWS_LAMBDA_", "AWS_EXECUTION_ENV", "AWS_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "_HANDLER")
"""https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html"""
_CONFIGURATION = (
    "description",
    "deadLetterConfig",
    "environment",
    "ephemeralStorage",
    "handler",
    "imageConfig",
    "kmsKeyArn",
    "layers",
    "loggingConfig",
    "memorySize",
    "role",
    "runtime",
    "timeout",
    "tracingConfig",
    "vpcConfig",
)


@resource("lambda/function:Function")
class Function(Resource):
    auto_name = "name"
    replaced_by = frozenset({"name", "packageType"})
    outputs = ("arn", "invokeArn", "qualifiedArn", "qualifiedInvokeArn", "version", "codeSha256", "sourceCodeHash", "sourceCodeSize", "lastModified")
    changing_outputs = ("codeSha256", "lastModified")
    shape = ("lambda", "CreateFunction")
    renames: ClassVar[Mapping[str, str]] = {"name": "FunctionName", "kmsKeyArn": "KMSKeyArn"}

    def create(self, wanted: Properties) -> str:
        settings = {**self._configuration(wanted), "Publish": wanted.get("publish", False), "PackageType": wanted.get("packageType", "Zip")}
        if wanted.get("architectures"):
            settings["Architectures"] = wanted["architectures"]
        self.client("lambda").create_function(FunctionName=wanted["name"], Code=_code(wanted), Tags=wanted.get("tags", {}), **settings)
        return wanted["name"]

    def finish(self, identity: str, wanted: Properties) -> None:
        self.client("lambda").get_waiter("function_active_v2").wait(FunctionName=identity, WaiterConfig={"Delay": 1})
        self._reserve(identity, {}, wanted)

    def read(self, identity: str, known: Properties) -> Properties:
        found = self.client("lambda").get_function(FunctionName=identity)
        function = found["Configuration"]
        gateway = f"arn:aws:apigateway:{self.region}:lambda:path/2015-03-31/functions/{{}}/invocations"
        qualified = f"{function['FunctionArn']}:{function['Version']}"
        logging = function.get("LoggingConfig") or {}
        return {
            "name": identity,
            "arn": function["FunctionArn"],
            "invokeArn": gateway.format(function["FunctionArn"]),
            "qualifiedArn": qualified,
            "qualifiedInvokeArn": gateway.format(qualified),
            "version": function["Version"],
            "codeSha256": function["CodeSha256"],
            "sourceCodeHash": function["CodeSha256"],
            "sourceCodeSize": function["CodeSize"],
            "lastModified": function["LastModified"],
            "description": function.get("Description", ""),
            "handler": function.get("Handler"),
            "runtime": function.get("Runtime"),
            "role": function["Role"],
            "timeout": function["Timeout"],
            "memorySize": function["MemorySize"],
            "architectures": function.get("Architectures") or known.get("architectures") or ["x86_64"],
            "environment": {"variables": (function.get("Environment") or {}).get("Variables", {})},
            "reservedConcurrentExecutions": (found.get("Concurrency") or {}).get("ReservedConcurrentExecutions", -1),
            "loggingConfig": {"logFormat": logging.get("LogFormat", "Text"), "logGroup": logging.get("LogGroup", f"/aws/lambda/{identity}")},
            "tags": found.get("Tags", {}),
        }

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        if any(not same(old.get(name), new.get(name)) for name in ("code", "s3Bucket", "s3Key", "s3ObjectVersion", "imageUri", "architectures")):
            architectures = {"Architectures": new["architectures"]} if new.get("architectures") else {}
            self.client("lambda").update_function_code(FunctionName=identity, **_code(new), **architectures)
            self._wait(identity)
        if self._configuration(old) != self._configuration(new):
            cleared = {"Environment": {"Variables": {}}} if old.get("environment") and not new.get("environment") else {}
            self.client("lambda").update_function_configuration(FunctionName=identity, **cleared, **self._configuration(new))
            self._wait(identity)
        self._reserve(identity, old, new)
        arn = self.client("lambda").get_function(FunctionName=identity)["Configuration"]["FunctionArn"]
        if lost := lost_tags(old, new):
            self.client("lambda").untag_resource(Resource=arn, TagKeys=lost)
        if new.get("tags"):
            self.client("lambda").tag_resource(Resource=arn, Tags=new["tags"])

    def delete(self, identity: str, known: Properties) -> None:
        self.client("lambda").delete_function(FunctionName=identity)

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        timeout = wanted.get("timeout")
        if timeout is not None and not _TIMEOUT[0] <= float(timeout) <= _TIMEOUT[1]:
            wording = shapes.constraint("lambda", "timeout", timeout, f"Member must have value less than or equal to {_TIMEOUT[1]}")
            yield Fault.allowed("timeout", timeout, wording, "1 to 900")
        sources = [name for name in ("code", "s3Bucket", "imageUri") if wanted.given(name)]
        if len(sources) != 1:
            path = sources[1] if sources else "code"
            yield Fault.allowed(
                path, sources, "InvalidParameterValueException: exactly one source of the code must be given", "code, s3Bucket, imageUri"
            )
        for name in ("handler", "runtime") if wanted.get("packageType", "Zip") == "Zip" and wanted.known("packageType") else ():
            if not wanted.given(name):
                yield Fault(
                    name,
                    "InvalidParameterValueException: Runtime and Handler are mandatory parameters for functions created with deployment packages.",
                )
        variables = (wanted.get("environment") or {}).get("variables") or {}
        for name in variables:
            if name.startswith(_RESERVED_VARIABLES):
                wording = f"InvalidParameterValueException: Reserved keys used in this request: {name}"
                yield Fault.allowed(f"environment.variables.{name}", name, wording, "a name that Lambda does not set itself")
            elif not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_]+", name):
                wording = shapes.constraint(
                    "lambda", "environment.variables", name, "Member must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+"
                )
                yield Fault.allowed(f"environment.variables.{name}", name, wording)
        if (size := sum(len(str(key)) + len(str(value)) for key, value in variables.items())) > _ENVIRONMENT_BYTES:
            wording = "InvalidParameterValueException: Lambda was unable to configure your environment variables because they exceeded the 4KB limit."
            yield Fault.allowed("environment", size, wording, f"up to {_ENVIRONMENT_BYTES} bytes")
        logging = wanted.get("loggingConfig") or {}
        if logging.get("logFormat") == "Text" and any(logging.get(name) for name in ("applicationLogLevel", "systemLogLevel")):
            yield Fault("loggingConfig.logFormat", "InvalidParameterValueException: Log levels are available for logFormat JSON only")

    def _configuration(self, wanted: Properties) -> Properties:
        given = {name: value for name, value in wanted.items() if name in _CONFIGURATION}
        made = shapes.request(given, shapes.input_shape("lambda", "UpdateFunctionConfiguration"), self.renames)
        return {"Timeout": 3, "MemorySize": 128, "Description": "", **made}

    def _reserve(self, identity: str, old: Properties, new: Properties) -> None:
        before, after = (one.get("reservedConcurrentExecutions", -1) for one in (old, new))
        if after != before and after >= 0:
            self.client("lambda").put_function_concurrency(FunctionName=identity, ReservedConcurrentExecutions=after)
        elif after != before:
            self.client("lambda").delete_function_concurrency(FunctionName=identity)

    def _wait(self, identity: str) -> None:
        self.client("lambda").get_waiter("function_updated_v2").wait(FunctionName=identity, WaiterConfig={"Delay": 1})


@resource("lambda/eventSourceMapping:EventSourceMapping")
class EventSourceMapping(Resource):
    replaced_by = frozenset({"eventSourceArn", "startingPosition", "startingPositionTimestamp"})
    outputs = ("arn", "uuid", "functionArn", "state", "stateTransitionReason", "lastModified", "lastProcessingResult")
    shape = ("lambda", "CreateEventSourceMapping")

    def create(self, wanted: Properties) -> str:
        self._refuse_short_visibility(wanted)
        tags = {"Tags": wanted["tags"]} if wanted.get("tags") else {}
        return self.client("lambda").create_event_source_mapping(**self._settings(wanted), **tags)["UUID"]

    def read(self, identity: str, known: Properties) -> Properties:
        mapping = self.client("lambda").get_event_source_mapping(UUID=identity)
        concurrency = (mapping.get("ScalingConfig") or {}).get("MaximumConcurrency")
        arn = mapping.get("EventSourceMappingArn") or self.arn("lambda", f"event-source-mapping:{identity}")
        tags = self.client("lambda").list_tags(Resource=arn).get("Tags", {}) if known.get("tags") else {}
        return {
            "uuid": identity,
            "arn": arn,
            "functionArn": mapping["FunctionArn"],
            # A program may name the function in any way that AWS takes; the mapping always answers with the ARN.
            "functionName": known.get("functionName") if _names(known.get("functionName"), mapping["FunctionArn"]) else mapping["FunctionArn"],
            "eventSourceArn": mapping["EventSourceArn"],
            "state": mapping["State"],
            "stateTransitionReason": mapping.get("StateTransitionReason", ""),
            "enabled": mapping["State"] in ("Enabled", "Enabling", "Creating", "Updating"),
            "batchSize": mapping.get("BatchSize", 10),
            "maximumBatchingWindowInSeconds": mapping.get("MaximumBatchingWindowInSeconds", 0),
            "functionResponseTypes": mapping.get("FunctionResponseTypes", []),
            **({"scalingConfig": {"maximumConcurrency": concurrency}} if concurrency else {}),
            **({"tags": tags} if known.get("tags") else {}),
        }

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        settings = {name: value for name, value in self._settings(new).items() if name != "EventSourceArn"}
        self.client("lambda").update_event_source_mapping(UUID=identity, **settings)

    def delete(self, identity: str, known: Properties) -> None:
        self.client("lambda").delete_event_source_mapping(UUID=identity)

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        source = wanted.get("eventSourceArn", "")
        if ":sqs:" not in source:
            return
        batch, window = wanted.get("batchSize", 10), wanted.get("maximumBatchingWindowInSeconds", 0)
        start = "InvalidParameterValueException: "
        if wanted.given("startingPosition"):
            yield Fault("startingPosition", f"{start}Unsupported starting position for SQS event source; allowed: left out")
        if source.endswith(".fifo") and float(batch) > _QUEUE_BATCH_WITHOUT_WINDOW:
            yield Fault.allowed("batchSize", batch, f"{start}Maximum batch size for a FIFO queue is 10", "1 to 10")
        elif float(batch) > _QUEUE_BATCH_WITHOUT_WINDOW and window == 0 and wanted.known("maximumBatchingWindowInSeconds"):
            wording = f"{start}Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
            yield Fault.allowed("batchSize", batch, wording, "1 to 10, or a maximumBatchingWindowInSeconds of 1 or more")
        if float(batch) > _QUEUE_BATCH:
            yield Fault.allowed("batchSize", batch, f"{start}Maximum batch size for a queue is 10000", "1 to 10000")
        for name in ("parallelizationFactor", "bisectBatchOnFunctionError", "tumblingWindowInSeconds"):
            if wanted.get(name):
                yield Fault(name, f"{start}Unsupported parameter {name} for SQS event source; allowed: left out")

    def _settings(self, wanted: Properties) -> Properties:
        given = {name: value for name, value in wanted.items() if name not in ("tags", "region")}
        return {"Enabled": True, **shapes.request(given, shapes.input_shape(*self.shape), self.renames)}

    def _refuse_short_visibility(self, wanted: Properties) -> None:
        """AWS refuses a queue whose messages come back while a function may still be at them. MiniStack would take it."""
        source = wanted.get("eventSourceArn", "")
        if ":sqs:" not in source:
            return
        seconds = self.client("lambda").get_function_configuration(FunctionName=wanted["functionName"])["Timeout"]
        url = self.client("sqs").get_queue_url(QueueName=source.rpartition(":")[2])["QueueUrl"]
        attributes = self.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
        if int(attributes["VisibilityTimeout"]) < seconds:
            wording = f"Queue visibility timeout: {attributes['VisibilityTimeout']} seconds is less than Function timeout: {seconds} seconds"
            raise ValueError(f"InvalidParameterValueException: {wording}")


@resource("lambda/permission:Permission")
class Permission(Resource):
    auto_name = "statementId"
    updated_by = frozenset()
    deleted_first = True
    shape = ("lambda", "AddPermission")
    renames: ClassVar[Mapping[str, str]] = {"function": "FunctionName"}

    def create(self, wanted: Properties) -> str:
        given = {name: value for name, value in wanted.items() if name != "region"}
        self.client("lambda").add_permission(**shapes.request(given, shapes.input_shape(*self.shape), self.renames))
        return wanted["statementId"]

    def read(self, identity: str, known: Properties) -> Properties | None:
        document = json.loads(self.client("lambda").get_policy(FunctionName=known["function"])["Policy"])
        statement = next((one for one in document["Statement"] if one["Sid"] == identity), None)
        if statement is None:
            return None
        principal = statement["Principal"]
        return {
            "statementId": identity,
            "action": statement["Action"],
            "function": known["function"],
            "principal": principal if isinstance(principal, str) else next(iter(principal.values())),
            **({"sourceArn": source} if (source := _source(statement)) else {}),
        }

    def delete(self, identity: str, known: Properties) -> None:
        self.client("lambda").remove_permission(FunctionName=known["function"], StatementId=identity)

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        principal = wanted.get("principal", "")
        if principal and not re.fullmatch(r"\*|\d{12}|arn:.+|[a-z0-9.-]+\.amazon(aws)?\.com(\.cn)?", principal):
            wording = "InvalidParameterValueException: The provided principal was invalid. Please check the principal and try again."
            yield Fault.allowed("principal", principal, wording, "SERVICE.amazonaws.com, an account's id, an ARN or *")


@resource("lambda/functionEventInvokeConfig:FunctionEventInvokeConfig")
class FunctionEventInvokeConfig(Resource):
    replaced_by = frozenset({"functionName", "qualifier"})
    shape = ("lambda", "PutFunctionEventInvokeConfig")

    def create(self, wanted: Properties) -> str:
        self.update("", {}, wanted)
        return wanted["functionName"] + (f":{wanted['qualifier']}" if wanted.get("qualifier") else "")

    def read(self, identity: str, known: Properties) -> Properties | None:
        try:
            found = self.client("lambda").get_function_event_invoke_config(**self._target(known))
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            return None
        names = {"maximumEventAgeInSeconds": "MaximumEventAgeInSeconds", "maximumRetryAttempts": "MaximumRetryAttempts"}
        return {"functionName": known["functionName"], **{name: found.get(aws) for name, aws in names.items() if name in known}}

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        self.client("lambda").put_function_event_invoke_config(**shapes.request(new, shapes.input_shape(*self.shape)))

    def delete(self, identity: str, known: Properties) -> None:
        self.client("lambda").delete_function_event_invoke_config(**self._target(known))

    def _target(self, known: Properties) -> Properties:
        return {"FunctionName": known["functionName"], **({"Qualifier": known["qualifier"]} if known.get("qualifier") else {})}


def _code(wanted: Properties) -> Properties:
    if "code" in wanted:
        return {"ZipFile": zipped(wanted["code"])}
    if "imageUri" in wanted:
        return {"ImageUri": wanted["imageUri"]}
    version = {"S3ObjectVersion": wanted["s3ObjectVersion"]} if wanted.get("s3ObjectVersion") else {}
    return {"S3Bucket": wanted["s3Bucket"], "S3Key": wanted["s3Key"], **version}


def _names(name: Any, arn: str) -> bool:
    return isinstance(name, str) and (name == arn or arn.endswith(f":function:{name}") or arn.startswith(f"{name}:"))


def _source(statement: Mapping[str, Any]) -> str | None:
    condition = statement.get("Condition") or {}
    for operator in ("ArnLike", "ArnEquals", "StringLike"):
        for key, value in (condition.get(operator) or {}).items():
            if key.lower() == "aws:sourcearn":
                return value
    return None
