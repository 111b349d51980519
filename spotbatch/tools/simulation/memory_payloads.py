"""A bucket in this process, whose uploads take time and may fail."""

from collections.abc import Callable, Iterator

from spotbatch.protocols import Missing, StoreError


class MemoryPayloads:
    """Objects by key. `upload(key)` is called before one becomes visible: it lets the time pass, and raises StoreError where it fails."""

    def __init__(self, upload: Callable[[str], None] = lambda key: None) -> None:
        self._upload = upload
        self._objects: dict[str, bytes] = {}

    def put(self, key: str, data: bytes) -> None:
        self._upload(key)
        if self._objects.setdefault(key, data) != data:
            raise StoreError(f"{key}: holds other bytes already")

    def get(self, key: str) -> bytes:
        try:
            return self._objects[key]
        except KeyError:
            raise Missing(key) from None

    def keys(self, prefix: str) -> Iterator[str]:
        return iter(sorted(key for key in self._objects if key.startswith(prefix)))

    def delete(self, key: str) -> None:
        self._objects.pop(key, None)
