"""A cloud in which the product's own handler, agents and workers run a workload on a recorded trace."""

import json
import logging
import random
from typing import Any

from spotbatch.agent import LEASE_SECONDS
from spotbatch.checkpoint import Damaged
from spotbatch.handler import Handler, reminder
from spotbatch.ledger import Ledger
from spotbatch.notice import Notice
from spotbatch.protocols import Backend, Record, StoreError
from spotbatch.submit import Submission, results, submit
from spotbatch.tools.simulation.market import Grant, Market
from spotbatch.tools.simulation.memory_payloads import MemoryPayloads
from spotbatch.tools.simulation.memory_store import MemoryStore
from spotbatch.tools.simulation.setting import Setting
from spotbatch.tools.simulation.simulated_doorbell import SimulatedDoorbell
from spotbatch.tools.simulation.simulated_job import SimulatedItems, SimulatedSteps, Tally
from spotbatch.tools.simulation.simulated_machine import EPOCH, SimulatedMachine, iso
from spotbatch.tools.simulation.timeline import Timeline

RUN = "run"
EVENT_SECONDS = 1.0
"""From an event to its handler."""
AGAIN_SECONDS = 60.0
"""A message that comes twice does so within this."""
SCALE_SECONDS = 60.0
"""From a backlog that has become shorter than the fleet to a fleet that is no longer than the backlog."""
TIMER_SECONDS = 60.0
"""The handler's timer."""


class SimulatedCloud:
    """Machines, messages, ledger and bucket of one run. What the fleet wants is its own business (`SimulatedFleet`)."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.timeline = Timeline(setting.start_s)
        self.market = Market(setting)
        self.tally = Tally(setting.workload, setting.machines, setting.notice_s)
        self.machines: dict[str, SimulatedMachine] = {}
        self.fleet: Any = None
        self.finished_s: float | None = None
        self._chance = random.Random(f"{setting.seed} {setting.start_s}")
        self._open_tasks = len(self.tally.tasks)
        self._sweep_at: float | None = None
        self._doorbell = SimulatedDoorbell(self.timeline, setting.faults.delivered_twice, self._chance)
        self._store = MemoryStore(lambda: EPOCH + self.timeline.now, self._written)
        self._backend = Backend("simulated", self._store, MemoryPayloads(self._upload), self._doorbell)
        self.ledger = Ledger(self._backend)

    # -- the run ----------------------------------------------------------------------------------------------------------------------------

    def run(self, fleet: Any) -> None:
        """From the submit to the last task, or the horizon."""
        self.fleet, setting, timeline = fleet, self.setting, self.timeline
        self._handler = Handler(self.ledger, fleet, self._remind)
        logger = logging.getLogger("spotbatch")
        before, logger.disabled = logger.disabled, True
        try:
            self._submit()
            timeline.at(setting.start_s + setting.horizon_s, timeline.end)
            if setting.faults.bulk_drop_at_s is not None:
                timeline.at(setting.start_s + setting.faults.bulk_drop_at_s, self._bulk_drop)
            fleet.begin()
            timeline.run()
        finally:
            for machine in self.machines.values():
                machine.end(taken=False)
            logger.disabled = before

    def _submit(self) -> None:
        # The tasks of one run have equal numbers of items; these have not, so each is a run of its own.
        for number, steps in enumerate(self.tally.tasks):
            lines = [str(step).encode() for step in steps]
            for _ in submit(self.ledger, Submission(f"{RUN}-{number:06d}", len(lines), lines)):
                pass

    @property
    def open_tasks(self) -> int:
        """Tasks that are not done."""
        return self._open_tasks

    def saved_s(self) -> float:
        """Work that the ledger's records cover."""
        return sum(sum(self.tally.seconds[step] for step in steps[: self._items_done(number)]) for number, steps in enumerate(self.tally.tasks))

    def items_lost(self) -> int:
        """Steps without a result that can be read, in a run that says it is done."""
        lost = 0
        for number, steps in enumerate(self.tally.tasks):
            try:
                found = len(list(results(self.ledger, f"{RUN}-{number:06d}")))
            except Damaged:
                found = 0
            lost += len(steps) - found
        return lost

    def _items_done(self, number: int) -> int:
        task = self.ledger.task(f"{RUN}-{number:06d}", "000000")
        return task.items_done if task else 0

    def _written(self, record: Record) -> None:
        if record["kind"] == "task" and record["state"] == "queued" and record["epoch"]:
            self.tally.lost(int(record["run"].removeprefix(f"{RUN}-")), record["items_done"])
        if record["kind"] == "task" and record["state"] in ("done", "dead"):
            self._open_tasks -= 1
            if not self._open_tasks:
                self.finished_s = self.timeline.now
                self.timeline.end()
            elif self._open_tasks < self.setting.machines:
                self.timeline.at(self.timeline.now + SCALE_SECONDS, self.fleet.changed)

    def job(self, passes: Any) -> SimulatedItems:
        workload = self.setting.workload
        return (SimulatedSteps if workload.resumable else SimulatedItems)(self.tally, workload, passes)

    def _upload(self, key: str) -> None:
        """A checkpoint takes its time, and may end in an error."""
        if self.timeline.running is not None and "/tasks/" in key:
            agent = next(machine.agent for machine in self.machines.values() if machine.agent and machine.agent.actor is self.timeline.running)
            agent.passes("checkpoint", self.setting.workload.state_write_s)
            if self.setting.faults.upload_fails and self._chance.random() < self.setting.faults.upload_fails:
                raise StoreError(f"{key}: connection reset")

    # -- machines ---------------------------------------------------------------------------------------------------------------------------

    def rent(self, grant: Grant | None) -> SimulatedMachine:
        """A machine that boots from now on; None for an on-demand one."""
        setting, faults, chance = self.setting, self.setting.faults, self._chance
        name = f"i-{len(self.machines):017x}"
        pool = setting.pools[grant.pool].name if grant else "on-demand"
        # No machine's clock counts backwards: the slowest of them stands at its boot.
        ahead = 2 * faults.clock_skew_s * chance.random()
        machine = SimulatedMachine(
            name, grant, self.timeline, self._backend, self.job, self._gone,
            pool=pool, boot_s=setting.boot_s, notice_s=setting.notice_s, ahead_s=ahead, chance=chance,
        )  # fmt: skip
        self.machines[name] = machine
        if grant is not None:
            self._schedule(machine, grant)
        return machine

    def _schedule(self, machine: SimulatedMachine, grant: Grant) -> None:
        """Its notice and its end, as long as they stand."""
        setting, faults, chance, ends = self.setting, self.setting.faults, self._chance, grant.ends_s
        self.timeline.at(ends, lambda: machine.end(taken=True) if grant.ends_s == ends else None)
        told = max(self.timeline.now, ends - setting.notice_s) + faults.notice_late_s * chance.random()
        if setting.notice_s > 0 and told < ends and chance.random() >= faults.notice_lost:
            self.timeline.at(told, lambda: self._warn(machine, ends) if grant.ends_s == ends else None)

    def _warn(self, machine: SimulatedMachine, ends_s: float) -> None:
        """The cloud says that it takes the machine: in its metadata, and by an event."""
        if machine.alive:
            now = self.timeline.now
            machine.tell(Notice(machine.name, "interruption", EPOCH + now, EPOCH + ends_s, "spot interruption: terminate"))
            self._event("aws.ec2", "EC2 Spot Instance Interruption Warning", {"instance-id": machine.name, "instance-action": "terminate"})

    def stop(self, machine: SimulatedMachine) -> None:
        """The fleet needs it no more: it drains and goes."""
        now = EPOCH + self.timeline.now
        machine.detached = True
        if machine.agent is None:
            machine.end(taken=False)
        else:
            machine.tell(Notice(machine.name, "stop", now, now + 120, "scale-in"))

    def _gone(self, machine: SimulatedMachine) -> None:
        if machine.grant is not None:
            moved = self.market.release(machine.grant, self.timeline.now)
            for other in self.machines.values():
                if other.grant in moved:
                    self._schedule(other, other.grant)
        if not self.timeline.ended:
            self._event("aws.ec2", "EC2 Instance State-change Notification", {"instance-id": machine.name, "state": "terminated"})
            self._sweep_later()
            self.fleet.gone(machine)

    def _bulk_drop(self) -> None:
        spot = [machine for machine in self.machines.values() if machine.alive and machine.grant is not None]
        for machine in spot[: (len(spot) + 1) // 2]:
            machine.end(taken=True)

    # -- messages ---------------------------------------------------------------------------------------------------------------------------

    def _event(self, source: str, kind: str, detail: dict[str, str]) -> None:
        self._send({"source": source, "detail-type": kind, "time": iso(self.timeline.now), "detail": detail}, EVENT_SECONDS)

    def _remind(self, machine: str, seconds: float) -> None:
        self._send(reminder(machine), seconds)

    def _send(self, message: dict[str, Any], seconds: float) -> None:
        now, chance, twice = self.timeline.now, self._chance, self.setting.faults.delivered_twice
        self.timeline.at(now + seconds, lambda: self._deliver(message))
        if twice and chance.random() < twice:
            self.timeline.at(now + seconds + AGAIN_SECONDS * chance.random(), lambda: self._deliver(message))

    def _deliver(self, message: dict[str, Any]) -> None:
        self._beats()
        self._handler.message(json.loads(json.dumps(message)))

    def _beats(self) -> None:
        for machine in self.machines.values():
            machine.beat()

    def _sweep_later(self) -> None:
        """The timer's first sweep after the lease of a machine that has just gone; earlier ones would find nothing that its event did not."""
        since = self.timeline.now + LEASE_SECONDS - self.setting.start_s
        due = self.setting.start_s + (since // TIMER_SECONDS + 1) * TIMER_SECONDS
        if due != self._sweep_at:
            self._sweep_at = due
            self.timeline.at(due, self._sweep)

    def _sweep(self) -> None:
        """Left out where no gone machine holds a task."""
        if any(not self.machines[record["machine"]].alive for record in self._store.tasks_in("running")):
            self._beats()
            self._handler.sweep()
            self._sweep_later()
