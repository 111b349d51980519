"""Properties to judge, some of which are not known yet."""

from collections.abc import Iterable, Mapping
from typing import Any


class Wanted(dict[str, Any]):
    """The known properties of a resource or of an object in it. `given` also counts those whose value only `up` will know."""

    def __init__(self, known: Mapping[str, Any], given: Iterable[str]) -> None:
        super().__init__(known)
        self._given = frozenset(given)

    def given(self, name: str) -> bool:
        return name in self._given

    def known(self, name: str) -> bool:
        """Not given at all, or given with a value that is known: its absence means the default."""
        return name in self or name not in self._given
