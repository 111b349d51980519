"""More at once than anybody has reported: whole pools, hours of interruptions, thousands of messages three times each, mostly not ours."""

import random
import time

import pytest

from spotbatch.checkpoint import Progress
from spotbatch.handler import Handler, reminder
from spotbatch.ledger import Refused
from spotbatch.owner import Owner
from spotbatch.task import Task
from tests.fire.storm import MACHINES, MINUTE, TASKS_EACH, NoPool, Storm, mostly_foreign, shuffled, warning
from tests.spotbatch.world import RUN, World


def test_a_whole_pool_of_five_hundred_machines_at_once_is_marked_and_every_task_is_claimable_again(tmp_path, record_property):
    storm = Storm(tmp_path)
    machines = [owner.machine for owner in storm.owners]
    begun = time.perf_counter()
    for event in shuffled(machines, storm.world.clock.now):
        storm.handler.message(event)
    marking = time.perf_counter() - begun
    assert all((machine := storm.world.machines.read(name)) and machine.state == "draining" for name in machines)
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
    told = f"marked in {marking:.1f} s, {MACHINES * TASKS_EACH} tasks queued again in {reaping:.1f} s"
    record_property("storm", (f"storm of {MACHINES} machines, three warnings each", told))


def final_state(storm: Storm) -> dict:
    """Every record of a machine and a task, but for what counts writes."""
    records = [storm.world.store.read(f"machine/{owner.machine}") for owner in storm.owners] + list(storm.world.store.run_tasks(RUN))
    return {record["key"]: {name: value for name, value in record.items() if name not in ("version", "nonce")} for record in records if record}


@pytest.mark.parametrize("events", [100, 1_000, 5_000, 15_000])
def test_events_three_times_each_and_shuffled_leave_the_state_that_one_of_each_leaves(events, tmp_path, record_property):
    storm, calm = (Storm(tmp_path / name, machines=max(1, events // 100), tasks_each=1) for name in ("storm", "calm"))
    sent = mostly_foreign(storm, events)
    ours = len(storm.owners)
    storm.world.store.asked.clear()
    begun = time.perf_counter()
    handled = [storm.handler.message(event) for event in shuffled(sent, storm.world.clock.now)]
    seconds = time.perf_counter() - begun
    assert sum(one.notices for one in handled) == 3 * ours
    assert sum(one.not_ours for one in handled) == 3 * (events - ours)
    foreign = [key for key in storm.world.store.asked if key.startswith("machine/i-foreign")]
    assert len(foreign) == 3 * (events - ours), "an event of another machine costs one read"
    for owner in calm.owners:
        calm.handler.message(warning(owner.machine, calm.world.clock.now))
    for one in (storm, calm):
        one.world.clock.passes(121)
        one.due()
    assert storm.states() == {("queued", 1)}
    assert final_state(storm) == final_state(calm)
    record_property("storm", (f"{events:>6,} events x 3, 99 % of machines that are not ours", f"{3 * events / seconds:,.0f} a second"))


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
