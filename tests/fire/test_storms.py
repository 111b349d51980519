"""More at once than anybody has reported: whole pools, hours of interruptions, thousands of messages three times each, mostly not ours."""

import random
import time
from pathlib import Path

import pytest

from spotbatch.checkpoint import Progress
from spotbatch.handler import Handler, reminder
from spotbatch.ledger import Refused
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
    """A world with machines that hold claims, and a handler whose reminders come when the clock says so."""

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


def test_five_hundred_machines_at_once_are_all_marked_and_every_task_is_claimable_again(tmp_path, capsys):
    storm = Storm(tmp_path)
    events = [warning(owner.machine, storm.world.clock.now) for owner in storm.owners] * 3
    random.Random(1).shuffle(events)
    begun = time.perf_counter()
    for event in events:
        storm.handler.message(event)
    marking = time.perf_counter() - begun
    assert all((machine := storm.world.machines.read(owner.machine)) and machine.state == "draining" for owner in storm.owners)
    assert storm.states() == {("running", 0)}
    storm.world.clock.passes(121)
    begun = time.perf_counter()
    storm.due()
    reaping = time.perf_counter() - begun
    assert storm.states() == {("queued", 1)}
    # None of them may take anything any more; a fresh machine may take all.
    with pytest.raises(Refused):
        storm.world.ledger.claim(RUN, "000000", storm.owners[0])
    fresh = storm.world.machine("i-fresh")
    assert all(storm.world.ledger.claim(RUN, f"{number:06d}", fresh) for number in range(MACHINES * TASKS_EACH))
    with capsys.disabled():
        tasks = MACHINES * TASKS_EACH
        print(f"\n  storm: {MACHINES} machines, {len(events)} events, marked in {marking:.1f} s; {tasks} tasks queued in {reaping:.1f} s", end="")


@pytest.mark.parametrize("events", [100, 1_000, 5_000, 15_000])
def test_events_three_times_each_and_shuffled_leave_the_state_that_one_of_each_leaves(events, tmp_path, capsys):
    ours = max(1, events // 100)
    storm = Storm(tmp_path, machines=ours, tasks_each=1)
    now = storm.world.clock.now
    sent = [warning(owner.machine, now) for owner in storm.owners] + [warning(f"i-foreign{number}", now) for number in range(events - ours)]
    sent *= 3
    random.Random(events).shuffle(sent)
    begun = time.perf_counter()
    handled = [storm.handler.message(event) for event in sent]
    seconds = time.perf_counter() - begun
    assert sum(one.notices for one in handled) == 3 * ours
    assert sum(one.not_ours for one in handled) == 3 * (events - ours)
    storm.world.clock.passes(121)
    storm.due()
    assert storm.states() == {("queued", 1)}
    with capsys.disabled():
        print(f"\n  {events} events x 3, 99 % of machines that are not ours: {len(sent) / seconds:,.0f} a second", end="")


def test_a_whole_day_of_sixty_six_interruptions_an_hour_loses_nothing_and_uses_up_no_budget(tmp_path):
    """Machines come and go for 24 simulated hours; every other interruption comes without any notice."""
    chance = random.Random(66)
    world = World(tmp_path)
    pool, reminders = NoPool(), []
    handler = Handler(world.ledger, pool, lambda machine, seconds: reminders.append((world.clock.now + seconds, machine)))
    hours, machines, items = 24, 20, 400
    world.submit(60 * items, items)
    at_work: dict[str, tuple[Owner, Task | None]] = {}
    done: set[tuple[str, int]] = set()
    number = 0
    interruptions = sorted(chance.uniform(0, hours * 3600) for _ in range(66 * hours))
    begun = world.clock.now
    announced: dict[str, float] = {}
    for minute in range(hours * 60):
        world.clock.now = begun + minute * MINUTE
        now = world.clock.now
        for machine in [machine for machine, deadline in announced.items() if deadline <= now]:
            at_work.pop(machine, None)
            del announced[machine]
        while interruptions and begun + interruptions[0] <= now:
            interruptions.pop(0)
            candidates = sorted(set(at_work) - set(announced))
            if not candidates:
                continue
            machine = chance.choice(candidates)
            if chance.random() < 0.5:
                handler.message(warning(machine, now))
                announced[machine] = now + 120
            else:
                del at_work[machine]
        while len(at_work) < machines:
            number += 1
            at_work[f"i-{number:x}"] = (world.machine(f"i-{number:x}"), None)
        for machine, (owner, task) in sorted(at_work.items()):
            record = world.machines.read(machine)
            assert record is not None
            world.machines.beat(record, metadata_ok=True)
            at_work[machine] = (owner, work(world, owner, task, announced, done))
        reminded, reminders[:] = [one for one in reminders if one[0] <= now], [one for one in reminders if one[0] > now]
        for _, machine in reminded:
            handler.message(reminder(machine))
        world.sweep()
    tasks = [Task.from_record(record) for record in world.store.run_tasks(RUN)]
    assert not [task for task in tasks if task.state == "dead"]
    assert sum(task.attempts["interrupted"] + task.attempts["lost"] for task in tasks) > 100
    assert sum(task.attempts["failed"] for task in tasks) == 0
    assert {task.state for task in tasks} == {"done"}
    assert len(done) == 60 * items


def work(world: World, owner: Owner, task: Task | None, announced: dict[str, float], done: set[tuple[str, int]]) -> Task | None:
    """A minute of a machine: 10 items of its task and a checkpoint, or a claim."""
    if task is None:
        if owner.machine in announced:
            return None
        queued = next(iter(world.store.tasks_in("queued")), None)
        if queued is None:
            return None
        try:
            return world.ledger.claim(RUN, queued["task"], owner)
        except Refused:
            return None
    if owner.machine in announced:
        world.ledger.give_back(task, "interrupted", "notice")
        return None
    end = min(task.items_total, task.items_done + 10)
    done.update((task.id, item) for item in range(task.items_done, end))
    task = world.ledger.save(task, end, Progress(None, [str(item) for item in range(task.items_done, end)]))
    if end == task.items_total:
        world.ledger.finish(task)
        return None
    return task
