"""What an API server with Karpenter's definitions would refuse, found before one is asked: structure and rules (CEL), in Karpenter's words."""

import functools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pulumi

DEFINITIONS = Path(__file__).parent / "crds"
"""The `spec` of each of Karpenter's definitions without its prose; see SOURCES.md there."""

_STAND_INS = {"subnetSelectorTerms": "subnet-0", "securityGroupSelectorTerms": "sg-0", "amiSelectorTerms": "al2023@v1"}
"""For what only the cloud knows, by the list in which it stands; anything else unknown is taken for some text."""

_TYPES: Mapping[str, tuple[type, ...]] = {
    "array": (list, tuple),
    "boolean": (bool,),
    "integer": (int,),
    "object": (Mapping,),  # pyright: ignore[reportAssignmentType]
    "string": (str,),
}


def manifest_faults(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Path and fault for everything about a NodePool's or EC2NodeClass's `spec` that would be refused; Outputs count as sound."""
    spec = _known(manifest["spec"])
    schema = _schema(manifest["kind"])
    structural = list(_structure(schema, spec, "spec"))
    # The server too evaluates rules on a sound structure only.
    return structural or list(_rules(schema, spec, "spec"))


@functools.cache
def _schema(kind: str) -> dict[str, Any]:
    return json.loads((DEFINITIONS / f"{kind}.json").read_text())


def _known(value: Any, terms: str = "") -> Any:
    if isinstance(value, pulumi.Output):
        return _STAND_INS.get(terms, "text")
    if isinstance(value, Mapping):
        return {key: _known(entry, key if key in _STAND_INS else terms) for key, entry in value.items()}
    return [_known(entry, terms) for entry in value] if isinstance(value, list | tuple) else value


def _structure(schema: Mapping[str, Any], value: Any, path: str) -> Iterator[tuple[str, str]]:
    either = schema.get("x-kubernetes-int-or-string")
    kind = schema.get("type")
    allowed = (int, str) if either else _TYPES.get(kind or "", (object,))
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed and object not in allowed):
        yield path, f"expected {kind or 'integer or string'}, got {_shown(value)}"
        return
    yield from _bounds(schema, value, path)
    if isinstance(value, Mapping):
        yield from _fields(schema, value, path)
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _structure(schema.get("items", {}), entry, f"{path}[{index}]")


def _fields(schema: Mapping[str, Any], value: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    known, others = schema.get("properties", {}), schema.get("additionalProperties")
    for field in schema.get("required", ()):
        if field not in value:
            yield f"{path}.{field}", "Required value"
    for field, entry in value.items():
        if field in known:
            yield from _structure(known[field], entry, f"{path}.{field}")
        elif isinstance(others, Mapping):
            yield from _structure(others, entry, f"{path}[{field}]")
        elif "properties" in schema:
            yield f"{path}.{field}", f"field not declared in schema; known: {', '.join(known)}"


def _bounds(schema: Mapping[str, Any], value: Any, path: str) -> Iterator[tuple[str, str]]:
    said = f"Invalid value: {_shown(value)}"
    if "enum" in schema and value not in schema["enum"]:
        yield path, f"Unsupported value: {_shown(value)}: supported values: {', '.join(json.dumps(one) for one in schema['enum'])}"
    if isinstance(value, str):
        if "pattern" in schema and not re.search(schema["pattern"].replace("$", r"\Z"), value, re.ASCII):
            yield path, f"{said}: should match '{schema['pattern']}'"
        if len(value) > schema.get("maxLength", len(value)):
            yield path, f"Too long: may not be more than {schema['maxLength']} bytes"
        if len(value) < schema.get("minLength", 0):
            yield path, f"{said}: should be at least {schema['minLength']} chars long"
    elif isinstance(value, int) and not isinstance(value, bool):
        if value < schema.get("minimum", value):
            yield path, f"{said}: should be greater than or equal to {schema['minimum']}"
        if value > schema.get("maximum", value):
            yield path, f"{said}: should be less than or equal to {schema['maximum']}"
    elif isinstance(value, list):
        if len(value) > schema.get("maxItems", len(value)):
            yield path, f"Too many: {len(value)}: must have at most {schema['maxItems']} items"
        if len(value) < schema.get("minItems", 0):
            yield path, f"{said}: should have at least {schema['minItems']} items"
        if schema.get("x-kubernetes-list-type") == "set" and len({json.dumps(one) for one in value}) < len(value):
            yield path, "duplicate entries"
    elif isinstance(value, Mapping) and len(value) > schema.get("maxProperties", len(value)):
        yield path, f"Too many: {len(value)}: must have at most {schema['maxProperties']} items"


def _rules(schema: Mapping[str, Any], value: Any, path: str) -> Iterator[tuple[str, str]]:
    for rule in schema.get("x-kubernetes-validations", ()):
        # Rules on oldSelf judge a change; what stands in the cluster is not known here.
        if "oldSelf" not in rule["rule"] and not _holds(rule["rule"], value):
            yield path, f"Invalid value: {rule['message']}"
    if isinstance(value, Mapping):
        known, others = schema.get("properties", {}), schema.get("additionalProperties")
        for field, entry in value.items():
            inner = known.get(field, others if isinstance(others, Mapping) else {})
            yield from _rules(inner, entry, f"{path}.{field}" if field in known else f"{path}[{field}]")
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _rules(schema.get("items", {}), entry, f"{path}[{index}]")


@functools.cache
def _compiled(rule: str) -> Any:
    # Takes a quarter of a second to load, and only node pools need it.
    import cel

    return cel.compile(rule)


def _holds(rule: str, value: Any) -> bool:
    import cel

    context = cel.Context({"self": value})
    # Kubernetes' own additions to CEL: https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-cel-libraries
    context.add_function("find", lambda text, pattern: found[0] if (found := re.search(pattern, text)) else "")
    context.add_function("split", lambda text, separator: text.split(separator))
    try:
        return _compiled(rule).execute(context) is True
    except (KeyError, RuntimeError, TypeError, ValueError):
        # As at the server: a rule that cannot be evaluated refuses.
        return False


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else text[:77] + "..."
