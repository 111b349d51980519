"""Durable progress and results of a task: an immutable payload, and the record's entry that names it."""

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from spotbatch.bad_record import checked, seconds, text, whole


class Damaged(Exception):
    """A payload is not what was stored: its checksum differs, or it cannot be read. Its items run again."""


@dataclass(frozen=True)
class Checkpoint:
    """An entry in a task's ordered list: items `first` to `end` are done, their results are in the payload."""

    epoch: int
    sequence: int
    first: int
    end: int
    sha256: str
    size: int
    """Bytes of the payload."""
    key: str = ""
    """Where the payload is in the bucket; empty when it travels in the record."""
    inline: str = ""
    at: float = 0.0
    """When it was made, in the store's time."""

    def to_record(self) -> dict[str, Any]:
        entry = {"epoch": self.epoch, "sequence": self.sequence, "first": self.first, "end": self.end, "sha256": self.sha256, "size": self.size}
        entry |= {"at": self.at}
        return entry | ({"inline": self.inline} if self.inline else {"key": self.key})

    @staticmethod
    def from_record(key: str, entry: dict[str, Any]) -> "Checkpoint":
        """Raises BadRecord."""
        where = {"key": f"{key} checkpoint", **{name: value for name, value in entry.items() if name != "key"}}
        numbers = [checked(where, name, whole, "a whole number") for name in ("epoch", "sequence", "first", "end", "size")]
        epoch, sequence, first, end, size = numbers
        sha256 = checked(where, "sha256", text, "a checksum")
        at = checked(where, "at", seconds, "seconds since 1970", 0.0)
        return Checkpoint(epoch, sequence, first, end, sha256, size, str(entry.get("key", "")), str(entry.get("inline", "")), at)


@dataclass(frozen=True)
class Progress:
    """What a payload holds."""

    state: bytes | None
    results: list[str]
    """One JSON text per item, in item order: what `process_item` returned."""


result_text = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
"""Made as soon as an item ends, so that a job may go on changing what it returned. Raises TypeError, ValueError for what JSON cannot hold."""


def encode(progress: Progress) -> bytes:
    """The payload."""
    state = "null" if progress.state is None else f'"{base64.b64encode(progress.state).decode()}"'
    return f'{{"state":{state},"results":[{",".join(progress.results)}]}}'.encode()


def verify(data: bytes, checkpoint: Checkpoint) -> None:
    """Raises Damaged when the bytes are not those that were stored."""
    found = checksum(data)
    if found != checkpoint.sha256:
        raise Damaged(f"checkpoint {checkpoint.epoch}-{checkpoint.sequence}: checksum {found[:12]}, stored {checkpoint.sha256[:12]}")


def decode(data: bytes, checkpoint: Checkpoint) -> Progress:
    """Raises Damaged when the bytes are not those that were stored."""
    verify(data, checkpoint)
    try:
        body = json.loads(data)
        state = None if body["state"] is None else base64.b64decode(body["state"], validate=True)
        results = [result_text(result) for result in body["results"]]
    except (ValueError, KeyError, TypeError, RecursionError) as fault:
        raise Damaged(f"checkpoint {checkpoint.epoch}-{checkpoint.sequence}: {fault}") from None
    if len(results) != checkpoint.end - checkpoint.first:
        raise Damaged(f"checkpoint {checkpoint.epoch}-{checkpoint.sequence}: its results do not match items {checkpoint.first} to {checkpoint.end}")
    return Progress(state, results)


def checksum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
