"""Any schedule of claims, saves, deaths, notices, sweeps and network faults on one queue; nothing may be lost, nothing doubled.

The same on every backend: `make` gives the world. Loss and doubling are counted from the log that the job writes (counting.py).
"""

import contextlib

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from spotbatch.checkpoint import Damaged
from spotbatch.ledger import Fenced, Refused
from spotbatch.notice import Notice
from spotbatch.protocols import StoreError
from spotbatch.registry import CLOCK_MARGIN, Replaced
from spotbatch.submit import results
from tests.spotbatch.counting import faults
from tests.spotbatch.faulty_store import FAULTS
from tests.spotbatch.scheduled_machines import ITEMS, MACHINES, TASKS, ScheduledMachines, Worker
from tests.spotbatch.world import RUN


class Schedules(ScheduledMachines):
    workers = st.sampled_from(MACHINES)
    tasks = st.sampled_from(TASKS)

    @initialize()
    def start(self):
        self._set_up()

    def teardown(self):
        try:
            if hasattr(self, "world"):
                self._everything_ends_well()
        finally:
            if hasattr(self, "_folder"):
                self._folder.cleanup()

    # -- what workers do ------------------------------------------------------------------------------------------------------------------

    @rule(name=workers, task=tasks, heard=st.booleans(), times=st.integers(1, 3), items=st.integers(1, 3), long=st.booleans())
    def works(self, name, task, heard, times, items, long):
        """A claim, by a bell or because somebody says so; and checkpoints after it."""
        worker = self.machines[name]
        for _ in range(times):
            if worker.alive and worker.claim is None:
                self._claim(worker, task, heard)
            elif worker.alive:
                self._write(worker, lambda claim: self._saved(claim, items, long))

    @precondition(lambda self: self._busy())
    @rule(which=st.integers(0, 3), how=st.sampled_from(["finish", "give back", "give back", "fail"]))
    def end(self, which, how):
        worker = self._pick(self._busy(), which)
        if self._write(worker, self._ends[how]):
            worker.claim = None

    @precondition(lambda self: self.zombies)
    @rule(which=st.integers(0, 99), do=st.sampled_from(["save", "finish", "give back", "fail"]), after=st.sampled_from(["", "sweep", "claim"]))
    def zombie_writes(self, which, do, after):
        """A process that slept through everything wakes up: it may write only if its claim still stands."""
        if after:
            self.world.clock.passes(70)
            self._sweep()
        for worker in self._free() if after == "claim" else ():
            self.beat(worker.machine)
            self._claim(worker, self.zombies[which % len(self.zombies)].id, False)
        claim = self.zombies.pop(which % len(self.zombies))
        before = self.world.task(claim.id)
        stands = (before.state, before.epoch, before.owner) == ("running", claim.epoch, claim.owner)
        try:
            written = self._saved(claim, ITEMS, False) if do == "save" else self._ends[do](claim)
            assert stands or written is claim
            self.zombies.append(written)
        except Fenced:
            after = self.world.task(claim.id)
            assert after.version > before.version if stands else after == before
        except (Damaged, StoreError):
            pass

    # -- what happens to them -------------------------------------------------------------------------------------------------------------

    @rule(name=workers, how=st.sampled_from(["process", "agent", "boot", "silence"]))
    def dies(self, name, how):
        worker = self.machines[name]
        if how == "process":
            if worker.alive:
                self._process_dies(worker)
            return
        self._leave_zombie(worker)
        worker.alive = False
        if how != "silence":
            worker.boot, worker.agent, worker.process = worker.boot + (how == "boot"), worker.agent + 1, 0
            self._start_agent(worker)

    @rule(name=workers)
    def beat(self, name):
        worker = self.machines[name]
        with self._acting(worker):
            if not worker.alive:
                # Whoever starts, starts under a new agent id.
                worker.agent += 1
                self._start_agent(worker)
                return
            try:
                assert worker.known is not None
                worker.known = self.world.machines.beat(worker.known, metadata_ok=True)
            except (Replaced, StoreError):
                self._leave_zombie(worker)
                worker.agent += 1
                self._start_agent(worker)
            self._take_back(worker)

    @rule(name=workers, ago=st.sampled_from([0, 300]), seconds=st.sampled_from([0, 10, 120]))
    def notice(self, name, ago, seconds):
        sent = self.world.clock.now - ago
        with contextlib.suppress(StoreError):
            marked = self.world.machines.mark(Notice(name, "interruption", sent, sent + seconds, "why"))
            if marked is not None:
                self.marked[name] = marked.boot
                assert self.registered[name, marked.boot] + CLOCK_MARGIN <= sent + seconds, "an event of an earlier boot drains this one"

    @rule(seconds=st.sampled_from([1, 30, 70, 1000]))
    def time_passes(self, seconds):
        self.world.clock.passes(seconds)

    @rule(name=workers, seconds=st.sampled_from([0, 0, 70, 1000]), first=st.sampled_from(["", "", "save", "finish", "beat"]))
    def sweeps(self, name, seconds, first):
        """A sweep, by which time a machine may have been silent; somebody may write between its read and its write."""
        self.world.clock.passes(seconds)
        if first:
            self.world.store.meanwhile = [lambda: self._meanwhile(name, first)]
        self._sweep()

    def _sweep(self):
        owners = {task: self.world.task(task).owner for task in TASKS}
        machines = {name: self.world.registered(name) for name in MACHINES}
        with contextlib.suppress(StoreError):
            for task in self.world.sweep().requeued:
                owner, cause = owners[task.id], task.history[-1]["what"]
                machine = machines[owner.machine] if owner else None
                if owner and machine and machine.boot == owner.boot and machine.state == "draining":
                    assert cause == "interrupted", "an interruption was booked as something else"

    @rule(
        name=workers,
        task=tasks,
        what=st.sampled_from(["network", "network", "tidied", "late", "late between", "submit", "clean", "damage", "revive"]),
        data=st.data(),
    )
    def trouble(self, name, task, what, data):
        if what == "network":
            self.world.store.spoiled = data.draw(st.lists(st.sampled_from(FAULTS), min_size=1, max_size=2))
        elif what == "tidied":
            self._tidy_away(name)
        elif what == "late":
            self.world.store.land_late()
        elif what == "late between":
            # A write without an answer, which arrives just before whatever its writer sends next.
            self.world.store.spoiled, self.world.store.meanwhile = ["late"], [lambda: None, self.world.store.land_late]
        elif what == "submit":
            self._submit_again()
        elif what == "clean":
            self._clean(task)
        elif what == "damage":
            self._damage(task)
        elif what == "revive":
            with contextlib.suppress(StoreError):
                self.ledger.revive(self.world.task(task))

    @precondition(lambda self: self.world.replies_to_cut is not None)
    @rule(count=st.integers(1, 3))
    def replies_are_cut(self, count):
        """The service does what it was asked, and its answer gets lost: the client library asks again by itself, three times in all."""
        assert self.world.replies_to_cut is not None
        self.world.replies_to_cut[:] = ["swallow"] * count

    @rule(name=workers, what=st.sampled_from(["sweep", "notice", "beat", "save", "finish", "clean", "late"]))
    def meanwhile(self, name, what):
        """Somebody else comes first, between the next read and its write."""
        self.world.store.meanwhile = [lambda: self._meanwhile(name, what)]

    def _meanwhile(self, name, what):
        worker = self.machines[name]
        idle = self.acting != name
        if what == "notice":
            self.notice(name, 0, 10)
        elif what == "beat" and idle:
            self.beat(name)
        elif what in ("save", "finish") and idle and worker.alive and worker.claim is not None:
            if self._write(worker, lambda claim: self._saved(claim, ITEMS, True) if what == "save" else self._finished(claim)) and what == "finish":
                worker.claim = None
        elif what == "sweep":
            self._sweep()
        elif what == "clean":
            for task in TASKS:
                self._clean(task)
        elif what == "late":
            self.world.store.land_late()

    # -- what must hold at every moment ---------------------------------------------------------------------------------------------------

    @invariant()
    def nothing_is_broken(self):
        if not hasattr(self, "world"):
            return
        failed = 0
        for name in TASKS:
            task = self.world.task(name)
            assert self._completed(name) <= 1, "a task completed twice"
            assert self.done.get(name, task.version) == task.version, "a task changed after its end"
            if task.state == "done":
                self.done[name] = task.version
            assert task.items_done >= self.progress[name] or self.damaged, "progress went back"
            self.progress[name] = task.items_done
            failed += task.attempts["failed"]
            # A living process that the ledger names, and that does not run the task, would keep it for ever.
            holders = [worker for worker in self.machines.values() if worker.alive and worker.owner == task.owner]
            assert all(worker.claim is not None and worker.claim.id == name for worker in holders), "a task is held by nobody"
        assert failed <= self.failures, "an interruption or a fence counted as a failure"
        for name, boot in self.marked.items():
            machine = self.world.registered(name)
            assert machine is None or machine.boot != boot or machine.state == "draining", "a mark was overwritten"

    # -- the end ------------------------------------------------------------------------------------------------------------------------

    def _everything_ends_well(self):
        """The network heals and a healthy machine comes: every task must be reachable by the sweep's bells alone, and end once.

        Of the other machines one falls silent. The other beats on but works no more: its worker is dead, or hangs where its machine ought to be
        gone by a deadline.
        """
        world = self.world
        world.store.spoiled, world.store.meanwhile = [], []
        if world.replies_to_cut is not None:
            world.replies_to_cut.clear()
        world.store.land_late()
        for task in TASKS:
            self.ledger.revive(world.task(task))
        for worker in self.machines.values():
            worker.claim = None
            worker.process += worker.identity.boot != self.marked.get(worker.machine)
        self.machines["m2"].alive = False
        healthy = self.machines["m9"] = Worker("m9")
        self._start_agent(healthy)
        while (bell := world.bells.wait(0)) is not None:
            world.bells.silence(bell)
        for _ in range(12):
            if all(world.task(task).state == "done" for task in TASKS):
                break
            world.clock.passes(1000)
            for worker in self.machines.values():
                if worker.alive:
                    self.beat(worker.machine)
            world.sweep()
            while (bell := world.bells.wait(0)) is not None:
                with contextlib.suppress(Refused):
                    self._runs_to_the_end(healthy, bell.task)
                world.bells.silence(bell)
        assert [world.task(task).state for task in TASKS] == ["done"] * len(TASKS), "an unfinished task that nobody will ever run"
        self.nothing_is_broken()
        items = [str(number) for number in range(ITEMS * len(TASKS))]
        assert not (wrong := faults(items, self.log, [text.strip('"') for text in results(self.ledger, RUN)])), wrong

    def _runs_to_the_end(self, healthy, task):
        claim = self.ledger.claim(RUN, task, healthy.owner)
        while claim.state != "done":
            try:
                claim = self._finished(claim)
            except Damaged:
                claim, _ = self.ledger.readable(claim)
