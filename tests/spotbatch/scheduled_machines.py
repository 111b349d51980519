"""Two machines with a worker each on one queue, and what the schedules have them do. What they do when is in schedules.py."""

import contextlib
import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis.stateful import RuleBasedStateMachine

from spotbatch.checkpoint import Damaged, Progress
from spotbatch.cleaning import clean
from spotbatch.ledger import Fenced, Refused
from spotbatch.machine import Machine
from spotbatch.owner import Owner
from spotbatch.protocols import Ambiguous, Conflict, Identity, StoreError
from spotbatch.task import Task
from tests.spotbatch.world import RUN, World

MACHINES = ("m1", "m2")
TASKS = ("000000", "000001")
ITEMS = 6
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Thousands of small files that nobody keeps."""


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
    def agent_id(self) -> str:
        return f"agent {self.boot}.{self.agent}"

    @property
    def owner(self) -> Owner:
        return Owner(self.machine, self.identity.boot, self.agent_id, f"process {self.boot}.{self.agent}.{self.process}")


class ScheduledMachines(RuleBasedStateMachine):
    make: Callable[[Path], World]
    """The world, in a folder of its own: what a subclass sets."""

    def _set_up(self):
        self._folder = tempfile.TemporaryDirectory(dir=MEMORY)
        self.world = type(self).make(Path(self._folder.name))
        self.ledger = self.world.ledger
        self.world.submit(items=ITEMS * len(TASKS), items_per_task=ITEMS)
        self.machines = {name: Worker(name) for name in MACHINES}
        self.zombies: list[Task] = []
        self.acting = ""
        self.log: list[str] = []
        self.tokens = itertools.count()
        self.progress = dict.fromkeys(TASKS, 0)
        self.marked: dict[str, str] = {}
        self.registered: dict[tuple[str, str], float] = {}
        self.done: dict[str, int] = {}
        self.damaged = False
        self.failures = 0
        for worker in self.machines.values():
            self._start_agent(worker)

    def _claim(self, worker, task, heard):
        task = next((name for name in (task, *TASKS) if self.world.task(name).state == "queued"), task)
        before = self.world.registered(worker.machine)
        with self._acting(worker):
            try:
                bell = self.world.bells.wait(0) if heard else None
                try:
                    worker.claim = self.ledger.claim(RUN, bell.task if bell else task, worker.owner)
                except Refused as why:
                    if bell:
                        self.world.bells.leave(bell) if why.leave_bell else self.world.bells.silence(bell)
                    return
                if bell:
                    self.world.bells.silence(bell)
            except StoreError:
                self._process_dies(worker)
                return
        ready = before is not None and (before.boot, before.agent, before.state) == (worker.identity.boot, worker.agent_id, "active")
        assert ready, "a machine that drains has claimed a task"

    def _free(self):
        return [worker for worker in self.machines.values() if worker.alive and worker.claim is None]

    def _busy(self):
        return [worker for worker in self.machines.values() if worker.alive and worker.claim is not None]

    @staticmethod
    def _pick(workers, which):
        return workers[which % len(workers)]

    @contextlib.contextmanager
    def _acting(self, worker):
        self.acting, before = worker.machine, self.acting
        try:
            yield
        finally:
            self.acting = before

    def _clean(self, task):
        with contextlib.suppress(StoreError):
            clean(self.ledger, self.world.task(task))

    def _tidy_away(self, name):
        machine = self.world.registered(name)
        if machine is not None:
            with contextlib.suppress(StoreError, Ambiguous, Conflict):
                self.world.store.remove(machine.key, machine.version)
            if self.world.registered(name) is None:
                self.marked.pop(name, None)

    def _submit_again(self):
        with contextlib.suppress(StoreError):
            assert self.world.submit(items=ITEMS * len(TASKS), items_per_task=ITEMS) == list(TASKS)

    def _damage(self, task):
        """Once a schedule."""
        found = self.world.task(task)
        keys = [entry.key for entry in found.checkpoints if entry.key]
        if keys and not self.damaged and found.state != "done":
            self.world.damage(keys[0])
            self.damaged = True

    def _completed(self, task):
        states = [record["state"] for record in self.world.store.written if record["key"] == f"task/{RUN}/{task}"]
        return sum(after == "done" != before for before, after in itertools.pairwise(states))

    def _start_agent(self, worker):
        try:
            worker.known = self.world.machines.register(worker.identity, worker.agent_id)
            worker.alive = True
            self.registered.setdefault((worker.machine, worker.known.boot), worker.known.registered)
        except StoreError:
            worker.alive = False

    def _leave_zombie(self, worker):
        if worker.claim is not None:
            self.zombies.append(worker.claim)
            worker.claim = None

    def _process_dies(self, worker):
        self._leave_zombie(worker)
        worker.process += 1
        self._take_back(worker)

    def _take_back(self, worker):
        """What the agent does at every beat."""
        try:
            for record in list(self.world.store.tasks_in("running", worker.machine)):
                task = self.ledger.task(RUN, record["task"])
                if task and task.owner and task.owner.agent == worker.agent_id and task.owner != worker.owner:
                    self.ledger.take_from(task, "interrupted", "process died")
        except StoreError:
            pass

    def _write(self, worker, write) -> bool:
        with self._acting(worker):
            try:
                worker.claim = write(worker.claim)
                return True
            except Fenced:
                worker.claim = None
            except Damaged:
                with contextlib.suppress(StoreError):
                    worker.claim, _ = self.ledger.readable(worker.claim)
            except StoreError:
                self._process_dies(worker)
            return False

    def _saved(self, claim, items, long):
        """The job runs items, and writes down what it does."""
        claim, damage = self.ledger.readable(claim)
        assert not damage or self.damaged, damage
        end = min(ITEMS, claim.items_done + items)
        if end == claim.items_done:
            return claim
        texts = []
        for number in range(claim.items_done, end):
            token = f"{next(self.tokens)}{'-' * 600 * long}"
            self.log.append(f"{int(claim.id) * ITEMS + number} {token}")
            texts.append(f'"{token}"')
        return self.ledger.save(claim, end, Progress(None, texts))

    def _finished(self, claim):
        return self.ledger.finish(claim if claim.items_done == ITEMS else self._saved(claim, ITEMS, False))

    def _failed(self, claim):
        self.failures += 1
        return self.ledger.fail(claim, "Traceback")

    @property
    def _ends(self):
        return {"finish": self._finished, "give back": lambda claim: self.ledger.give_back(claim, "interrupted"), "fail": self._failed}
