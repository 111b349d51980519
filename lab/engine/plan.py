"""A plan that can be compared: what a stack would make, without anything that differs between two runs or two machines."""

import json
import re
from collections.abc import Mapping
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
    `[random]`, a SHA-256 `[sha256]`, the folder of the checkout `[checkout]`.
    """
    states = [step["newState"] for step in preview.get("steps", []) if step.get("newState")]
    return {"stack": stack, "resources": sorted(map(_row, states), key=lambda row: row["urn"])}


def plan_text(plan: Mapping[str, Any]) -> str:
    """The plan as the lines of `plan.json`."""
    return json.dumps(plan, indent=2, sort_keys=False, ensure_ascii=False) + "\n"


def _row(state: Mapping[str, Any]) -> dict[str, Any]:
    name = state["urn"].rpartition("::")[2]
    return {
        "urn": state["urn"],
        "type": state["type"],
        "parent": state.get("parent") or "",
        # The id of a provider is new in every preview; its URN is not.
        "provider": (state.get("provider") or "").rpartition("::")[0],
        "dependencies": sorted(state.get("dependencies") or []),
        "inputs": _plain(state.get("inputs") or {}, name),
    }


def _plain(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        if SIGNATURE in value:
            return KINDS.get(value[SIGNATURE], "[special]")
        return {key: _plain(inner, name) for key, inner in sorted(value.items()) if not key.startswith("__")}
    if isinstance(value, list):
        return [_plain(inner, name) for inner in value]
    if isinstance(value, str):
        return _plain_text(value, name)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _plain_text(text: str, name: str) -> str:
    if text == UNKNOWN:
        return "[unknown]"
    text = re.sub(rf"^({re.escape(name)}-)[0-9a-f]{{7}}(\.fifo)?$", r"\1[random]\2", text)
    text = re.sub(r"\b[0-9a-f]{64}\b", "[sha256]", text)
    return text.replace(str(CHECKOUT), "[checkout]")
