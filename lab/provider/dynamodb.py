"""DynamoDB tables."""

import time
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from lab.provider.fault import Fault
from lab.provider.resource import Resource, lost_tags, resource, tag_list, tag_map
from lab.provider.wanted import Wanted
from lab.provider.wire import Properties, same

_WAIT_SECONDS = 60.0
_PROTECTED = "ValidationException: Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first"
_UNUSED = "ValidationException: Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions"
_START = "ValidationException: One or more parameter values were invalid: "


@resource("dynamodb/table:Table")
class Table(Resource):
    auto_name = "name"
    replaced_by = frozenset({"name", "hashKey", "rangeKey", "localSecondaryIndexes"})
    outputs = ("arn", "streamArn", "streamLabel")
    shape = ("dynamodb", "CreateTable")
    renames: ClassVar[Mapping[str, str]] = {"name": "TableName"}

    def create(self, wanted: Properties) -> str:
        settings: Properties = {
            "TableName": wanted["name"],
            "AttributeDefinitions": _attributes(wanted),
            "KeySchema": _key(wanted["hashKey"], wanted.get("rangeKey")),
            "BillingMode": wanted.get("billingMode", "PROVISIONED"),
            "DeletionProtectionEnabled": wanted.get("deletionProtectionEnabled", False),
            "Tags": tag_list(wanted.get("tags")),
        }
        if settings["BillingMode"] == "PROVISIONED":
            settings["ProvisionedThroughput"] = _throughput(wanted)
        if indexes := [_index(index, settings["BillingMode"]) for index in wanted.get("globalSecondaryIndexes", [])]:
            settings["GlobalSecondaryIndexes"] = indexes
        if wanted.get("streamEnabled"):
            settings["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": wanted["streamViewType"]}
        if (wanted.get("serverSideEncryption") or {}).get("enabled"):
            key = wanted["serverSideEncryption"].get("kmsKeyArn")
            settings["SSESpecification"] = {"Enabled": True, "SSEType": "KMS", **({"KMSMasterKeyId": key} if key else {})}
        self.client("dynamodb").create_table(**settings)
        return wanted["name"]

    def finish(self, identity: str, wanted: Properties) -> None:
        self._wait(identity)
        self._set_life(identity, {}, wanted)

    def read(self, identity: str, known: Properties) -> Properties:
        table = self.client("dynamodb").describe_table(TableName=identity)["Table"]
        ttl = self.client("dynamodb").describe_time_to_live(TableName=identity)["TimeToLiveDescription"]
        backups = self.client("dynamodb").describe_continuous_backups(TableName=identity)["ContinuousBackupsDescription"]
        restorable = backups.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus") == "ENABLED"
        keys = {key["KeyType"]: key["AttributeName"] for key in table["KeySchema"]}
        return {
            "name": identity,
            "arn": table["TableArn"],
            "hashKey": keys["HASH"],
            "rangeKey": keys.get("RANGE"),
            "billingMode": (table.get("BillingModeSummary") or {}).get("BillingMode", "PROVISIONED"),
            "attributes": [{"name": one["AttributeName"], "type": one["AttributeType"]} for one in table["AttributeDefinitions"]],
            "globalSecondaryIndexes": [_declared(index, known) for index in table.get("GlobalSecondaryIndexes", [])],
            "deletionProtectionEnabled": table.get("DeletionProtectionEnabled", False),
            "ttl": {"attributeName": ttl.get("AttributeName", ""), "enabled": ttl.get("TimeToLiveStatus") == "ENABLED"},
            "pointInTimeRecovery": {"enabled": restorable},
            "streamArn": table.get("LatestStreamArn", ""),
            "streamLabel": table.get("LatestStreamLabel", ""),
            "tags": tag_map(self.client("dynamodb").list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"]),
        }

    def update(self, identity: str, old: Properties, new: Properties) -> None:
        if old.get("deletionProtectionEnabled", False) != new.get("deletionProtectionEnabled", False):
            self._change(identity, DeletionProtectionEnabled=new.get("deletionProtectionEnabled", False))
        if old.get("billingMode", "PROVISIONED") != new.get("billingMode", "PROVISIONED"):
            provisioned = new.get("billingMode", "PROVISIONED") == "PROVISIONED"
            throughput = {"ProvisionedThroughput": _throughput(new)} if provisioned else {}
            self._change(identity, BillingMode=new.get("billingMode", "PROVISIONED"), **throughput)
        self._change_indexes(identity, old, new)
        self._set_life(identity, old, new)
        arn = self.client("dynamodb").describe_table(TableName=identity)["Table"]["TableArn"]
        if lost := lost_tags(old, new):
            self.client("dynamodb").untag_resource(ResourceArn=arn, TagKeys=lost)
        if new.get("tags"):
            self.client("dynamodb").tag_resource(ResourceArn=arn, Tags=tag_list(new["tags"]))

    def delete(self, identity: str, known: Properties) -> None:
        table = self.client("dynamodb").describe_table(TableName=identity)["Table"]
        if table.get("DeletionProtectionEnabled"):
            raise ValueError(f"{_PROTECTED}: {identity}")
        self.client("dynamodb").delete_table(TableName=identity)
        self.client("dynamodb").get_waiter("table_not_exists").wait(TableName=identity, WaiterConfig={"Delay": 1, "MaxAttempts": 60})

    def faults(self, wanted: Wanted) -> Iterator[Fault]:
        if not wanted.given("hashKey"):
            yield Fault("hashKey", f"{_START}Missing the key hashKey in the parameters")
        yield from _key_faults(wanted)
        mode = wanted.get("billingMode", "PROVISIONED")
        for name in ("readCapacity", "writeCapacity"):
            if mode == "PAY_PER_REQUEST" and wanted.get(name):
                wording = f"{_START}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST"
                yield Fault.allowed(name, wanted[name], wording, "left out, or billingMode PROVISIONED")
            elif mode == "PROVISIONED" and wanted.known("billingMode") and not wanted.given(name):
                yield Fault(name, f"{_START}ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED")
        if wanted.get("streamEnabled") and not wanted.given("streamViewType"):
            yield Fault("streamViewType", f"{_START}StreamViewType is required when the stream is enabled")
        for index, entry in enumerate(wanted.get("globalSecondaryIndexes", [])):
            projection = entry.get("projectionType")
            if projection == "INCLUDE" and not entry.given("nonKeyAttributes"):
                path = f"globalSecondaryIndexes[{index}].nonKeyAttributes"
                yield Fault(path, f"{_START}ProjectionType is INCLUDE, but NonKeyAttributes is not specified")

    def _change(self, identity: str, **change: Any) -> None:
        self.client("dynamodb").update_table(TableName=identity, **change)
        self._wait(identity)

    def _change_indexes(self, identity: str, old: Properties, new: Properties) -> None:
        """One index at a time, as AWS allows no more: first those that went or changed, then the new ones."""
        before = {index["name"]: index for index in old.get("globalSecondaryIndexes", [])}
        after = {index["name"]: index for index in new.get("globalSecondaryIndexes", [])}
        changed = {name for name in before if name not in after or not same(before[name], after[name])}
        for name in sorted(changed):
            self._change(identity, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": name}}])
        for name in sorted(set(after) - set(before) | changed & set(after)):
            create = {"Create": _index(after[name], new.get("billingMode", "PROVISIONED"))}
            self._change(identity, AttributeDefinitions=_attributes(new), GlobalSecondaryIndexUpdates=[create])

    def _set_life(self, identity: str, old: Properties, new: Properties) -> None:
        """What AWS has calls of their own for: expiry of items, and recovery to a point in time."""
        before, after = old.get("ttl") or {}, new.get("ttl") or {}
        if not same(before, after):
            enabled, attribute = bool(after.get("enabled")), after.get("attributeName") or before.get("attributeName")
            if attribute and (enabled or before.get("enabled")):
                expiry = {"AttributeName": attribute, "Enabled": enabled}
                self.client("dynamodb").update_time_to_live(TableName=identity, TimeToLiveSpecification=expiry)
        if not same(old.get("pointInTimeRecovery"), new.get("pointInTimeRecovery")):
            recovery = {"PointInTimeRecoveryEnabled": bool((new.get("pointInTimeRecovery") or {}).get("enabled"))}
            self.client("dynamodb").update_continuous_backups(TableName=identity, PointInTimeRecoverySpecification=recovery)

    def _wait(self, identity: str) -> None:
        until = time.monotonic() + _WAIT_SECONDS
        while time.monotonic() < until:
            table = self.client("dynamodb").describe_table(TableName=identity)["Table"]
            states = [table["TableStatus"], *(index.get("IndexStatus", "ACTIVE") for index in table.get("GlobalSecondaryIndexes", []))]
            if set(states) == {"ACTIVE"}:
                return
            time.sleep(0.1)
        raise ValueError(f"table {identity} was not active within {_WAIT_SECONDS:g} s")


def _key_faults(wanted: Wanted) -> Iterator[Fault]:
    """Each key needs its attribute's type, and no other attribute may be declared."""
    attributes = [attribute.get("name") for attribute in wanted.get("attributes", [])]
    if not all(map(wanted.known, ("hashKey", "rangeKey", "attributes", "globalSecondaryIndexes"))) or None in attributes:
        return
    keys: dict[str, str] = {wanted[name]: name for name in ("hashKey", "rangeKey") if wanted.get(name)}
    for kind in ("globalSecondaryIndexes", "localSecondaryIndexes"):
        for position, index in enumerate(wanted.get(kind, [])):
            keys |= dict.fromkeys(_index_keys(index).values(), f"{kind}[{position}]")
    for key, path in keys.items():
        if key not in attributes:
            wording = f"{_START}Some index key attributes are not defined in AttributeDefinitions. Keys: [{key}]"
            yield Fault(path, f"{wording}, AttributeDefinitions: {sorted(attributes)}")
    if wanted.given("hashKey"):
        for position, attribute in enumerate(attributes):
            if attribute not in keys:
                allowed = f"keys of the table and its indexes: {', '.join(sorted(keys))}"
                yield Fault.allowed(f"attributes[{position}].name", attribute, _UNUSED, allowed)


def _index_keys(index: Mapping[str, Any]) -> dict[str, str]:
    if index.get("keySchemas"):
        return {key.get("keyType", ""): key["attributeName"] for key in index["keySchemas"] if "attributeName" in key}
    return {kind: index[name] for kind, name in (("HASH", "hashKey"), ("RANGE", "rangeKey")) if index.get(name)}


def _key(hash_key: str, range_key: str | None) -> list[Properties]:
    keys = [{"AttributeName": hash_key, "KeyType": "HASH"}]
    return [*keys, {"AttributeName": range_key, "KeyType": "RANGE"}] if range_key else keys


def _attributes(wanted: Properties) -> list[Properties]:
    return [{"AttributeName": one["name"], "AttributeType": one["type"]} for one in wanted.get("attributes", [])]


def _throughput(wanted: Mapping[str, Any]) -> Properties:
    return {"ReadCapacityUnits": int(wanted.get("readCapacity", 0)), "WriteCapacityUnits": int(wanted.get("writeCapacity", 0))}


def _index(index: Mapping[str, Any], mode: str) -> Properties:
    keys = _index_keys(index)
    projection = {
        "ProjectionType": index["projectionType"],
        **({"NonKeyAttributes": index["nonKeyAttributes"]} if index.get("nonKeyAttributes") else {}),
    }
    throughput = {"ProvisionedThroughput": _throughput(index)} if mode == "PROVISIONED" else {}
    return {"IndexName": index["name"], "KeySchema": _key(keys["HASH"], keys.get("RANGE")), "Projection": projection, **throughput}


def _declared(index: Mapping[str, Any], known: Properties) -> Properties:
    """An index in the form in which it was declared: by its two keys, or by a list of them."""
    keys = {key["KeyType"]: key["AttributeName"] for key in index["KeySchema"]}
    shown = {"name": index["IndexName"], "projectionType": index["Projection"]["ProjectionType"]}
    if attributes := index["Projection"].get("NonKeyAttributes"):
        shown["nonKeyAttributes"] = attributes
    if any(one.get("keySchemas") for one in known.get("globalSecondaryIndexes", [])):
        return {**shown, "keySchemas": [{"attributeName": name, "keyType": kind} for kind, name in keys.items()]}
    return {**shown, "hashKey": keys["HASH"], **({"rangeKey": keys["RANGE"]} if "RANGE" in keys else {})}
