"""A pool of machines that hold claims, and a handler whose reminders come when the clock says so."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

from spotbatch.handler import Handler, reminder
from spotbatch.owner import Owner
from spotbatch.task import Task
from tests.spotbatch.world import RUN, World

MACHINES, TASKS_EACH, ITEMS = 500, 4, 10
MINUTE = 60.0


class NoPool:
    """A Spot Fleet: there is no call to detach."""

    def detach(self, machine: str) -> bool:
        return False

    def complete(self, machine: str, hook: dict[str, str]) -> bool:
        return True


def iso(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def warning(machine: str, moment: float) -> dict:
    detail = {"instance-id": machine, "instance-action": "terminate"}
    return {"source": "aws.ec2", "detail-type": "EC2 Spot Instance Interruption Warning", "time": iso(moment), "detail": detail}


class Storm:
    def __init__(self, folder: Path, machines: int = MACHINES, tasks_each: int = TASKS_EACH) -> None:
        self.world, self.reminders = World(folder), []
        self.handler = Handler(self.world.ledger, NoPool(), self._remind)
        tasks = self.world.submit(machines * tasks_each * ITEMS, ITEMS)
        self.owners = [self.world.machine(f"i-{number:017x}") for number in range(machines)]
        self.claims: dict[str, list[Task]] = {
            owner.machine: [self.world.claimed(owner, task) for task in tasks[number * tasks_each : (number + 1) * tasks_each]]
            for number, owner in enumerate(self.owners)
        }
        self.world.clock.passes(10 * MINUTE)
        for owner in self.owners:
            self.beat(owner)

    def beat(self, owner: Owner) -> None:
        machine = self.world.machines.read(owner.machine)
        assert machine is not None
        self.world.machines.beat(machine, metadata_ok=True)

    def _remind(self, machine: str, seconds: float) -> None:
        self.reminders.append((self.world.clock.now + seconds, machine))

    def due(self) -> None:
        """Deliver the reminders whose time has come."""
        now = self.world.clock.now
        ready, self.reminders = [at for at in self.reminders if at[0] <= now], [at for at in self.reminders if at[0] > now]
        for _, machine in ready:
            self.handler.message(reminder(machine))

    def states(self) -> set[tuple[str, int]]:
        return {(task.state, task.attempts["interrupted"]) for task in map(Task.from_record, self.world.store.run_tasks(RUN))}


def shuffled(machines: list[str], moment: float, times: int = 3) -> Iterator[dict]:
    """A warning for each machine, each so many times, in any order; made one by one, as they come."""
    order = [*range(len(machines))] * times
    random.Random(len(machines)).shuffle(order)
    return (warning(machines[number], moment) for number in order)


def mostly_foreign(storm: Storm, events: int) -> list[str]:
    """So many machines that events name: the storm's own, and others."""
    return [owner.machine for owner in storm.owners] + [f"i-foreign{number}" for number in range(events - len(storm.owners))]
