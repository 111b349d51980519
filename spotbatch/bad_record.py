"""A ledger record that cannot be understood."""

from collections.abc import Callable
from typing import Any


class BadRecord(ValueError):
    """A ledger record is damaged or was written by something else; the text names record, field, value and what is allowed."""

    def __init__(self, key: str, field: str, value: object, allowed: str) -> None:
        super().__init__(f"ledger record {key}: {field} is {value!r:.80}, allowed: {allowed}")
        self.key = key


def whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def text(value: Any) -> bool:
    return isinstance(value, str)


def objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


_MISSING = object()


def checked(record: dict[str, Any], field: str, fits: Callable[[Any], bool], allowed: str, default: Any = _MISSING) -> Any:
    """The field's value, its default where it is absent. Raises BadRecord."""
    value = record.get(field, default)
    if value is _MISSING or (field in record and not fits(value)):
        raise BadRecord(str(record.get("key")), field, None if value is _MISSING else value, allowed)
    return value
