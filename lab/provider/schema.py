"""Names and kinds of every property, read from the AWS package's own classes: what the real provider's schema would refuse."""

import importlib
import inspect
import threading
import types
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pulumi
from pulumi._types import input_type_py_to_pulumi_names, input_type_types, is_input_type

from lab.provider.fault import Fault
from lab.provider.wire import UNKNOWN, Properties, is_file

_MODULES = {"lambda": "lambda_"}
_IMPORTS = threading.Lock()
_KINDS: dict[type, str] = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}


def faults(token: str, properties: Properties) -> Iterator[Fault]:
    """Properties that the type does not have, required ones that are missing, values of another kind."""
    yield from _object_faults(_arguments(token), properties, "", token)


@cache
def _arguments(token: str) -> type:
    module, name = token.removeprefix("aws:").split("/")[0], token.rpartition(":")[2]
    # Python lets threads that import each other's modules see them half done; the engine asks for many types at once.
    with _IMPORTS:
        package = importlib.import_module(f"pulumi_aws.{_MODULES.get(module, module)}")
        home = importlib.import_module(getattr(package, name).__module__)
    # Where an object within a resource has taken the plain name, the package calls the resource's own arguments InitArgs.
    return getattr(home, f"{name}InitArgs", None) or getattr(home, f"{name}Args")


@cache
def _fields(arguments: type) -> tuple[dict[str, Any], frozenset[str]]:
    """Kinds by Pulumi's names, and which of them are required."""
    names = input_type_py_to_pulumi_names(arguments)
    parameters = inspect.signature(arguments.__init__).parameters.values()
    required = {names[parameter.name] for parameter in parameters if parameter.default is inspect.Parameter.empty and parameter.name in names}
    return input_type_types(arguments), frozenset(required)


def _object_faults(arguments: type, properties: Mapping[str, Any], path: str, where: str) -> Iterator[Fault]:
    kinds, required = _fields(arguments)
    for name, value in properties.items():
        here = f"{path}.{name}" if path else name
        if name.startswith("__"):
            continue
        if name not in kinds:
            yield Fault(here, f"An argument named {name!r} is not expected here; allowed: {', '.join(sorted(kinds))}")
        else:
            yield from _kind_faults(kinds[name], value, here)
    for name in sorted(required - {name for name, value in properties.items() if value is not None}):
        yield Fault(f"{path}.{name}" if path else name, f"Missing required argument: the argument {name!r} is required by {where}")


def _kind_faults(kind: Any, value: Any, path: str) -> Iterator[Fault]:
    if value is None or value == UNKNOWN:
        return
    kind, origin = _plain(kind), typing.get_origin(_plain(kind))
    if inspect.isclass(kind) and is_input_type(kind):
        if isinstance(value, Mapping):
            yield from _object_faults(kind, value, path, path)
        else:
            yield _wrong(path, value, "an object")
    elif origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            yield _wrong(path, value, "a map")
        else:
            for key, entry in value.items():
                yield from _kind_faults(typing.get_args(kind)[1], entry, f"{path}.{key}")
    elif origin is not None and not isinstance(origin, types.UnionType) and origin is not typing.Union:
        if not isinstance(value, list):
            yield _wrong(path, value, "a list")
        else:
            for index, entry in enumerate(value):
                yield from _kind_faults(typing.get_args(kind)[0], entry, f"{path}[{index}]")
    elif inspect.isclass(kind) and issubclass(kind, pulumi.Archive | pulumi.Asset):
        if not is_file(value):
            yield _wrong(path, value, "an archive or asset")
    elif kind in _KINDS and not _fits(kind, value):
        yield _wrong(path, value, _KINDS[kind])


def _plain(kind: Any) -> Any:
    """The type itself without `Input[...]` and `Optional[...]` around it."""
    while typing.get_origin(kind) in (typing.Union, types.UnionType):
        inner = [entry for entry in typing.get_args(kind) if entry is not type(None) and not _is_plumbing(entry)]
        if all(inspect.isclass(entry) and issubclass(entry, pulumi.Archive | pulumi.Asset) for entry in inner):
            return pulumi.Asset
        if len(inner) != 1:
            return str
        kind = inner[0]
    return kind


def _is_plumbing(kind: Any) -> bool:
    origin = typing.get_origin(kind) or kind
    return inspect.isclass(origin) and (issubclass(origin, pulumi.Output) or origin.__name__ == "Awaitable")


def _fits(kind: type, value: Any) -> bool:
    """The engine's AWS provider converts among strings, numbers and booleans where it can."""
    if isinstance(value, Mapping | list):
        return False
    if kind is bool:
        return str(value).lower() in ("true", "false")
    if kind in (int, float):
        try:
            return not isinstance(value, bool) and (kind is float or float(value).is_integer()) and float(value) == float(value)
        except ValueError:
            return False
    return True


def _wrong(path: str, value: Any, wanted: str) -> Fault:
    # The kind and not the value itself, which may be a secret's.
    kinds = {str: "a string", bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return Fault(path, f"Incorrect attribute value type: {kinds.get(type(value), 'something else')}; allowed: {wanted}")
