"""One look at a folder: what each path is, and when it last changed. Two looks tell which files stand still."""

import contextlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Seen:
    """A path at the moment of a look."""

    kind: str
    """file, link, folder, or other (a socket, a pipe): these are not saved."""
    mode: int
    size: int = 0
    mtime_ns: int = 0
    ctime_ns: int = 0
    inode: int = 0
    target: str = ""

    @staticmethod
    def of(status: os.stat_result, target: str = "") -> "Seen":
        mode = stat.S_IMODE(status.st_mode)
        if stat.S_ISREG(status.st_mode):
            return Seen("file", mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        if stat.S_ISLNK(status.st_mode):
            return Seen("link", 0, target=target)
        return Seen("folder" if stat.S_ISDIR(status.st_mode) else "other", mode)


def look(folder: Path, without: str = "") -> dict[str, Seen]:
    """Every path below the folder but `without`, relative to it; what goes away meanwhile is left out. Raises OSError where it may not look."""
    found: dict[str, Seen] = {}
    waiting = [""]
    while waiting:
        within = waiting.pop()
        try:
            with os.scandir(folder / within) as entries:
                names = sorted(entry.name for entry in entries)
        except FileNotFoundError:
            continue
        for name in names:
            path = f"{within}/{name}" if within else name
            if path == without:
                continue
            with contextlib.suppress(FileNotFoundError):
                status = os.lstat(folder / path)
                found[path] = seen = Seen.of(status, os.readlink(folder / path) if stat.S_ISLNK(status.st_mode) else "")  # noqa: PTH115
                if seen.kind == "folder":
                    waiting.append(path)
    return found
