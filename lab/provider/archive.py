"""Files and archives as the engine sends them."""

import io
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.provider.wire import ASSET, SIGNATURE


def content_of(asset: dict[str, Any]) -> bytes:
    """The content of a file asset."""
    if "text" in asset:
        return asset["text"].encode()
    if "path" in asset:
        return Path(asset["path"]).read_bytes()
    with urllib.request.urlopen(asset["uri"], timeout=60) as reply:
        return reply.read()


def zipped(archive: dict[str, Any]) -> bytes:
    """An archive as a zip; the same bytes for the same content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in sorted(_members(archive)):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(entry, content)
    return buffer.getvalue()


def _members(archive: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    if archive.get("assets") is not None:
        for name, inner in archive["assets"].items():
            if inner[SIGNATURE] == ASSET:
                yield name, content_of(inner)
            else:
                yield from ((f"{name}/{member}", content) for member, content in _members(inner))
    elif "path" in archive and Path(archive["path"]).is_dir():
        root = Path(archive["path"])
        yield from ((str(path.relative_to(root)), path.read_bytes()) for path in root.rglob("*") if path.is_file())
    else:
        with zipfile.ZipFile(io.BytesIO(content_of(archive))) as source:
            yield from ((name, source.read(name)) for name in source.namelist() if not name.endswith("/"))
