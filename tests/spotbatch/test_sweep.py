from itertools import pairwise

import pytest

from spotbatch.notice import Notice
from spotbatch.sweep import FIRST_RING, LAST_RING, Sweep
from tests.spotbatch.world import RUN


def marked(world, seconds=120.0):
    world.clock.passes(100)
    world.machines.beat(world.machines.read("m1"), metadata_ok=True)
    return world.machines.mark(Notice("m1", "interruption", world.clock.now, world.clock.now + seconds, "why"))


@pytest.mark.parametrize("how", ["no record", "another boot", "another agent", "silent", "past its deadline", "damaged record"])
def test_what_a_gone_machine_held_is_queued_again_under_a_new_epoch_and_rung_for(world, how):
    world.submit()
    claim = world.saved(world.claimed(), 4)
    record = world.store.read("machine/m1")
    if how == "no record":
        world.store.remove("machine/m1", record["version"])
    elif how == "another boot":
        world.machine(boot="boot 2")
    elif how == "another agent":
        world.machine(agent="agent 2")
    elif how == "silent":
        world.clock.passes(61)
    elif how == "past its deadline":
        marked(world, 10)
        world.clock.passes(11)
    else:
        world.store.swap({**record, "boot": 7, "version": record["version"] + 1}, record["version"])
    world.bells.rung.clear()
    (again,) = world.sweep().requeued
    assert (again.state, again.epoch, again.items_done) == ("queued", claim.epoch + 1, 4)
    assert world.bells.rung == [(RUN, "000000")]
    assert again.attempts == {"interrupted": int(how == "past its deadline"), "lost": int(how != "past its deadline"), "failed": 0}


def test_a_place_on_a_shared_machine_goes_with_the_machine_and_was_interrupted(world):
    world.submit(items=20)
    world.machine()
    world.claimed(world.machine("m1.1"))
    world.claimed(world.machine("m2.1"), "000001")
    marked(world, 10)
    for name in ("m1.1", "m2.1"):
        world.machines.beat(world.machines.read(name), metadata_ok=True)
    world.clock.passes(11)
    (again,) = world.sweep().requeued
    assert (again.id, again.attempts) == ("000000", {"interrupted": 1, "lost": 0, "failed": 0})


@pytest.mark.parametrize("how", ["another boot", "damaged record"])
def test_a_machine_that_says_nothing_of_this_boot_takes_no_place_along(world, how):
    world.submit()
    world.machine()
    world.claimed(world.machine("m1.1", boot="boot 2" if how == "another boot" else "boot 1"))
    record = world.store.read(marked(world, 10).key)
    if how == "damaged record":
        world.store.swap({**record, "boot": 7, "version": record["version"] + 1}, record["version"])
    world.machines.beat(world.machines.read("m1.1"), metadata_ok=True)
    world.clock.passes(11)
    assert not world.sweep().requeued


def test_a_living_machine_keeps_its_tasks(world):
    world.submit()
    world.claimed()
    world.clock.passes(59)
    assert (world.sweep().requeued, world.task().state) == ([], "running")


def test_a_machine_with_a_longer_lease_may_be_silent_longer(world):
    world.submit()
    owner = world.machine()
    world.machines.register(world.machines.read("m1").identity, owner.agent, lease=300.0)
    world.claimed(owner)
    world.clock.passes(299)
    assert not world.sweep().requeued
    world.clock.passes(2)
    assert world.sweep().requeued


def test_a_death_after_the_notice_is_an_interruption_whichever_test_found_it(world):
    world.submit()
    world.claimed()
    marked(world, seconds=1000)
    world.clock.passes(61)
    (again,) = world.sweep().requeued
    assert again.attempts["interrupted"] == 1
    assert "silent" in again.history[-1]["why"]


def test_a_stopped_agents_tasks_were_interrupted(world):
    world.submit()
    world.claimed()
    world.machines.stop(world.machines.read("m1"))
    world.clock.passes(61)
    assert world.sweep().requeued[0].attempts["interrupted"] == 1


def test_one_machine_can_be_looked_at_alone(world):
    world.submit(items=20)
    world.claimed(world.machine("m1"), "000000")
    world.claimed(world.machine("m2"), "000001")
    world.clock.passes(61)
    assert [task.id for task in Sweep(world.ledger).machine("m2").requeued] == ["000001"]
    assert world.task("000000").state == "running"


def test_a_queued_task_is_rung_for_again_with_growing_pauses_up_to_a_cap(world):
    world.submit()
    world.bells.rung.clear()
    moments, start = [], world.clock.now
    while world.clock.now < start + 7200:
        world.clock.passes(60)
        if world.sweep().rung:
            moments.append(world.clock.now - start)
    pauses = [later - earlier for earlier, later in pairwise(moments)]
    assert moments[0] == FIRST_RING and pauses[:3] == [120, 240, 480]
    assert set(pauses[4:]) == {LAST_RING}
    assert len(world.bells.rung) == len(moments)


def test_a_record_that_nobody_understands_is_reported_and_holds_up_no_other(world):
    world.submit(items=20)
    owner = world.machine()
    for task in ("000000", "000001"):
        world.claimed(owner, task)
    record = world.store.read("task/run/000000")
    world.store.swap({**record, "epoch": "many", "version": record["version"] + 1}, record["version"])
    world.clock.passes(61)
    swept = world.sweep()
    assert [task.id for task in swept.requeued] == ["000001"]
    assert swept.bad == ["ledger record task/run/000000: epoch is 'many', allowed: a whole number"]


def test_a_claim_made_between_reading_and_swapping_wins(world):
    world.submit()
    stale = world.claimed()
    world.ledger.give_back(stale, "interrupted")
    mine = world.claimed(world.machine("m2"))
    assert world.ledger.take_from(stale, "lost", "test") is None
    assert world.task().epoch == mine.epoch


def test_a_sweep_without_time_counts_all_the_same(world):
    world.submit(40)
    world.claimed(task="000001")
    world.clock.passes(61)
    swept = Sweep(world.ledger, -1).everything()
    assert (swept.queued, swept.running, swept.requeued, swept.rung) == (3, 1, [], 0)


def test_who_has_waited_longest_is_rung_for_first(world):
    world.submit(30)
    for task in ("000002", "000000", "000001"):
        world.clock.passes(61)
        world.ledger.rung(world.task(task))
    world.bells.rung.clear()
    world.clock.passes(LAST_RING)
    world.sweep()
    assert [task for _, task in world.bells.rung] == ["000002", "000000", "000001"]


def test_a_living_machine_costs_a_sweep_one_read_however_much_it_runs(world):
    world.submit(50)
    owner = world.machine()
    for number in range(5):
        world.claimed(owner, f"{number:06d}")
    world.store.asked.clear()
    assert world.sweep().running == 5
    assert world.store.asked == ["machine/m1"]
