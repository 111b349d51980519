"""What a cloud must offer so that the runtime can work on it. One module in `clouds/` implements these for one cloud.

They stand together because a new cloud is written against all of them, and nothing else.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

Record = dict[str, Any]
"""A ledger record as stored: JSON values only. Always has `kind`, `key`, `version` and `nonce`; tasks also `run`, `state` and `machine`."""


class Conflict(Exception):
    """A swap was refused: the stored version is not the one expected. It may still be our own write, seen by the client's retry."""


class Ambiguous(Exception):
    """A swap got no answer (time-out, connection lost, 5xx): it may have happened, or may still happen."""


class Missing(KeyError):
    """A payload that is named nowhere in the bucket."""


class StoreError(Exception):
    """The store could not be reached or refused us; says which operation, and which permission is missing if that is why."""


class Store(Protocol):
    """The ledger's storage: small records, changed only by compare-and-swap on their version.

    Keys are made by the ledger: `run/RUN`, `task/RUN/TASK`, `machine/ID`.
    """

    def read(self, key: str) -> Record | None:
        """The record as last written (never a stale copy), or None. Raises StoreError."""
        ...

    def swap(self, record: Record, expected: int) -> None:
        """Write `record` if the stored version is `expected` (0: the key must be absent). Raises Conflict, Ambiguous or StoreError."""
        ...

    def remove(self, key: str, expected: int) -> None:
        """Remove the record if its version is `expected`; absent is fine. Raises Conflict, Ambiguous or StoreError."""
        ...

    def run_tasks(self, run: str) -> Iterator[Record]:
        """Every task of a run, in key order; may be a little stale."""
        ...

    def tasks_in(self, state: str, machine: str | None = None) -> Iterator[Record]:
        """Tasks in a state, of one owner machine if given; may be a little stale, so read again before acting."""
        ...

    def runs(self) -> Iterator[Record]:
        """Every run record; may be a little stale."""
        ...

    def machines(self) -> Iterator[Record]:
        """Every machine record; may be a little stale."""
        ...

    def now(self) -> float:
        """The store's own time, seconds since 1970, the same for all who ask whatever their own clocks say (within a second or two)."""
        ...


class Payloads(Protocol):
    """The bucket: immutable objects named by key."""

    def put(self, key: str, data: bytes) -> None:
        """Store once. The same bytes again are fine; other bytes under an existing key raise StoreError."""
        ...

    def get(self, key: str) -> bytes:
        """The bytes, or Missing. Any other trouble is StoreError: never taken for a damaged payload."""
        ...

    def keys(self, prefix: str) -> Iterator[str]: ...

    def delete(self, key: str) -> None:
        """Absent is fine."""
        ...


@dataclass(frozen=True)
class Bell:
    """A doorbell message: a task may be waiting. `receipt` is the backend's handle."""

    run: str
    task: str
    receipt: Any = None


class Doorbell(Protocol):
    """Messages that say a task may be waiting. They may be lost, doubled or late; the ledger alone decides."""

    def ring(self, run: str, task: str) -> None: ...

    def wait(self, seconds: float) -> Bell | None:
        """The next bell, waiting up to `seconds`. A malformed message is never returned: it goes to the dead letters with the reason."""
        ...

    def silence(self, bell: Bell) -> None:
        """Delete the message."""
        ...

    def leave(self, bell: Bell) -> None:
        """Hand the message back at once, for somebody else."""
        ...


@dataclass(frozen=True)
class Identity:
    """Who this machine is to its cloud."""

    machine: str
    """Instance id; in `clouds/local.py` host name and boot."""
    boot: str
    """A new value for every boot of the machine."""
    instance_type: str = ""
    zone: str = ""
    spot: bool = True
    """False on machines that are not interruptible."""
    notice_seconds: float = 0.0
    """How long before an interruption its metadata say so. Default: never."""
    launched: float | None = None
    """When the cloud launched this boot, in the cloud's time; None where it does not say."""


class Host(Protocol):
    """The machine as seen from inside."""

    def identity(self) -> Identity: ...

    def notices(self) -> Iterator[Any]:
        """One look at the machine's own metadata: the notices (`spotbatch.notice.Notice`) that stand there now. Never blocks more than 2 s.

        Raises OSError when the metadata service cannot be asked; "no notice" is an empty iterator, never an error.
        """
        ...

    def complete_hook(self) -> None:
        """Tell the pool that this machine has drained (Auto Scaling's terminate hook); nothing to do elsewhere."""
        ...

    def shut_down(self) -> None:
        """Power the machine off."""
        ...


@runtime_checkable
class ListeningHost(Host, Protocol):
    """A machine whose metadata service tells of a change at once to whoever waits for it."""

    def await_notices(self, seconds: float) -> Iterator[Any]:
        """The notices that stand there now, at the first call at once, later after a change or so many seconds. Raises OSError."""
        ...


class Pool(Protocol):
    """The fleet or group a machine belongs to, as the handler sees it."""

    def detach(self, machine: str) -> bool:
        """Take the machine out so that its replacement starts now; False where the pool has no such call (Spot Fleet)."""
        ...

    def complete(self, machine: str, hook: dict[str, str]) -> bool:
        """End the wait of a terminate hook (`Notice.hook`); False where nobody waits, or the pool is not ours."""
        ...


@dataclass(frozen=True)
class Backend:
    """Everything behind one queue name, as `clouds.connect(queue)` returns it."""

    name: str
    store: Store
    payloads: Payloads
    doorbell: Doorbell
