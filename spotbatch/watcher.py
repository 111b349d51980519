"""Listen for the machine's end: its own metadata every 2 s, or at once where they can be waited for; and its own ledger record, which the
handler marks."""

import threading
import time
from collections.abc import Callable, Iterator

from spotbatch.log import say
from spotbatch.machine import Machine
from spotbatch.notice import Notice
from spotbatch.protocols import Host, ListeningHost
from spotbatch.registry import Registry

POLL_SECONDS = 2.0
"""AWS asks for a look every 5 s at least; Karpenter's and the node termination handler's agents take 2 s."""

SCHEDULED_AHEAD = 300.0
"""Maintenance announced days before is acted on this many seconds ahead."""


LISTEN_SECONDS = 30.0
"""How long one wait for a change of the metadata lasts."""

_DEAF_PAUSE = 1.0


class Watcher(threading.Thread):
    """Calls `heard` with every notice it sees, from its own threads; the same one again and again while it stands."""

    def __init__(self, host: Host, registry: Registry, agent: Callable[[], tuple[str, str, str]], heard: Callable[[Notice], None]) -> None:
        super().__init__(name="watcher", daemon=True)
        self._host, self._registry, self._agent, self._heard = host, registry, agent, heard
        self._ended = threading.Event()
        self.metadata_ok = True
        """False while the metadata service cannot be asked: never read as "no notice" in silence."""

    def stop(self) -> None:
        self._ended.set()

    def run(self) -> None:
        if isinstance(self._host, ListeningHost):
            # Beside the looks, which go on: neither waits for the other, and they say whether the service answers.
            threading.Thread(target=self._listen, args=(self._host,), name="listener", daemon=True).start()
        while not self._ended.is_set():
            begun = time.monotonic()
            self.look()
            self._ended.wait(max(0.1, POLL_SECONDS - (time.monotonic() - begun)))

    def look(self) -> None:
        """Ask both once. Raises nothing: a watcher that has died is worse than whatever went wrong."""
        self._ask_metadata()
        try:
            self._ask_ledger()
        except Exception as fault:
            say("own record not seen", 30, why=f"{type(fault).__name__}: {fault}")

    def _listen(self, host: ListeningHost) -> None:
        while not self._ended.is_set():
            try:
                for notice in host.await_notices(LISTEN_SECONDS):
                    self._heard(notice)
            except Exception:
                self._ended.wait(_DEAF_PAUSE)

    def _ask_metadata(self) -> None:
        try:
            for notice in self._host.notices():
                self._heard(notice)
            ok = True
        except Exception as fault:
            ok = False
            if self.metadata_ok:
                say("metadata service blind", 30, why=f"{type(fault).__name__}: {fault}")
        if ok and not self.metadata_ok:
            say("metadata service seen again")
        self.metadata_ok = ok

    def _ask_ledger(self) -> None:
        machine, boot, agent = self._agent()
        record = self._registry.read(machine)
        if record is None or (record.boot, record.agent) != (boot, agent):
            return
        for notice in marks(record, self._registry.store.now()):
            self._heard(notice)


def marks(record: Machine, now: float) -> Iterator[Notice]:
    """The notices that a machine's record holds, whoever marked it."""
    if record.state == "draining":
        kind = "interruption" if record.kind == "interruption" else "stop"
        yield Notice(record.id, kind, record.notice_sent or record.beat, record.deadline, record.reason, record.hook)
    elif record.rebalance_sent:
        yield Notice(record.id, "rebalance", record.rebalance_sent, None, "rebalance recommendation")
    if record.due and record.due - now < SCHEDULED_AHEAD:
        # As an interruption: not every maintenance ends the machine, and one that has drained must not idle for ever.
        yield Notice(record.id, "interruption", record.beat, record.due, "scheduled change")
