"""No cloud at all: one folder holds ledger (SQLite) and bucket (files). The default, so that a laptop needs nothing else."""

import contextlib
import json
import os
import random
import socket
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from spotbatch.notice import Notice
from spotbatch.protocols import Ambiguous, Backend, Bell, Conflict, Identity, Missing, Record, StoreError
from spotbatch.task import PROGRAM_JOB

_LOCKED_SECONDS = 30

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (key TEXT PRIMARY KEY, kind TEXT, run TEXT, state TEXT, machine TEXT, version INTEGER, body TEXT);
CREATE INDEX IF NOT EXISTS by_run ON records (run, key);
CREATE INDEX IF NOT EXISTS by_state ON records (state, machine);
"""


def connect(folder: Path) -> Backend:
    """The queue in `folder`, made if absent. Raises StoreError naming the folder when it cannot be used."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        store = LocalStore(folder / "ledger.sqlite")
    except (OSError, sqlite3.Error) as fault:
        raise StoreError(f"queue local:{folder}: {fault}") from None
    return Backend(f"local:{folder}", store, LocalPayloads(folder / "bucket"), LocalDoorbell(store))


class LocalStore:
    """Records in SQLite; its time is this machine's."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path, self.now = path, clock
        self._threads = threading.local()
        self._connect().executescript(_SCHEMA)

    def _connect(self) -> sqlite3.Connection:
        """One connection a thread: a shared one mixes up whose write changed how many rows."""
        connection: sqlite3.Connection | None = getattr(self._threads, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self.path, timeout=_LOCKED_SECONDS, isolation_level=None)
            connection.execute("PRAGMA journal_mode=WAL")
            # A killed process loses nothing; only a machine without power could lose the last moments.
            connection.execute("PRAGMA synchronous=NORMAL")
            self._threads.connection = connection
        return connection

    def read(self, key: str) -> Record | None:
        rows = self._query("SELECT body FROM records WHERE key = ?", key)
        return rows[0] if rows else None

    def swap(self, record: Record, expected: int) -> None:
        state, machine = (record["state"], record["machine"]) if record["kind"] == "task" else (None, None)
        values = (record["kind"], record.get("run"), state, machine, record["version"], json.dumps(record), record["key"])
        if expected:
            statement = "UPDATE records SET kind=?, run=?, state=?, machine=?, version=?, body=? WHERE key=? AND version=?"
            changed = self._execute(statement, *values, expected)
        else:
            statement = "INSERT INTO records (kind, run, state, machine, version, body, key) VALUES (?,?,?,?,?,?,?) ON CONFLICT DO NOTHING"
            changed = self._execute(statement, *values)
        if not changed:
            raise Conflict(record["key"])

    def remove(self, key: str, expected: int) -> None:
        if not self._execute("DELETE FROM records WHERE key=? AND version=?", key, expected) and self.read(key) is not None:
            raise Conflict(key)

    def run_tasks(self, run: str) -> Iterator[Record]:
        return iter(self._query("SELECT body FROM records WHERE run = ? AND kind = 'task' ORDER BY key", run))

    def tasks_in(self, state: str, machine: str | None = None) -> Iterator[Record]:
        if machine is None:
            return iter(self._query("SELECT body FROM records WHERE state = ? ORDER BY key", state))
        return iter(self._query("SELECT body FROM records WHERE state = ? AND machine = ? ORDER BY key", state, machine))

    def runs(self) -> Iterator[Record]:
        return iter(self._query("SELECT body FROM records WHERE kind = 'run' ORDER BY key"))

    def machines(self) -> Iterator[Record]:
        return iter(self._query("SELECT body FROM records WHERE kind = 'machine' ORDER BY key"))

    def some_queued(self, count: int, without: Iterable[str] = ()) -> list[Record]:
        """The first few queued tasks that somebody would have been rung for, of other runs than those `without`."""
        rung = """SELECT body FROM records WHERE state = 'queued' AND json_extract(body, '$.job') IS NOT ?
                  AND run NOT IN (SELECT value FROM json_each(?)) ORDER BY key LIMIT ?"""
        return self._query(rung, PROGRAM_JOB, json.dumps(list(without)), count)

    def _query(self, statement: str, *values: object) -> list[Record]:
        try:
            return [json.loads(body) for (body,) in self._connect().execute(statement, values).fetchall()]
        except (sqlite3.Error, ValueError) as fault:
            raise StoreError(f"{self.path}: {fault}") from None

    def _execute(self, statement: str, *values: object) -> int:
        try:
            return self._connect().execute(statement, values).rowcount
        except sqlite3.Error as fault:
            raise Ambiguous(f"{self.path}: {fault}") from None


class LocalPayloads:
    """Immutable files under a folder, each written whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, key: str, data: bytes) -> None:
        path = self.folder / key
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Gone again however this ends: what a full disk cuts short must not fill it.
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".writing-") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                try:
                    os.link(file.name, path)
                except FileExistsError:
                    if path.read_bytes() != data:
                        raise StoreError(f"{path}: holds other bytes already") from None
        except OSError as fault:
            raise StoreError(f"{path}: {fault}") from None

    def get(self, key: str) -> bytes:
        try:
            return (self.folder / key).read_bytes()
        except FileNotFoundError:
            raise Missing(key) from None
        except OSError as fault:
            raise StoreError(f"{self.folder / key}: {fault}") from None

    def keys(self, prefix: str) -> Iterator[str]:
        within = self.folder / prefix.rpartition("/")[0]
        found = (path for path in within.rglob("*") if path.is_file() and not path.name.startswith(".writing-"))
        return iter(sorted(key for path in found if (key := path.relative_to(self.folder).as_posix()).startswith(prefix)))

    def delete(self, key: str) -> None:
        try:
            (self.folder / key).unlink(missing_ok=True)
        except OSError as fault:
            raise StoreError(f"{self.folder / key}: {fault}") from None


class LocalDoorbell:
    """No messages: whoever waits looks into the ledger, and takes one of the first few so that processes do not all race for one."""

    POLL_SECONDS = 0.2

    def __init__(self, store: LocalStore) -> None:
        self._store = store
        self._left: set[str] = set()
        """Runs whose bells this process left to others: a run for another job must not hide those that come after it."""

    def ring(self, run: str, task: str) -> None:
        pass

    def wait(self, seconds: float) -> Bell | None:
        end = time.monotonic() + seconds
        while True:
            waiting = self._store.some_queued(8, self._left)
            if not waiting and self._left:
                self._left.clear()
                waiting = self._store.some_queued(8)
            if waiting:
                chosen = random.choice(waiting)
                return Bell(chosen["run"], chosen["task"])
            if time.monotonic() >= end:
                return None
            time.sleep(min(self.POLL_SECONDS, max(0.0, end - time.monotonic())))

    def silence(self, bell: Bell) -> None:
        pass

    def leave(self, bell: Bell) -> None:
        self._left.add(bell.run)


class LocalHost:
    """This computer: nobody takes it away, but it may be told to stop (SIGTERM, seen by the agent)."""

    def identity(self) -> Identity:
        boot = "boot"
        with contextlib.suppress(OSError):
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        # Several agents may run on one computer; each is a machine of its own.
        return Identity(f"{socket.gethostname()}-{os.getpid()}", boot, spot=False)

    def notices(self) -> Iterator[Notice]:
        return iter(())

    def complete_hook(self) -> None:
        pass

    def shut_down(self) -> None:
        pass
