"""Google Cloud's part: how quickly a preemption is heard on a metadata server of the lab, with and without faults."""

import tempfile
import threading
import time
from pathlib import Path

from lab.google import MetadataServer
from spotbatch.clouds.gcp_host import GcpHost
from spotbatch.clouds.gcp_metadata import Metadata
from spotbatch.clouds.local import LocalStore
from spotbatch.notice import Notice
from spotbatch.registry import Registry
from spotbatch.watcher import Watcher
from tests.bench.figures import Figure

FLIPS = 200
FAULTY_FLIPS = 24
WANTED_MS = 50.0
FAULTS = (503, "empty", "cut")
FAULTY_SECONDS = 4.0
"""The pause after a fault and one look."""


class Ear:
    """A watcher, and when it hears of each flip."""

    def __init__(self, server: MetadataServer, folder: Path) -> None:
        self._heard = threading.Event()
        self._at = 0.0
        self._watcher = Watcher(
            GcpHost(Metadata(server.host)), Registry(LocalStore(folder / "ledger.sqlite")), lambda: ("machine", "boot", "agent"), self._hear
        )
        self._server = server

    def _hear(self, notice: Notice) -> None:
        if not self._heard.is_set():
            self._at = time.monotonic()
            self._heard.set()

    def __enter__(self) -> "Ear":
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._watcher.stop()

    def flip(self, seconds: float, *, when_waiting: bool) -> float | None:
        """Seconds from a flip until it is heard; None where it was not within so many. `when_waiting`: not before the watcher waits for it."""
        asked = len(self._server.asked)
        self._server.set("instance/preempted", "FALSE")
        # A machine flips once; here a flip back must have been seen, or the next one is none.
        while when_waiting and not any(
            "last_etag" in path and self._server.etag("instance/preempted") in path for path in self._server.asked[asked:]
        ):
            time.sleep(0.005)
        time.sleep(0.05)
        self._heard.clear()
        flipped = self._server.set("instance/preempted", "TRUE")
        return self._at - flipped if self._heard.wait(seconds) else None


def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory() as name, MetadataServer() as server:
        with Ear(server, Path(name)) as ear:
            time.sleep(0.5)
            took = sorted(one for _ in range(FLIPS) if (one := ear.flip(10, when_waiting=True)) is not None)
        numbers = iter(range(1_000_000))
        server.refuse = lambda path: FAULTS[number // 3 % len(FAULTS)] if (number := next(numbers)) % 3 == 0 else None
        with Ear(server, Path(name)) as ear:
            found = [ear.flip(30, when_waiting=False) for _ in range(FAULTY_FLIPS)]
    middle, late = (1000 * took[int(share * (len(took) - 1))] for share in (0.5, 0.99))
    missed = FLIPS - len(took) + sum(one is None for one in found)
    slowest = max((one for one in found if one is not None), default=0.0)
    return [
        Figure("flip -> watcher, p50 / p99", f"{middle:.1f} ms / {late:.1f} ms ({len(took)})", f"p99 <= {WANTED_MS:.0f} ms", late <= WANTED_MS),
        Figure(
            "slowest flip -> watcher, every third request failing",
            f"{slowest:.2f} s ({len(found)})",
            f"<= {FAULTY_SECONDS:.0f} s",
            slowest <= FAULTY_SECONDS,
        ),
        Figure("flips missed", f"{missed} of {FLIPS + FAULTY_FLIPS}", "0", missed == 0),
    ]
