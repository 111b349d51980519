"""Check a component's arguments before anything is declared, and report every fault at once."""

import difflib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, Required, TypeVar, Union, cast, get_args, get_origin, is_typeddict

import pulumi

A = TypeVar("A")

_FAULTY = object()


class InvalidArgs(pulumi.RunError):
    """A component was given arguments it cannot work with. Pulumi prints the text without a traceback."""

    def __init__(self, component: str, name: str, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        super().__init__(
            "\n".join([f"{component} {name!r}: {count} in its arguments, nothing of it was declared", *(f"  - {fault}" for fault in faults)])
        )


@dataclass(frozen=True)
class Rule:
    """What a plain value must fulfil beyond its type."""

    allowed: str
    holds: Callable[[Any], bool]
    hidden: bool = False
    """Whether the value is kept out of the message, as it may be a secret in the wrong place."""


def one_of(*values: str) -> Rule:
    """Exactly one of these spellings."""
    return Rule("one of " + ", ".join(values), lambda value: value in values)


def between(low: float, high: float | None = None) -> Rule:
    """From `low` to `high`, both included; without `high`, from `low` up."""
    if high is None:
        return Rule(f"{low:g} or more", lambda value: value >= low)
    return Rule(f"{low:g} to {high:g}", lambda value: low <= value <= high)


def above(low: float) -> Rule:
    """More than `low`."""
    return Rule(f"more than {low:g}", lambda value: value > low)


def like(pattern: str, allowed: str, *, hidden: bool = False) -> Rule:
    """A string that the whole pattern matches; `allowed` tells the reader what that is."""
    return Rule(allowed, lambda value: re.fullmatch(pattern, value) is not None, hidden)


def some(low: int = 1, high: int | None = None) -> Rule:
    """A list or mapping with at least `low` and at most `high` entries."""
    text = f"{low} or more entries" if high is None else f"{low} to {high} entries"
    return Rule(text, lambda value: low <= len(value) and (high is None or len(value) <= high))


class Faults:
    """Collects what is wrong with the arguments of one component, and raises it as one error.

    ```
    faults = Faults("SpotFleet", name)
    given = faults.read(SpotFleetArgs, args, {"target_capacity": between(1), "pools[].weight": above(0)})
    if given.get("max_price") and not given.get("accept_more_interruptions"):
        faults.add("max_price", given["max_price"], "left out, or given with accept_more_interruptions")
    faults.raise_any()
    ```
    """

    def __init__(self, component: str, name: str) -> None:
        self._component, self._name = component, name
        self._faults: list[str] = []

    def read(self, schema: type[A], args: A, rules: Mapping[str, Rule] | None = None) -> A:
        """The arguments with their types and rules checked: whole floats (as a component host sends) made ints, `None` taken as left out.

        `schema` is the arguments' TypedDict. A rule's key is a path with `[]` for any entry of a list or mapping. An Output is
        let through where the schema says `pulumi.Input`. A faulty argument is absent in what is returned: read with `.get` until `raise_any`.
        """
        read = _Reader(self, rules or {}).fields(schema, {} if args is None else args, "", "")
        return cast(A, {} if read is _FAULTY else read)

    def add(self, path: str, value: object, allowed: str) -> None:
        """One more fault: the argument's path, the value it has, and what would be right."""
        self._faults.append(f"{path}: {_shown(value)} is not allowed; allowed: {allowed}")

    def say(self, path: str, text: str) -> None:
        """One more fault for which there is no single value to show, such as a missing argument."""
        self._faults.append(f"{path}: {text}")

    @property
    def found(self) -> int:
        """How many faults there are so far."""
        return len(self._faults)

    def raise_any(self) -> None:
        """Raise InvalidArgs with every fault so far; nothing happens if there is none."""
        if self._faults:
            raise InvalidArgs(self._component, self._name, self._faults)


class _Reader:
    """Walks arguments and schema side by side."""

    def __init__(self, faults: Faults, rules: Mapping[str, Rule]) -> None:
        self._faults, self._rules = faults, rules

    def fields(self, schema: Any, args: Any, path: str, rule: str) -> Any:
        if not isinstance(args, Mapping):
            self._faults.add(path or "args", args, f"a dictionary like {schema.__name__}")
            return _FAULTY
        hints = {key: hint for cls in reversed(schema.__mro__) for key, hint in getattr(cls, "__annotations__", {}).items()}
        read: dict[str, Any] = {}
        for key in args:
            if key not in hints:
                self._faults.say(_join(path, str(key)), f"no such argument{_nearest(str(key), hints)}")
        for key, hint in hints.items():
            if args.get(key) is None:
                if key in schema.__required_keys__:
                    self._faults.say(_join(path, key), f"missing; allowed: {_describe(hint)}")
                continue
            value = self.value(hint, args[key], _join(path, key), _join(rule, key))
            if value is not _FAULTY:
                read[key] = value
        return read

    def value(self, hint: Any, value: Any, path: str, rule: str) -> Any:
        hint, takes_output = _plain(hint)
        if isinstance(value, pulumi.Output | Awaitable):
            if takes_output or hint is Any:
                return value
            self._faults.say(path, f"an Output is not allowed; allowed: {_describe(hint)} that is known at once, as it decides what is declared")
            return _FAULTY
        read = self._typed(hint, value, path, rule)
        held = self._rules.get(rule)
        if read is not _FAULTY and held is not None and not held.holds(read):
            if held.hidden:
                self._faults.say(path, f"a value that is not shown here is not allowed; allowed: {held.allowed}")
            else:
                self._faults.add(path, read, held.allowed)
            return _FAULTY
        return read

    def _typed(self, hint: Any, value: Any, path: str, rule: str) -> Any:
        if hint is Any:
            return value
        if is_typeddict(hint):
            return self.fields(hint, value, path, rule)
        origin = get_origin(hint)
        if origin is not None and issubclass(origin, Mapping):
            return self._mapping(hint, value, path, rule)
        if origin is not None and issubclass(origin, Sequence):
            return self._sequence(hint, value, path, rule)
        if hint is int and isinstance(value, float) and value.is_integer():
            return int(value)
        if hint is float and isinstance(value, int) and not isinstance(value, bool):
            return value
        if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
            self._faults.add(path, value, _describe(hint))
            return _FAULTY
        return value

    def _mapping(self, hint: Any, value: Any, path: str, rule: str) -> Any:
        if not isinstance(value, Mapping):
            self._faults.add(path, value, _describe(hint))
            return _FAULTY
        inner = get_args(hint)[1]
        entries = {key: self.value(inner, entry, f"{path}[{key!r}]", f"{rule}[]") for key, entry in value.items()}
        return _FAULTY if _FAULTY in entries.values() else entries

    def _sequence(self, hint: Any, value: Any, path: str, rule: str) -> Any:
        if isinstance(value, str | bytes) or not isinstance(value, Sequence):
            self._faults.add(path, value, _describe(hint))
            return _FAULTY
        inner = get_args(hint)[0]
        entries = [self.value(inner, entry, f"{path}[{index}]", f"{rule}[]") for index, entry in enumerate(value)]
        return _FAULTY if any(entry is _FAULTY for entry in entries) else entries


def _plain(hint: Any) -> tuple[Any, bool]:
    """The type inside NotRequired, Optional and Input, and whether an Output may stand in its place."""
    takes_output = False
    while True:
        origin, inner = get_origin(hint), get_args(hint)
        if origin in (NotRequired, Required):
            hint = inner[0]
        elif origin is Union or type(hint).__name__ == "UnionType":
            takes_output = takes_output or any(get_origin(member) is Awaitable for member in inner)
            hint = inner[0]
        else:
            return hint, takes_output


def _describe(hint: Any) -> str:
    hint, _ = _plain(hint)
    if is_typeddict(hint):
        return f"a dictionary like {hint.__name__}"
    origin = get_origin(hint)
    if origin is not None and issubclass(origin, Mapping):
        return "a mapping from names to " + _describe(get_args(hint)[1]).removeprefix("a ")
    if origin is not None and issubclass(origin, Sequence):
        return "a list of " + _describe(get_args(hint)[0]).removeprefix("a ")
    return {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}.get(hint, getattr(hint, "__name__", str(hint)))


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _nearest(key: str, known: Mapping[str, Any]) -> str:
    snake = re.sub(r"(?<=[a-z0-9])([A-Z])", lambda match: "_" + match[1].lower(), key)
    near = [snake] if snake in known else difflib.get_close_matches(key, known, 1)
    return f"; did you mean {near[0]}?" if near else f"; known: {', '.join(known)}"


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
