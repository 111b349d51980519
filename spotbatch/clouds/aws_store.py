"""The ledger in a DynamoDB table: each record an item, changed only on the version that was read."""

import json
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ParamValidationError

from spotbatch.clouds.aws_client import code_of, trouble
from spotbatch.clouds.aws_clock import ServiceClock
from spotbatch.protocols import Ambiguous, Conflict, Record, StoreError

_INDEXED = ("kind", "run", "state", "machine")
"""Fields that the table's indexes go by; the rest of a record is JSON in `body`. Nobody asks for tasks by kind: a third of what each write
of one would cost, and one partition for them all."""

MACHINE_SECONDS = 30 * 24 * 3600
"""A machine's record expires so long after its last beat: whoever has no record counts as gone."""


class DynamoStore:
    """Reads are consistent; lists come from indexes and may be a second old."""

    def __init__(self, client: Any, table: str) -> None:
        self._client, self._table = client, table
        self._resource = f"table/{table}"
        self._clock = ServiceClock(client, lambda: self.read("clock"))

    def now(self) -> float:
        """DynamoDB's own time. Raises StoreError."""
        return self._clock.now()

    def read(self, key: str) -> Record | None:
        try:
            answer = self._client.get_item(TableName=self._table, Key={"key": {"S": key}}, ConsistentRead=True)
        except (ClientError, BotoCoreError) as fault:
            raise trouble(fault, "dynamodb:GetItem", self._resource) from None
        return json.loads(answer["Item"]["body"]["S"]) if "Item" in answer else None

    def swap(self, record: Record, expected: int) -> None:
        self._write("put_item", "dynamodb:PutItem", expected, key=record["key"], Item=_item(record))

    def remove(self, key: str, expected: int) -> None:
        try:
            self._write("delete_item", "dynamodb:DeleteItem", expected, key=key, Key={"key": {"S": key}})
        except Conflict:
            if self.read(key) is not None:
                raise

    def run_tasks(self, run: str) -> Iterator[Record]:
        return self._query("by_run", "#run = :run AND begins_with(#key, :task)", {"#run": "run", "#key": "key"}, {":run": run, ":task": "task/"})

    def tasks_in(self, state: str, machine: str | None = None) -> Iterator[Record]:
        if machine is None:
            return self._query("by_state", "#state = :state", {"#state": "state"}, {":state": state})
        names = {"#state": "state", "#machine": "machine"}
        return self._query("by_state", "#state = :state AND #machine = :machine", names, {":state": state, ":machine": machine})

    def runs(self) -> Iterator[Record]:
        return self._query("by_kind", "#kind = :kind", {"#kind": "kind"}, {":kind": "run"})

    def machines(self) -> Iterator[Record]:
        """Every machine record; may be a little stale."""
        return self._query("by_kind", "#kind = :kind", {"#kind": "kind"}, {":kind": "machine"})

    def _write(self, call: str, action: str, expected: int, *, key: str, **what: Any) -> None:
        if expected:
            condition: dict[str, Any] = {
                "ConditionExpression": "#version = :expected",
                "ExpressionAttributeNames": {"#version": "version"},
                "ExpressionAttributeValues": {":expected": {"N": str(expected)}},
            }
        else:
            condition = {"ConditionExpression": "attribute_not_exists(#key)", "ExpressionAttributeNames": {"#key": "key"}}
        try:
            getattr(self._client, call)(TableName=self._table, **what, **condition)
        except ClientError as fault:
            if code_of(fault) == "ConditionalCheckFailedException":
                raise Conflict(f"{key}: not at version {expected} any more") from None
            about = fault.response.get("ResponseMetadata", {})
            # An earlier attempt of the client's own may have landed, whatever the last one was told.
            if about.get("HTTPStatusCode", 500) >= 500 or about.get("RetryAttempts", 0):
                raise Ambiguous(f"{key}: {action}: {fault}") from None
            raise trouble(fault, action, self._resource) from None
        except (NoCredentialsError, ParamValidationError) as fault:
            raise trouble(fault, action, self._resource) from None
        except BotoCoreError as fault:
            raise Ambiguous(f"{key}: {action}: {fault}") from None

    def _query(self, index: str, condition: str, names: dict[str, str], values: dict[str, str]) -> Iterator[Record]:
        more: dict[str, Any] = {}
        while True:
            try:
                page = self._client.query(
                    TableName=self._table,
                    IndexName=index,
                    KeyConditionExpression=condition,
                    ExpressionAttributeNames=names,
                    ExpressionAttributeValues={name: {"S": value} for name, value in values.items()},
                    **more,
                )
            except (ClientError, BotoCoreError) as fault:
                raise trouble(fault, "dynamodb:Query", f"{self._resource}/index/{index}") from None
            yield from (json.loads(item["body"]["S"]) for item in page["Items"])
            if not page.get("LastEvaluatedKey"):
                return
            more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def _item(record: Record) -> dict[str, Any]:
    try:
        body = json.dumps(record, separators=(",", ":"))
    except (TypeError, ValueError) as fault:
        raise StoreError(f"record {record['key']}: not JSON: {fault}") from None
    item = {"key": {"S": record["key"]}, "version": {"N": str(record["version"])}, "nonce": {"S": record["nonce"]}, "body": {"S": body}}
    # A damaged record can be written too: that is how it is repaired.
    indexed = _INDEXED[1:] if record.get("kind") == "task" else _INDEXED
    item |= {name: {"S": record[name]} for name in indexed if isinstance(record.get(name), str) and record[name]}
    if record.get("kind") == "machine" and isinstance(record.get("beat"), int | float):
        item["expires"] = {"N": str(int(record["beat"]) + MACHINE_SECONDS)}
    return item
