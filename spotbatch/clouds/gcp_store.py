"""The ledger as objects in a Cloud Storage bucket: each record an object, changed only on the generation that was read."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

from google.api_core.exceptions import NotFound, PreconditionFailed, RetryError, TooManyRequests

from spotbatch.clouds.gcp_client import FAULTS, TIMEOUT, patiently, transient, trouble
from spotbatch.date_clock import DateClock
from spotbatch.protocols import Ambiguous, Conflict, Record, StoreError

FOLDER = "ledger/"
"""Prefix of every record's object; payloads lie beside it under `runs/`. A lifecycle rule on `ledger/machine/` may remove what is old:
whoever has no record counts as gone."""

WRITE_SECONDS = 1.0
"""An object takes one write a second: https://docs.cloud.google.com/storage/quotas#objects"""

_LISTED = ("state", "machine", "version")
"""Fields that a listing tells, as metadata of the object."""

_READERS, _CHUNK, _REMEMBERED = 8, 64, 4096


class GcsStore:
    """Reads and lists are consistent. A list costs a call for every 1,000 objects, and one for each record that it yields.

    A write waits until a second has passed since this process last wrote the same record, and again while the service answers 429.
    """

    def __init__(self, client: Any, bucket: str, write_seconds: float = WRITE_SECONDS) -> None:
        self._client, self._bucket, self._write_seconds = client, client.bucket(bucket), write_seconds
        self._known: dict[str, tuple[int, int]] = {}
        """Version and generation last seen: spares a call before most writes."""
        self._written: dict[str, float] = {}
        self._lock = threading.Lock()
        self._clock = DateClock(lambda: self.read("clock"))
        client._http.hooks["response"].append(self._on_reply)

    def now(self) -> float:
        """Cloud Storage's own time. Raises StoreError."""
        return self._clock.now()

    def read(self, key: str) -> Record | None:
        blob = self._blob(key)
        try:
            body = patiently(lambda: blob.download_as_bytes(timeout=TIMEOUT, retry=None))
            record = json.loads(body)
            self._remember(key, record["version"], int(blob.generation))
        except NotFound as fault:
            if "bucket does not exist" in str(fault):
                raise self._trouble(fault, "get", key) from None
            return None
        except FAULTS as fault:
            raise self._trouble(fault, "get", key) from None
        except (LookupError, TypeError, ValueError) as fault:
            raise StoreError(f"{self._name(key)}: not a record: {type(fault).__name__}: {fault}") from None
        return record

    def swap(self, record: Record, expected: int) -> None:
        key = record["key"]
        generation = self._generation(key, expected) if expected else 0
        try:
            body = json.dumps(record, separators=(",", ":"))
        except (TypeError, ValueError) as fault:
            raise StoreError(f"record {key}: not JSON: {fault}") from None
        blob = self._blob(key)
        # A damaged record can be written too: that is how it is repaired.
        blob.metadata = {name: str(record[name]) for name in _LISTED if isinstance(record.get(name), str | int)}
        self._await_turn(key)

        def write() -> None:
            blob.upload_from_string(body, "application/json", if_generation_match=generation, timeout=TIMEOUT, retry=None)

        self._change(write, "create", key, expected)
        self._remember(key, record["version"], int(blob.generation))
        self._written[key] = time.monotonic()

    def remove(self, key: str, expected: int) -> None:
        try:
            generation = self._generation(key, expected)
            self._change(lambda: self._blob(key).delete(if_generation_match=generation, timeout=TIMEOUT, retry=None), "delete", key, expected)
        except Conflict:
            if self.read(key) is not None:
                raise

    def run_tasks(self, run: str) -> Iterator[Record]:
        return self._records(f"task/{run}/", lambda about: True)

    def tasks_in(self, state: str, machine: str | None = None) -> Iterator[Record]:
        def wanted(about: Record) -> bool:
            return about.get("state") == state and machine in (None, about.get("machine"))

        return filter(wanted, self._records("task/", wanted))

    def runs(self) -> Iterator[Record]:
        return self._records("run/", lambda about: True)

    def machines(self) -> Iterator[Record]:
        return self._records("machine/", lambda about: True)

    def _records(self, prefix: str, wanted: Callable[[Record], bool]) -> Iterator[Record]:
        """In key order: those whose metadata are `wanted`, as they stand now."""
        keys = self._keys(prefix, wanted)
        with ThreadPoolExecutor(_READERS) as readers:
            while chunk := list(islice(keys, _CHUNK)):
                yield from (record for record in readers.map(self.read, chunk) if record is not None)

    def _keys(self, prefix: str, wanted: Callable[[Record], bool]) -> Iterator[str]:
        token: str | None = None
        while True:
            try:
                page, token = patiently(lambda token=token: self._page(prefix, token))
            except FAULTS as fault:
                raise trouble(fault, "storage.objects.list", f"{self._bucket.name} (prefix {FOLDER}{prefix})") from None
            yield from (blob.name.removeprefix(FOLDER) for blob in page if wanted(blob.metadata or {}))
            if not token:
                return

    def _page(self, prefix: str, token: str | None) -> tuple[list[Any], str | None]:
        fields = "items(name,metadata),nextPageToken"
        listing = self._client.list_blobs(self._bucket, prefix=FOLDER + prefix, page_token=token, fields=fields, timeout=TIMEOUT, retry=None)
        return list(next(listing.pages, ())), listing.next_page_token

    def _generation(self, key: str, version: int) -> int:
        """The generation that holds a version. Raises Conflict where that is not the newest."""
        with self._lock:
            known = self._known.get(key)
        if known is None or known[0] != version:
            blob = self._blob(key)
            try:
                patiently(lambda: blob.reload(timeout=TIMEOUT, retry=None))
            except NotFound:
                raise Conflict(f"{key}: absent, not at version {version}") from None
            except FAULTS as fault:
                raise self._trouble(fault, "get", key) from None
            if (blob.metadata or {}).get("version") != str(version):
                raise Conflict(f"{key}: not at version {version} any more")
            known = (version, int(blob.generation))
        return known[1]

    def _change(self, call: Callable[[], object], action: str, key: str, expected: int) -> None:
        faults: list[Exception] = []
        try:
            patiently(call, self._write_seconds / 2, faults.append)
        except PreconditionFailed:
            self._forget(key)
            raise Conflict(f"{key}: not at version {expected} any more") from None
        except NotFound as fault:
            self._forget(key)
            if action == "delete":
                return
            raise self._trouble(fault, action, key) from None
        except FAULTS as fault:
            self._forget(key)
            # An earlier attempt may have landed, whatever the last one was told; one that was answered 429 has not.
            earlier = [one for one in faults if one is not fault and not isinstance(one, TooManyRequests)]
            if isinstance(fault, RetryError) or transient(fault) or earlier:
                raise Ambiguous(f"{key}: storage.objects.{action}: {fault}") from None
            raise self._trouble(fault, action, key) from None

    def _await_turn(self, key: str) -> None:
        time.sleep(max(0.0, self._written.get(key, -self._write_seconds) + self._write_seconds - time.monotonic()))

    def _remember(self, key: str, version: int, generation: int) -> None:
        with self._lock:
            self._known.pop(key, None)
            self._known[key] = (version, generation)
            while len(self._known) > _REMEMBERED:
                oldest = next(iter(self._known))
                del self._known[oldest]
                self._written.pop(oldest, None)

    def _forget(self, key: str) -> None:
        with self._lock:
            self._known.pop(key, None)

    def _blob(self, key: str) -> Any:
        return self._bucket.blob(FOLDER + key)

    def _name(self, key: str) -> str:
        return f"{self._bucket.name}/{FOLDER}{key}"

    def _trouble(self, fault: Exception, action: str, key: str) -> StoreError:
        return trouble(fault, f"storage.objects.{action}", self._name(key))

    def _on_reply(self, reply: Any, *_: Any, **__: Any) -> None:
        received = time.monotonic()
        self._clock.heard(str(reply.headers.get("Date", "")), received - reply.elapsed.total_seconds(), received)
