"""Read a stack file's sections, and say what is wrong with it in the file's own terms, all at once."""

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from itertools import takewhile
from types import UnionType
from typing import Any, get_args, get_origin

import pulumi
from pulumi.runtime.config import CONFIG, get_config_env
from pydantic import ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from . import aws_faults
from .settings import AwsSettings, Section

PROJECT = "spotbatch"

CLOUDS = ("aws",)
"""Keys of the project, one for each cloud."""

_SECTIONS = f"a mapping with some of the sections {', '.join(AwsSettings.model_fields)}"

_EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "a mapping from names to values",
    "float_type": "a number",
    "int_from_float": "a whole number",
    "int_type": "a whole number",
    "string_type": "a string",
    "tuple_type": "a list",
}
"""What was expected, by pydantic's own name for the error."""


def read_aws() -> AwsSettings:
    """The section `spotbatch:aws` of the stack at work. Raises pulumi.RunError with every fault of the file."""
    given = {key.removeprefix(f"{PROJECT}:"): value for key, value in {**get_config_env(), **CONFIG.get()}.items() if key.startswith(f"{PROJECT}:")}
    faults = [f"{PROJECT}:{key}: no such key{_nearest(key, CLOUDS)}" for key in given if key not in CLOUDS]
    settings, more = parse_aws(given["aws"]) if "aws" in given else (AwsSettings(), [f": missing; allowed: {_SECTIONS}"])
    faults += [f"{PROJECT}:aws{fault}" for fault in more]
    if faults:
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise pulumi.RunError("\n".join([f"Pulumi.{pulumi.get_stack()}.yaml: {count}, nothing was declared", *(f"  - {fault}" for fault in faults)]))
    return settings


def parse_aws(text: str) -> tuple[AwsSettings, list[str]]:
    """Settings from the section as JSON, which is how Pulumi hands it over, and its faults; what is faulty is left out of the settings."""
    try:
        given = json.loads(text)
    except ValueError:
        given = text
    if not isinstance(given, Mapping):
        return AwsSettings(), [f": {given!r} is not allowed; allowed: {_SECTIONS}"]
    if not given:
        return AwsSettings(), [f": {{}} is not allowed; allowed: {_SECTIONS}"]
    empty = [f".{path}" for path in _empty(given)]
    faults = [f"{path}: empty; allowed: a value, or {{}} for a section that takes its defaults" for path in empty]
    sound = _filled(given)
    told = _errors(sound)
    faults += [_told(detail) for detail in told if _path(detail["loc"]) not in empty]
    while told:
        for detail in told:
            _cut(sound, detail["loc"][:-1] if detail["type"] == "missing" else detail["loc"])
        told = _errors(sound)
    settings = AwsSettings.model_validate_json(json.dumps(sound))
    present = frozenset(key for key in given if key in AwsSettings.model_fields)
    found = [*aws_faults.section_faults(settings, present), *aws_faults.value_faults(settings)]
    faults += [f".{_as_in_file(fault)}" for fault in dict.fromkeys(found)]
    return settings, faults


def _errors(given: Mapping[str, Any]) -> list[ErrorDetails]:
    try:
        AwsSettings.model_validate_json(json.dumps(given))
    except ValidationError as error:
        return error.errors()
    return []


def _cut(given: dict[str, Any], loc: tuple[int | str, ...]) -> None:
    """Take away the faulty entry, a faulty list as a whole, so that the rest can be judged in the same go."""
    *way, last = takewhile(lambda step: isinstance(step, str), loc)
    for step in way:
        given = given.get(str(step), {})
    given.pop(str(last), None)


def _told(detail: ErrorDetails) -> str:
    path, kind = _path(detail["loc"]), detail["type"]
    if kind == "extra_forbidden":
        return f"{path}: no such key{_nearest(str(detail['loc'][-1]), _keys(detail['loc'][:-1]))}"
    if kind == "missing":
        return f"{path}: missing"
    expected = _EXPECTED.get(kind) or f"a mapping with the keys {', '.join(_keys(detail['loc']))}"
    return f"{path}: {detail['input']!r} is not allowed; allowed: {expected}"


def _path(loc: tuple[int | str, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc)


def _keys(loc: tuple[int | str, ...]) -> list[str]:
    """The keys that are allowed at a place in the section."""
    model: type[Section] = AwsSettings
    for step in loc:
        if isinstance(step, str):
            fields = {to_camel(name): field for name, field in model.model_fields.items()}
            model = _section(fields[step].annotation) or model
    return [to_camel(name) for name in model.model_fields]


def _section(hint: Any) -> type[Section] | None:
    """The section inside `Section | None` or `tuple[Section, ...] | None`."""
    if isinstance(hint, type) and get_origin(hint) is None:
        return hint if issubclass(hint, Section) else None
    inside = [member for member in get_args(hint) if member is not Ellipsis] if get_origin(hint) in (UnionType, tuple) else []
    return next((found for found in map(_section, inside) if found), None)


def _nearest(key: str, known: Any) -> str:
    near = difflib.get_close_matches(to_camel(key.replace("-", "_")), known, 1)
    return f"; did you mean {near[0]}?" if near else f"; known: {', '.join(known)}"


def _as_in_file(fault: str) -> str:
    """A component's words with its arguments spelt as the file spells them."""
    return re.sub(r"\b[a-z]+(?:_[a-z]+)+\b", lambda name: _SPELLINGS.get(name[0], name[0]), fault)


def _spellings(model: type[Section]) -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        yield name, to_camel(name)
        section = _section(field.annotation)
        if section:
            yield from _spellings(section)


_SPELLINGS = dict(_spellings(AwsSettings))


def _empty(given: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Keys with nothing behind them. YAML means null by that, the writer may have meant anything."""
    for key, value in given.items():
        if value is None:
            yield f"{path}{key}"
        elif isinstance(value, Mapping):
            yield from _empty(value, f"{path}{key}.")


def _filled(given: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _filled(value) if isinstance(value, Mapping) else value for key, value in given.items() if value is not None}
