"""One queue on the local store, with a clock, a doorbell and a network that the test controls."""

from pathlib import Path

from spotbatch.checkpoint import Progress
from spotbatch.clouds.local import LocalPayloads, LocalStore
from spotbatch.ledger import Ledger
from spotbatch.machine import Machine
from spotbatch.owner import Owner
from spotbatch.protocols import Backend, Identity
from spotbatch.submit import Submission, submit
from spotbatch.sweep import Sweep, Swept
from spotbatch.task import Task
from tests.spotbatch.bells import Bells
from tests.spotbatch.clock import Clock
from tests.spotbatch.faulty_store import FaultyStore

RUN = "run"


class World:
    replies_to_cut: list[str] | None = None
    """Where the network itself can be spoiled: what becomes of the next requests, first one first."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.bells = Clock(), Bells()
        self.store = FaultyStore(LocalStore(Path(":memory:"), self.clock))
        self.payloads = LocalPayloads(folder)
        self.ledger = Ledger(Backend("test", self.store, self.payloads, self.bells))
        self.machines = self.ledger.machines

    def submit(self, items: int = 10, items_per_task: int = 10, job: str = "") -> list[str]:
        lines = [str(number).encode() for number in range(items)]
        return list(submit(self.ledger, Submission.read(lines, items_per_task, RUN, job)))

    def machine(self, name: str = "m1", boot: str = "boot 1", agent: str = "agent 1") -> Owner:
        """Register a machine; an owner on it."""
        self.machines.register(Identity(name, boot), agent)
        return Owner(name, boot, agent, f"process of {name}")

    def claimed(self, owner: Owner | None = None, task: str = "000000") -> Task:
        return self.ledger.claim(RUN, task, owner or self.machine())

    def saved(self, claim: Task, end: int, state: bytes | None = None, text: str = "") -> Task:
        """Items up to `end`, whose results are their numbers (or `text`)."""
        results = [text or str(number) for number in range(claim.items_done, end)]
        return self.ledger.save(claim, end, Progress(state, results))

    def task(self, task: str = "000000") -> Task:
        found = self.ledger.task(RUN, task)
        assert found is not None
        return found

    def registered(self, name: str) -> Machine | None:
        """What a machine's record says."""
        return self.machines.read(name)

    def damage(self, key: str) -> None:
        """Spoil a payload in the bucket."""
        (self.payloads.folder / key).write_bytes(b"rot")

    def sweep(self) -> Swept:
        return Sweep(self.ledger).everything()
