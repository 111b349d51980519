"""What a saved folder holds: every path, and the chunks of the bucket that its content is made of."""

import json
from dataclasses import dataclass, field
from typing import Any

from spotbatch.checkpoint import Damaged

SMALLEST_CHUNK = 64 * 1024
CHUNKS_PER_FILE = 256
"""A chunk grows with its file, so that a change costs a 256th of it and a file of a gigabyte not thousands of requests."""


def chunk_bytes(size: int) -> int:
    """A power of two, so that a growing file keeps its chunks as long as may be."""
    chunk = SMALLEST_CHUNK
    while chunk * CHUNKS_PER_FILE < size:
        chunk *= 2
    return chunk


@dataclass(frozen=True)
class Saved:
    """A path of a saved folder."""

    kind: str
    """file, link or folder"""
    mode: int = 0
    mtime_ns: int = 0
    size: int = 0
    chunks: tuple[str, ...] = ()
    """SHA-256 of each chunk, '-', and the epoch that wrote it."""
    target: str = ""

    def to_json(self) -> list[Any]:
        return [self.kind, self.mode, self.mtime_ns, self.size, list(self.chunks), self.target]

    @staticmethod
    def from_json(path: str, value: Any) -> "Saved":
        """Raises ValueError, TypeError."""
        kind, mode, mtime_ns, size, chunks, target = value
        sound = kind in ("file", "link", "folder") and all(type(number) is int and number >= 0 for number in (mode, size)) and type(mtime_ns) is int
        if not sound or not isinstance(target, str) or not all(isinstance(chunk, str) and len(chunk) > 65 and chunk[64] == "-" for chunk in chunks):
            raise ValueError(f"{path}: not an entry of a manifest")
        if any(part in ("", ".", "..") for part in path.split("/")) or "\0" in path:
            raise ValueError(f"{path!r} leads out of the folder")
        return Saved(kind, mode, mtime_ns, size, tuple(chunks), target)


@dataclass(frozen=True)
class Manifest:
    """A whole folder at one moment."""

    paths: dict[str, Saved] = field(default_factory=dict)

    @property
    def chunks(self) -> set[str]:
        return {chunk for saved in self.paths.values() for chunk in saved.chunks}

    @property
    def size(self) -> int:
        return sum(saved.size for saved in self.paths.values())

    def encode(self) -> bytes:
        return json.dumps({"paths": {path: saved.to_json() for path, saved in self.paths.items()}}, separators=(",", ":")).encode()

    @staticmethod
    def decode(data: bytes | None) -> "Manifest":
        """Raises Damaged."""
        try:
            return Manifest({path: Saved.from_json(path, value) for path, value in json.loads(data or b"")["paths"].items()})
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as fault:
            raise Damaged(f"manifest of the folder: {fault}") from None
