"""The ledger under any schedule of claims, saves, deaths, notices and network faults: nothing is lost, nothing doubled."""

import contextlib
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from spotbatch.checkpoint import Damaged, Progress
from spotbatch.ledger import Fenced, Refused
from spotbatch.machine import Machine
from spotbatch.notice import Notice
from spotbatch.owner import Owner
from spotbatch.protocols import Identity, StoreError
from spotbatch.registry import Replaced
from spotbatch.submit import results
from spotbatch.task import Task
from tests.spotbatch.faulty_store import FAULTS
from tests.spotbatch.world import RUN, World

MACHINES = ("m1", "m2")
TASKS = ("000000", "000001")
ITEMS = 6


class Worker:
    """One machine with one agent and one worker process, as far as the ledger sees them."""

    def __init__(self, machine: str) -> None:
        self.machine, self.boot, self.agent, self.process = machine, 0, 0, 0
        self.known: Machine | None = None
        self.claim: Task | None = None
        self.alive = False

    @property
    def identity(self) -> Identity:
        return Identity(self.machine, f"boot {self.boot}")

    @property
    def registered(self) -> Machine:
        assert self.known is not None
        return self.known

    @property
    def agent_id(self) -> str:
        return f"agent {self.boot}.{self.agent}"

    @property
    def owner(self) -> Owner:
        return Owner(self.machine, self.identity.boot, self.agent_id, f"process {self.boot}.{self.agent}.{self.process}")


class Schedules(RuleBasedStateMachine):
    workers = st.sampled_from(MACHINES)
    tasks = st.sampled_from(TASKS)

    @initialize()
    def start(self):
        self._folder = tempfile.TemporaryDirectory()
        self.world = World(Path(self._folder.name))
        self.world.submit(items=ITEMS * len(TASKS), items_per_task=ITEMS)
        self.machines = {name: Worker(name) for name in MACHINES}
        self.zombies: list[Task] = []
        self.progress = dict.fromkeys(TASKS, 0)
        self.damaged = False
        self.failures = self.losses = 0
        for worker in self.machines.values():
            self._start_agent(worker)

    def teardown(self):
        try:
            if hasattr(self, "world"):
                self._everything_ends_well()
        finally:
            if hasattr(self, "_folder"):
                self._folder.cleanup()

    # -- what workers do ------------------------------------------------------------------------------------------------------------------

    @rule(name=workers, task=tasks)
    def claim(self, name, task):
        worker = self.machines[name]
        if not worker.alive or worker.claim is not None:
            return
        try:
            worker.claim = self.world.ledger.claim(RUN, task, worker.owner)
        except Refused:
            pass
        except StoreError:
            self._process_dies(worker)

    @rule(name=workers, items=st.integers(1, ITEMS), long=st.booleans())
    def save(self, name, items, long):
        worker = self.machines[name]
        if worker.alive and worker.claim is not None:
            self._write(worker, lambda claim: self._saved(claim, items, long))

    @rule(name=workers)
    def finish(self, name):
        worker = self.machines[name]
        if worker.alive and worker.claim is not None and self._write(worker, self._finished):
            worker.claim = None

    @rule(name=workers)
    def give_back(self, name):
        worker = self.machines[name]
        if worker.alive and worker.claim is not None and self._write(worker, lambda claim: self.world.ledger.give_back(claim, "interrupted")):
            worker.claim = None

    @precondition(lambda self: self.zombies)
    @rule(which=st.integers(0, 99), do=st.sampled_from(["save", "finish", "give back", "fail"]))
    def zombie_writes(self, which, do):
        """A process that slept through everything wakes up: it may write only if its claim still stands."""
        claim = self.zombies.pop(which % len(self.zombies))
        before = self.world.task(claim.id)
        stands = (before.state, before.epoch, before.owner) == ("running", claim.epoch, claim.owner)
        try:
            written = {
                "save": lambda: self._saved(claim, ITEMS, False),
                "finish": lambda: self.world.ledger.finish(claim),
                "give back": lambda: self.world.ledger.give_back(claim, "interrupted"),
                "fail": lambda: self._failed(claim),
            }[do]()
            assert stands or written is claim
            self.zombies.append(claim if do == "save" and written is claim else written)
        except Fenced:
            after = self.world.task(claim.id)
            assert not stands or after.version > before.version
            assert (after.state, after.epoch) == (before.state, before.epoch) or stands
        except (Damaged, StoreError):
            pass

    # -- what happens to them -------------------------------------------------------------------------------------------------------------

    @rule(name=workers)
    def process_dies(self, name):
        worker = self.machines[name]
        if worker.alive:
            self._process_dies(worker)

    @rule(name=workers, boot=st.booleans())
    def machine_dies_and_returns(self, name, boot):
        worker = self.machines[name]
        self._leave_zombie(worker)
        worker.boot, worker.agent, worker.process = worker.boot + boot, worker.agent + 1, 0
        worker.alive = False
        self._start_agent(worker)

    @rule(name=workers)
    def machine_falls_silent(self, name):
        worker = self.machines[name]
        self._leave_zombie(worker)
        worker.alive = False

    @rule(name=workers)
    def beat(self, name):
        worker = self.machines[name]
        if not worker.alive:
            # Whoever starts, starts under a new agent id.
            worker.agent += 1
            self._start_agent(worker)
            return
        try:
            worker.known = self.world.machines.beat(worker.registered, metadata_ok=True)
        except (Replaced, StoreError):
            self._leave_zombie(worker)
            worker.agent += 1
            self._start_agent(worker)
        self._take_back(worker)

    @rule(name=workers, seconds=st.sampled_from([-200, 0, 10, 120]))
    def notice(self, name, seconds):
        now = self.world.clock.now
        with contextlib.suppress(StoreError):
            self.world.machines.mark(Notice(name, "interruption", now, now + seconds, "why"))

    @rule(seconds=st.sampled_from([1, 30, 70, 1000]))
    def time_passes(self, seconds):
        self.world.clock.passes(seconds)

    @rule()
    def sweep(self):
        with contextlib.suppress(StoreError):
            self.losses += sum(task.history[-1]["what"] == "lost" for task in self.world.sweep().requeued)

    @rule(name=workers)
    def machine_record_is_tidied_away(self, name):
        record = self.world.store.read(f"machine/{name}")
        if record is not None:
            self.world.store.remove(f"machine/{name}", record["version"])

    @rule(faults=st.lists(st.sampled_from(FAULTS), min_size=1, max_size=2))
    def network_goes_bad(self, faults):
        self.world.store.spoiled = faults

    @rule()
    def late_writes_land(self):
        self.world.store.land_late()

    @rule()
    def submit_again(self):
        with contextlib.suppress(StoreError):
            assert self.world.submit(items=ITEMS * len(TASKS), items_per_task=ITEMS) == list(TASKS)

    @precondition(lambda self: not self.damaged)
    @rule(task=tasks)
    def a_payload_is_damaged(self, task):
        for entry in self.world.task(task).checkpoints:
            if entry.key and self.world.task(task).state != "done":
                (self.world.payloads.folder / entry.key).write_bytes(b"rot")
                self.damaged = True
                return

    # -- what must hold at every moment ---------------------------------------------------------------------------------------------------

    @invariant()
    def a_task_is_done_once(self):
        if hasattr(self, "world"):
            for task in TASKS:
                versions = [
                    record for before, record in self._changes(task) if record["state"] == "done" and (before is None or before["state"] != "done")
                ]
                assert len(versions) <= 1

    @invariant()
    def progress_never_goes_back_but_for_damage(self):
        if hasattr(self, "world"):
            for task in TASKS:
                done = self.world.task(task).items_done
                assert done >= self.progress[task] or self.damaged
                self.progress[task] = done

    @invariant()
    def interruptions_and_fences_are_nobodys_failure(self):
        if hasattr(self, "world"):
            counted = sum(self.world.task(task).attempts["failed"] for task in TASKS)
            assert counted <= self.failures

    @invariant()
    def nobody_holds_a_task_without_knowing_it(self):
        """A living process that the ledger names, and that does not run the task, would keep it for ever."""
        if hasattr(self, "world"):
            for task in TASKS:
                owner = self.world.task(task).owner
                holders = [worker for worker in self.machines.values() if worker.alive and worker.owner == owner]
                assert all(worker.claim is not None and worker.claim.id == task for worker in holders)

    # -- how ------------------------------------------------------------------------------------------------------------------------------

    def _changes(self, task):
        before = None
        for record in self.world.store.written:
            if record["key"] == f"task/{RUN}/{task}":
                yield before, record
                before = record

    def _start_agent(self, worker):
        try:
            worker.known = self.world.machines.register(worker.identity, worker.agent_id)
            worker.alive = True
        except StoreError:
            worker.alive = False

    def _leave_zombie(self, worker):
        if worker.claim is not None:
            self.zombies.append(worker.claim)
            worker.claim = None

    def _process_dies(self, worker):
        self._leave_zombie(worker)
        worker.process += 1
        self.failures += len(TASKS)
        self._take_back(worker)

    def _take_back(self, worker):
        """What the agent does at every beat."""
        try:
            for record in list(self.world.store.tasks_in("running", worker.machine)):
                task = self.world.ledger.task(RUN, record["task"])
                if task and task.owner and task.owner.agent == worker.agent_id and task.owner != worker.owner:
                    self.world.ledger.take_from(task, "interrupted", "process died")
        except StoreError:
            pass

    def _write(self, worker, write) -> bool:
        try:
            worker.claim = write(worker.claim)
            return True
        except Fenced:
            worker.claim = None
        except Damaged:
            worker.claim, _ = self.world.ledger.readable(worker.claim)
        except StoreError:
            self._process_dies(worker)
        return False

    def _saved(self, claim, items, long):
        claim, damage = self.world.ledger.readable(claim)
        assert not damage or self.damaged
        end = min(ITEMS, claim.items_done + items)
        if end == claim.items_done:
            return claim
        first = int(claim.id) * ITEMS
        texts = [f'"{first + number}{"-" * 600 * long}"' for number in range(claim.items_done, end)]
        return self.world.ledger.save(claim, end, Progress(None, texts))

    def _finished(self, claim):
        return self.world.ledger.finish(claim if claim.items_done == ITEMS else self._saved(claim, ITEMS, False))

    def _failed(self, claim):
        self.failures += 1
        return self.world.ledger.fail(claim, "Traceback")

    def _everything_ends_well(self):
        """The network heals and a healthy machine comes: every task must be reachable by bells and the sweep alone, and end once.

        The other machines beat on but work no more; what the dead ones wrote about themselves is tidied away.
        """
        world = self.world
        world.store.spoiled = []
        world.store.land_late()
        for task in TASKS:
            world.ledger.revive(world.task(task))
        for worker in self.machines.values():
            worker.claim, worker.process = None, worker.process + 1
            if not worker.alive:
                self.machine_record_is_tidied_away(worker.machine)
        healthy = Worker("m9")
        self._start_agent(healthy)
        world.bells.rung.clear()
        for _ in range(30):
            world.clock.passes(1000)
            healthy.known = world.machines.beat(healthy.registered, metadata_ok=True)
            for worker in self.machines.values():
                if worker.alive:
                    self.beat(worker.machine)
            world.sweep()
            while (bell := world.bells.wait(0)) is not None:
                try:
                    claim = world.ledger.claim(bell.run, bell.task, healthy.owner)
                except Refused:
                    continue
                while claim.state != "done":
                    try:
                        claim = self._finished(claim)
                    except Damaged:
                        claim, _ = world.ledger.readable(claim)
        assert [world.task(task).state for task in TASKS] == ["done"] * len(TASKS)
        self.a_task_is_done_once()
        found = [int(text.strip('"-')) for text in results(world.ledger, RUN)]
        assert found == list(range(ITEMS * len(TASKS)))


TestSchedules = Schedules.TestCase
TestSchedules.settings = settings(
    max_examples=80, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
