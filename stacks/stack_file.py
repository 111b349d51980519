"""Read a stack file's sections, and say what is wrong with it in the file's own terms, all at once."""

import difflib
import importlib
import json
import re
from collections.abc import Iterator, Mapping
from itertools import takewhile
from types import UnionType
from typing import Any, cast, get_args, get_origin

import pulumi
from pulumi.runtime.config import CONFIG, get_config_env
from pydantic import ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from .settings import AwsSettings, EksSettings, Section

PROJECT = "spotbatch"

CLOUDS: Mapping[str, type[Section]] = {"aws": AwsSettings, "eks": EksSettings}
"""Keys of the project, one for each cloud, and what may stand there; `stacks/<cloud>_faults.py` finds what is wrong with it."""

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


def read() -> Mapping[str, Section]:
    """The settings of the stack at work by cloud, of those that its file has. Raises pulumi.RunError with every fault of the file."""
    given = {key.removeprefix(f"{PROJECT}:"): value for key, value in {**get_config_env(), **CONFIG.get()}.items() if key.startswith(f"{PROJECT}:")}
    faults = [f"{PROJECT}:{key}: no such key{_nearest(key, CLOUDS)}" for key in given if key not in CLOUDS]
    found: dict[str, Section] = {}
    for cloud in CLOUDS:
        if cloud in given:
            found[cloud], more = parse(cloud, given[cloud])
            faults += [f"{PROJECT}:{cloud}{fault}" for fault in more]
    if not found:
        faults.append(f"{' or '.join(f'{PROJECT}:{cloud}' for cloud in CLOUDS)}: missing; allowed: one of them or more")
    if faults:
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise pulumi.RunError("\n".join([f"Pulumi.{pulumi.get_stack()}.yaml: {count}, nothing was declared", *(f"  - {fault}" for fault in faults)]))
    return found


def parse_aws(text: str) -> tuple[AwsSettings, list[str]]:
    """`parse` for the section `spotbatch:aws`."""
    return cast(tuple[AwsSettings, list[str]], parse("aws", text))


def parse_eks(text: str) -> tuple[EksSettings, list[str]]:
    """`parse` for the section `spotbatch:eks`."""
    return cast(tuple[EksSettings, list[str]], parse("eks", text))


def parse(cloud: str, text: str) -> tuple[Section, list[str]]:
    """Settings from the section as JSON, which is how Pulumi hands it over, and its faults; what is faulty is left out of the settings."""
    model = CLOUDS[cloud]
    try:
        given = json.loads(text)
    except ValueError:
        given = text
    if not isinstance(given, Mapping) or not given:
        return model(), [f": {given!r} is not allowed; allowed: {_sections(model)}"]
    empty = [f".{path}" for path in _empty(given)]
    faults = [f"{path}: empty; allowed: a value, or {{}} for a section that takes its defaults" for path in empty]
    sound = _filled(given)
    told = _errors(model, sound)
    faults += [_told(model, detail) for detail in told if _path(detail["loc"]) not in empty]
    while told:
        for detail in told:
            _cut(sound, detail["loc"][:-1] if detail["type"] == "missing" else detail["loc"])
        told = _errors(model, sound)
    settings = model.model_validate_json(json.dumps(sound))
    present = frozenset(key for key in given if key in model.model_fields)
    # One cloud's SDK takes most of a second to load: only those that the file asks for.
    found = importlib.import_module(f"stacks.{cloud}_faults").faults(settings, present)
    spellings = dict(_spellings(model))
    faults += [f".{_as_in_file(fault, spellings)}" for fault in dict.fromkeys(found)]
    return settings, faults


def _sections(model: type[Section]) -> str:
    return f"a mapping with some of the sections {', '.join(map(to_camel, model.model_fields))}"


def _errors(model: type[Section], given: Mapping[str, Any]) -> list[ErrorDetails]:
    try:
        model.model_validate_json(json.dumps(given))
    except ValidationError as error:
        return error.errors()
    return []


def _cut(given: dict[str, Any], loc: tuple[int | str, ...]) -> None:
    """Take away the faulty entry, a faulty list as a whole, so that the rest can be judged in the same go."""
    *way, last = takewhile(lambda step: isinstance(step, str), loc)
    for step in way:
        given = given.get(str(step), {})
    given.pop(str(last), None)


def _told(model: type[Section], detail: ErrorDetails) -> str:
    path, kind = _path(detail["loc"]), detail["type"]
    if kind == "extra_forbidden":
        return f"{path}: no such key{_nearest(str(detail['loc'][-1]), _keys(model, detail['loc'][:-1]))}"
    if kind == "missing":
        return f"{path}: missing"
    expected = _EXPECTED.get(kind) or f"a mapping with the keys {', '.join(_keys(model, detail['loc']))}"
    return f"{path}: {detail['input']!r} is not allowed; allowed: {expected}"


def _path(loc: tuple[int | str, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc)


def _keys(model: type[Section], loc: tuple[int | str, ...]) -> list[str]:
    """The keys that are allowed at a place in the section."""
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


def _as_in_file(fault: str, spellings: Mapping[str, str]) -> str:
    """A component's words with its arguments spelt as the file spells them."""
    return re.sub(r"\b[a-z]+(?:_[a-z]+)+\b", lambda name: spellings.get(name[0], name[0]), fault)


def _spellings(model: type[Section]) -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        yield name, to_camel(name)
        section = _section(field.annotation)
        if section:
            yield from _spellings(section)


def _empty(given: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Keys with nothing behind them. YAML means null by that, the writer may have meant anything."""
    for key, value in given.items():
        if value is None:
            yield f"{path}{key}"
        elif isinstance(value, Mapping):
            yield from _empty(value, f"{path}{key}.")


def _filled(given: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _filled(value) if isinstance(value, Mapping) else value for key, value in given.items() if value is not None}
