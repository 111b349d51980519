"""Properties to judge, some of which are not known yet."""

from collections.abc import Mapping
from typing import Any

from lab.provider.wire import UNKNOWN, is_file, is_known


class Wanted(dict[str, Any]):
    """The known properties of a resource or of an object in it. Inside lists unknown values stay, as places count there."""

    def __init__(self, properties: Mapping[str, Any]) -> None:
        super().__init__({name: _without_unknowns(value) for name, value in properties.items() if value != UNKNOWN})
        self._given = frozenset(properties)
        self._unknown = frozenset(name for name, value in properties.items() if not is_known(value))

    def given(self, name: str) -> bool:
        """Whether it has a value, be it one that only `up` will know."""
        return name in self._given

    def known(self, name: str) -> bool:
        """Whether nothing in it is unknown; what is not given is known to be its default."""
        return name not in self._unknown


def _without_unknowns(value: Any) -> Any:
    if is_file(value):
        return value
    if isinstance(value, list):
        return [_without_unknowns(entry) for entry in value]
    return Wanted(value) if isinstance(value, Mapping) else value
