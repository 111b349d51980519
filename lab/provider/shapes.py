"""botocore's own description of an API, used twice: to build requests, and to judge them before they are sent."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import botocore.session

from lab.provider.fault import Fault
from lab.provider.wire import UNKNOWN, Properties, is_file

_SHOWN_WHOLE = 60
"""Values of an enum up to which a refusal names all of them; instance types are a thousand."""


@cache
def input_shape(service: str, operation: str, *members: str) -> Any:
    """The shape of an operation's input, or of a member of it; of a list, that of its entries."""
    found = _service(service).operation_model(operation).input_shape
    for member in members:
        found = found.members[member]
    return found.member if found.type_name == "list" else found


def request(properties: Properties, shape: Any, renames: Mapping[str, str] | None = None) -> Properties:
    """Properties as boto3 takes them: AWS's names, numbers by their declared type, tag maps as lists. What the shape lacks is left out."""
    return _converted(properties, shape, renames or {}) or {}


def faults(properties: Mapping[str, Any], service: str, shape: Any, renames: Mapping[str, str] | None = None, path: str = "") -> Iterator[Fault]:
    """What the shape forbids: values outside an enum, a range, a length, a pattern; a structure without a required member."""
    for name, value in properties.items():
        member = _member(name, shape, renames or {})
        if member is not None and not name.startswith("__"):
            yield from _value_faults(value, service, member[1], renames or {}, f"{path}.{name}" if path else name)


def _member(name: str, shape: Any, renames: Mapping[str, str]) -> tuple[str, Any] | None:
    for candidate in (renames.get(name, name), name[:1].upper() + name[1:], name):
        # Pulumi names lists in the plural, AWS often does not.
        for form in (candidate, candidate.removesuffix("s")):
            if form in shape.members:
                return form, shape.members[form]
    return None


def _converted(value: Any, shape: Any, renames: Mapping[str, str]) -> Any:
    kind = shape.type_name
    if value is None or is_file(value):
        return None
    if kind == "structure":
        given = value[0] if isinstance(value, list) and value else value
        members = {}
        for name, entry in given.items() if isinstance(given, Mapping) else ():
            member = _member(name, shape, renames)
            if member is not None and (made := _converted(entry, member[1], renames)) is not None:
                members[member[0]] = made
        return members
    if kind == "list":
        if isinstance(value, Mapping) and set(getattr(shape.member, "members", ())) >= {"Key", "Value"}:
            return [{"Key": key, "Value": str(entry)} for key, entry in value.items()]
        return [_converted(entry, shape.member, renames) for entry in (value if isinstance(value, list) else [value])]
    if kind == "map":
        return {key: _converted(entry, shape.value, renames) for key, entry in value.items()}
    if kind == "boolean":
        return value if isinstance(value, bool) else str(value).lower() == "true"
    if kind in ("integer", "long"):
        return int(value)
    if kind in ("double", "float"):
        return float(value)
    return value if kind in ("timestamp", "blob") else str(value).lower() if isinstance(value, bool) else str(value)


def _value_faults(value: Any, service: str, shape: Any, renames: Mapping[str, str], path: str) -> Iterator[Fault]:
    if value is None or value == UNKNOWN or is_file(value):
        return
    kind = shape.type_name
    if kind == "structure":
        given = value[0] if isinstance(value, list) and value else value
        if isinstance(given, Mapping):
            yield from faults(given, service, shape, renames, path)
    elif kind == "list":
        if isinstance(value, list):
            yield from _length_faults(value, service, shape, path)
            for index, entry in enumerate(value):
                yield from _value_faults(entry, service, shape.member, renames, f"{path}[{index}]")
    elif kind == "map":
        for key, entry in value.items() if isinstance(value, Mapping) else ():
            yield from _value_faults(entry, service, shape.value, renames, f"{path}.{key}")
    elif kind in ("integer", "long", "double", "float"):
        yield from _number_faults(value, service, shape, path)
    elif kind == "string":
        yield from _text_faults(str(value), service, shape, path)


def _number_faults(value: Any, service: str, shape: Any, path: str) -> Iterator[Fault]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    try:
        number = float(value)
    except (TypeError, ValueError):
        yield Fault.allowed(path, value, constraint(service, path, value, "Member must be a number"))
        return
    if low is not None and number < low:
        yield Fault.allowed(
            path, value, constraint(service, path, value, f"Member must have value greater than or equal to {low}"), _range(low, high)
        )
    if high is not None and number > high:
        yield Fault.allowed(path, value, constraint(service, path, value, f"Member must have value less than or equal to {high}"), _range(low, high))


def _text_faults(value: str, service: str, shape: Any, path: str) -> Iterator[Fault]:
    if shape.enum:
        if value not in shape.enum:
            yield Fault.allowed(path, value, constraint(service, path, value, f"Member must satisfy enum value set: [{_shown(value, shape.enum)}]"))
        return
    yield from _length_faults(value, service, shape, path)
    pattern = shape.metadata.get("pattern")
    if pattern and not _matches(pattern, value):
        yield Fault.allowed(path, value, constraint(service, path, value, f"Member must satisfy regular expression pattern: {pattern}"))


def _length_faults(value: Any, service: str, shape: Any, path: str) -> Iterator[Fault]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    shown = value if isinstance(value, str) and len(value) <= 80 else f"{len(value)} long"
    if low is not None and len(value) < low:
        wording = constraint(service, path, shown, f"Member must have length greater than or equal to {low}")
        yield Fault.allowed(path, shown, wording, f"a length of {_range(low, high)}")
    if high is not None and len(value) > high:
        wording = constraint(service, path, shown, f"Member must have length less than or equal to {high}")
        yield Fault.allowed(path, shown, wording, f"a length of {_range(low, high)}")


def constraint(service: str, path: str, value: Any, wording: str) -> str:
    """How the service words a broken constraint. EC2 has its own manner; most others share one."""
    if service == "ec2":
        return f"InvalidParameterValue: Value ({value}) for parameter {path} is invalid. {wording}"
    return f"ValidationException: 1 validation error detected: Value '{value}' at '{path}' failed to satisfy constraint: {wording}"


def _shown(value: str, allowed: Sequence[str]) -> str:
    """All values that are allowed, of hundreds those that look most like the one given."""
    if len(allowed) <= _SHOWN_WHOLE:
        return ", ".join(allowed)
    near = difflib.get_close_matches(value, allowed, n=5, cutoff=0.4)
    return f"{', '.join(near)}{', ' if near else ''}... of {len(allowed)}"


def _range(low: Any, high: Any) -> str:
    return f"{low} to {high}" if low is not None and high is not None else f"{low} or more" if high is None else f"up to {high}"


@cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern)
    except re.error:
        # Java's classes such as \p{L} are not Python's; such a pattern judges nothing rather than wrongly.
        return None


def _matches(pattern: str, value: str) -> bool:
    compiled = _compiled(pattern)
    return compiled is None or compiled.fullmatch(value) is not None


@cache
def _service(name: str) -> Any:
    return botocore.session.get_session().get_service_model(name)
