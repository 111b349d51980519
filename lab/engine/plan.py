"""A plan that can be compared: what a stack would make, without anything that differs between two runs or two machines."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from lab.places import CHECKOUT

# Pulumi's wire format marks special values so (sdk/go/common/resource/sig, plugin/rpc.go).
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
SIGNATURE = "4dabf18193072939515e22adb298388d"
KINDS = {
    "1b47061264138c4ac30d75fd1eb44270": "[secret]",
    "c44067f5952c0a294b673a41bacd8c17": "[asset]",
    "0def7320c3a5731c473e5ecbe6d01bc7": "[archive]",
}


def plan_of(stack: str, preview: Mapping[str, Any]) -> dict[str, Any]:
    """The plan out of what `pulumi preview --json` printed, sorted by URN.

    Unknown values become `[unknown]`, secrets `[secret]`, files `[asset]` and `[archive]`, the random end of a name that Pulumi made up
    `[random]` wherever it appears, a SHA-256 `[sha256]`, the folder of the checkout `[checkout]`.
    """
    states = [step["newState"] for step in preview.get("steps", []) if step.get("newState")]
    made_up = dict(pair for state in states for pair in _made_up_names(state))
    return {"stack": stack, "resources": sorted((_row(state, made_up) for state in states), key=lambda row: row["urn"])}


def plan_text(plan: Mapping[str, Any]) -> str:
    """The plan as the lines of `plan.json`."""
    return json.dumps(plan, indent=2, sort_keys=False, ensure_ascii=False) + "\n"


def _made_up_names(state: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names that end in hex digits after the resource's own name, each with what the plan shows instead."""
    name = state["urn"].rpartition("::")[2]
    for value in (state.get("inputs") or {}).values():
        if isinstance(value, str) and re.fullmatch(rf"{re.escape(name)}[-_]?[0-9a-f]{{7}}(\.fifo)?", value):
            yield value, re.sub(r"[0-9a-f]{7}(\.fifo)?$", r"[random]\1", value)


def _row(state: Mapping[str, Any], made_up: Mapping[str, str]) -> dict[str, Any]:
    return {
        "urn": state["urn"],
        "type": state["type"],
        "parent": state.get("parent") or "",
        # The id of a provider is new in every preview; its URN is not.
        "provider": (state.get("provider") or "").rpartition("::")[0],
        "dependencies": sorted(state.get("dependencies") or []),
        "inputs": _plain(state.get("inputs") or {}, made_up),
    }


def _plain(value: Any, made_up: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        if SIGNATURE in value:
            return KINDS.get(value[SIGNATURE], "[special]")
        return {key: _plain(inner, made_up) for key, inner in sorted(value.items()) if not key.startswith("__")}
    if isinstance(value, list):
        return [_plain(inner, made_up) for inner in value]
    if isinstance(value, str):
        return _plain_text(value, made_up)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _plain_text(text: str, made_up: Mapping[str, str]) -> str:
    if text == UNKNOWN:
        return "[unknown]"
    for name, shown in made_up.items():
        text = text.replace(name, shown)
    text = re.sub(r"\b[0-9a-f]{64}\b", "[sha256]", text)
    return text.replace(str(CHECKOUT), "[checkout]")
