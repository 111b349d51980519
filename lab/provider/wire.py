"""Properties as the engine sends them: a protobuf Struct with sentinels for unknown values, archives and assets."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf import struct_pb2
from google.protobuf.json_format import MessageToDict

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""Stands for a value that only becomes known at `up`. Wire format of Pulumi, like the three below."""
SIGNATURE = "4dabf18193072939515e22adb298388d"
ASSET = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"

Properties = dict[str, Any]

_EXACT = frozenset({"tags", "variables", "dimensions"})
"""Maps in which the owner's own keys stand: a key too many is drift there, while elsewhere it is a default that the cloud filled in."""


def read(struct: struct_pb2.Struct) -> Properties:
    """Python values; a protobuf number is always a float, so whole numbers become integers again."""
    return _whole(MessageToDict(struct))


def write(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update({name: value for name, value in properties.items() if value is not None})
    return struct


def is_known(value: Any) -> bool:
    """Whether a value and everything in it is known."""
    if isinstance(value, Mapping):
        return all(map(is_known, value.values()))
    if isinstance(value, list):
        return all(map(is_known, value))
    return value != UNKNOWN


def is_file(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get(SIGNATURE) in (ASSET, ARCHIVE)


def same(one: Any, other: Any) -> bool:
    """Whether two inputs mean the same: JSON text by its meaning, archives by their hash, 1 and "1" alike."""
    return _meaning(one) == _meaning(other)


def covers(live: Any, declared: Any, exact: bool = False) -> bool:
    """Whether the cloud's value is what was declared. What was left to the cloud's defaults does not count, nor does the order of a list."""
    if isinstance(declared, Mapping) and isinstance(live, Mapping):
        if exact and set(declared) != set(live):
            return False
        return all(covers(live.get(key), value, key in _EXACT) for key, value in declared.items())
    if isinstance(declared, list) and isinstance(live, list):
        return len(live) == len(declared) and _pairs_up(live, declared)
    return same(live, declared) or (live is None and declared in ("", False, 0, [], {}))


def _pairs_up(live: Iterable[Any], declared: Iterable[Any]) -> bool:
    left = list(live)
    for wanted in declared:
        match = next((found for found in left if covers(found, wanted)), None)
        if match is None:
            return False
        left.remove(match)
    return True


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _whole(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_whole(entry) for entry in value]
    return value


def _meaning(value: Any) -> Any:
    if is_file(value):
        return value.get("hash")
    if isinstance(value, Mapping):
        return {key: _meaning(entry) for key, entry in value.items() if not key.startswith("__")}
    if isinstance(value, list):
        return [_meaning(entry) for entry in value]
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:g}" if abs(value) < 1e6 else str(value)
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return _statements_as_lists(json.loads(value))
        except ValueError:
            return value
    return value


def _statements_as_lists(document: Any) -> Any:
    """AWS returns a policy's single values as they were given or as lists of one; both mean the same."""
    if isinstance(document, dict):
        return {key: _statements_as_lists(entry) for key, entry in document.items()}
    if isinstance(document, list):
        entries = [_statements_as_lists(entry) for entry in document]
        return entries[0] if len(entries) == 1 else entries
    return document
