"""Save a folder to the bucket, only what changed, and bring it back."""

import hashlib
import os
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from spotbatch.checkpoint import Damaged
from spotbatch.look import Seen, look
from spotbatch.manifest import Manifest, Saved, chunk_bytes
from spotbatch.protocols import Missing, Payloads

UPLOADS = 4
"""Chunks on their way to the bucket at once."""
FIRST_BYTES_PER_SECOND = 20e6
"""What a save is taken to reach until one has been measured."""
MEASURED_BYTES = 1_000_000
"""A save of less says little about the bucket's speed."""


class InFlux(Exception):
    """A file changed while it was read: what was read is no version of it."""


def files_prefix(run: str) -> str:
    return f"runs/{run}/files/"


class SavedFolder:
    """A folder and its versions in the bucket, in the hands of one claim.

    A chunk is named by its content and the epoch that wrote it: a damaged one is never met again under its old name, and a claim that has
    ended cannot write what a later one relies on.
    """

    def __init__(self, folder: Path, payloads: Payloads, run: str, epoch: int, ready_file: str = "") -> None:
        self.folder, self.epoch, self.ready_file = folder, epoch, ready_file
        self.saved = Manifest()
        """The newest version."""
        self._payloads, self._prefix = payloads, files_prefix(run)
        self._before = Manifest()
        self._seen: dict[str, Seen] = {}
        """How each file of the newest version looked when it was read: unchanged ones are not read again."""
        self._known: dict[str, str] = {}
        self._rate = FIRST_BYTES_PER_SECOND
        self._taken: dict[str, Seen] = {}
        self.bytes_written = 0

    def look(self) -> dict[str, Seen]:
        return look(self.folder, self.ready_file)

    def ready(self) -> Seen | None:
        """The ready file as it stands now."""
        try:
            return Seen.of((self.folder / self.ready_file).stat()) if self.ready_file else None
        except OSError:
            return None

    def seconds_to_save(self, now: dict[str, Seen]) -> float:
        """An estimate, from what has changed and the speed of the last saves."""
        changed = sum(seen.size for path, seen in now.items() if self._seen.get(path) != seen)
        return 1.0 + changed / self._rate

    # -- save -------------------------------------------------------------------------------------------------------------------------------

    def upload(self, now: dict[str, Seen], before: dict[str, Seen] | None, pulse: Callable[[], None]) -> Manifest:
        """Put what is new into the bucket, and tell what the folder is; nothing counts until a record names the manifest (`accept`).

        With `before`, an earlier look, a path that differs from it keeps its saved version. `pulse` is called between chunks and may raise.
        Raises InFlux when a file changes without `before`; StoreError, and then the same call again goes on; OSError.
        """
        paths: dict[str, Saved] = {}
        self._taken = {}
        began, written = time.monotonic(), self.bytes_written
        with ThreadPoolExecutor(UPLOADS, thread_name_prefix="upload") as threads:
            for path, seen in sorted(now.items()):
                pulse()
                saved = self.saved.paths.get(path)
                still = before is None or before.get(path) == seen
                if still and self._seen.get(path) != seen:
                    try:
                        saved = self._upload_path(path, seen, threads, pulse)
                        self._taken[path] = seen
                    except (InFlux, FileNotFoundError, PermissionError) as fault:
                        if before is None:
                            raise InFlux(f"{self.folder / path}: {fault}") from None
                if saved is not None:
                    paths[path] = saved
        if before is not None:
            # What went away since the earlier look may be on its way back, as in a rename.
            paths |= {path: saved for path, saved in self.saved.paths.items() if path in before and path not in now}
        written = self.bytes_written - written
        if written >= MEASURED_BYTES:
            self._rate = written / max(0.001, time.monotonic() - began)
        return Manifest({path: paths[path] for path in sorted(paths) if _has_room(path, paths)})

    def _upload_path(self, path: str, seen: Seen, threads: ThreadPoolExecutor, pulse: Callable[[], None]) -> Saved | None:
        if seen.kind == "other":
            return None
        if seen.kind != "file":
            return Saved(seen.kind, seen.mode, target=seen.target)
        chunks: list[str] = []
        waiting: deque[tuple[str, str, Future[None]]] = deque()
        size = 0
        with (self.folder / path).open("rb") as file:
            while data := file.read(chunk_bytes(seen.size)):
                pulse()
                size += len(data)
                digest = hashlib.sha256(data).hexdigest()
                chunk = self._known.get(digest) or f"{digest}-{self.epoch:06d}"
                chunks.append(chunk)
                if digest not in self._known and not any(digest == other for other, _, _ in waiting):
                    waiting.append((digest, chunk, threads.submit(self._payloads.put, self._prefix + chunk, data)))
                    self.bytes_written += len(data)
                while len(waiting) > UPLOADS:
                    self._await(waiting)
            while waiting:
                self._await(waiting)
            if size != seen.size or Seen.of(os.fstat(file.fileno())) != seen:
                raise InFlux("changed while it was read")
        return Saved("file", seen.mode, seen.mtime_ns, size, tuple(chunks))

    def _await(self, waiting: deque[tuple[str, str, Future[None]]]) -> None:
        digest, chunk, upload = waiting.popleft()
        upload.result()
        self._known[digest] = chunk

    def accept(self, manifest: Manifest) -> set[str]:
        """The record names this manifest now; the keys of chunks that only the version before the last one needed."""
        gone = self._before.chunks - self.saved.chunks - manifest.chunks
        self._before, self.saved = self.saved, manifest
        seen = self._seen | self._taken
        self._seen = {path: seen[path] for path in manifest.paths if path in seen}
        self._known = {digest: chunk for digest, chunk in self._known.items() if chunk not in gone}
        return {self._prefix + chunk for chunk in gone}

    # -- restore ----------------------------------------------------------------------------------------------------------------------------

    def restore(self, manifest: Manifest, before: Manifest) -> int:
        """Make the folder what the manifest says, and nothing else; how many paths went away that it does not have.

        `before` is the version that goes with the next save. Raises Damaged when a chunk is missing or altered; StoreError, OSError.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        # A link or a file where a folder belongs goes first, so that nothing is ever written through it; all else once every chunk was read.
        folders = {name for path in manifest.paths for name in _above(path)}
        for path, seen in self.look().items():
            wanted = Saved("folder") if path in folders else manifest.paths.get(path)
            if wanted is not None and (wanted.kind != seen.kind or wanted.target != seen.target):
                _remove(self.folder / path)
        for path, saved in sorted(manifest.paths.items()):
            place = self.folder / path
            if saved.kind == "folder":
                place.mkdir(parents=True, exist_ok=True)
                place.chmod(saved.mode | 0o700)
            elif saved.kind == "link":
                if not place.is_symlink():
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.symlink_to(saved.target)
            else:
                self._restore_file(place, saved)
        extra = [path for path in self.look() if path not in manifest.paths]
        for path in extra:
            _remove(self.folder / path)
        for path, saved in sorted(manifest.paths.items(), reverse=True):
            if saved.kind == "folder":
                (self.folder / path).chmod(saved.mode)
        if self.ready_file:
            (self.folder / self.ready_file).unlink(missing_ok=True)
        self.saved, self._before = manifest, before
        self._seen = {path: seen for path, seen in self.look().items() if path in manifest.paths}
        self._known = {chunk[:64]: chunk for chunk in manifest.chunks}
        return len(extra)

    def _restore_file(self, place: Path, saved: Saved) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=place.parent, prefix=".restoring-", delete=False) as file:
            try:
                for chunk in saved.chunks:
                    file.write(self._chunk(chunk))
                if file.tell() != saved.size:
                    raise Damaged(f"{place}: {file.tell()} bytes, {saved.size} were saved")
                file.close()
                Path(file.name).chmod(saved.mode)
                os.utime(file.name, ns=(saved.mtime_ns, saved.mtime_ns))
                Path(file.name).replace(place)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise

    def _chunk(self, chunk: str) -> bytes:
        try:
            data = self._payloads.get(self._prefix + chunk)
        except Missing:
            raise Damaged(f"chunk {self._prefix}{chunk} is not in the bucket") from None
        if hashlib.sha256(data).hexdigest() != chunk[:64]:
            raise Damaged(f"chunk {self._prefix}{chunk} is not what was stored")
        return data


def _has_room(path: str, paths: dict[str, Saved]) -> bool:
    """False below what is no folder: a version kept of one path may stand where another one is now."""
    return all(name not in paths or paths[name].kind == "folder" for name in _above(path))


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
