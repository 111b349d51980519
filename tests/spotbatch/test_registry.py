import pytest

from spotbatch.notice import Kind, Notice
from spotbatch.protocols import Identity
from spotbatch.registry import Replaced


def notice(world, kind: Kind = "interruption", sent=0.0, deadline: float | None = 120.0, **more):
    now = world.clock.now
    return Notice("m1", kind, now + sent, None if deadline is None else now + deadline, "why", **more)


def registered(world, boot="boot 1", agent="agent 1"):
    return world.machines.register(Identity("m1", boot, "m5.xlarge", "us-east-1a"), agent)


def test_a_new_agent_of_the_same_boot_keeps_draining_and_deadline(world):
    registered(world)
    world.clock.passes(100)
    marked = world.machines.mark(notice(world))
    again = registered(world, agent="agent 2")
    assert (again.state, again.deadline, again.agent) == ("draining", marked.deadline, "agent 2")


def test_a_new_boot_starts_fresh(world):
    registered(world)
    world.clock.passes(100)
    world.machines.mark(notice(world))
    again = registered(world, boot="boot 2")
    assert (again.state, again.deadline) == ("active", None)


def test_a_machine_was_launched_once_however_often_it_boots(world):
    launched = world.clock.now
    world.clock.passes(60)
    first = world.machines.register(Identity("m1", "boot 1", spot=False, launched=launched), "agent 1")
    assert (first.launched, first.spot) == (launched, False)
    world.clock.passes(600)
    assert world.machines.register(Identity("m1", "boot 2", launched=launched), "agent 2").launched is None
    world.clock.passes(600)
    again = world.machines.register(Identity("m1", "boot 3", launched=world.clock.now - 40), "agent 3")
    assert again.launched == world.clock.now - 40
    assert world.machines.read("m1") == again


def test_a_beat_keeps_the_handlers_mark(world):
    known = registered(world)
    world.clock.passes(100)
    world.machines.mark(notice(world))
    beaten = world.machines.beat(known, metadata_ok=True)
    assert (beaten.state, beaten.beat) == ("draining", world.clock.now)


def test_a_beat_that_meets_the_handlers_mark_on_its_way_keeps_it(world):
    known = registered(world)
    world.clock.passes(100)
    swap, marks = world.store.swap, [notice(world)]

    def swap_after_mark(record, expected):
        if marks:
            mark = marks.pop()
            world.store.swap = swap
            world.machines.mark(mark)
        swap(record, expected)

    world.store.swap = swap_after_mark
    assert world.machines.beat(known, metadata_ok=True).state == "draining"


@pytest.mark.parametrize("how", ["gone", "another boot", "another agent", "damaged"])
def test_an_agent_whose_record_is_no_longer_its_own_finds_out_at_its_beat(world, how):
    known = registered(world)
    if how == "gone":
        world.store.remove("machine/m1", known.version)
    elif how == "damaged":
        record = world.store.read("machine/m1")
        world.store.swap({**record, "beat": "yesterday", "version": record["version"] + 1}, record["version"])
    else:
        registered(world, "boot 2" if how == "another boot" else "boot 1", "agent 2")
    with pytest.raises(Replaced):
        world.machines.beat(known, metadata_ok=True)
    assert registered(world, agent="agent 3").agent == "agent 3"


def test_marking_takes_the_earliest_deadline_in_whatever_order_notices_come(world):
    registered(world)
    world.clock.passes(100)
    first, second = notice(world, deadline=120), notice(world, deadline=60)
    for order in ([first, second], [second, first], [second, second, first]):
        for one in order:
            world.machines.mark(one)
        assert world.machines.read("m1").deadline == second.deadline


def test_a_machine_that_is_not_ours_is_not_marked(world):
    assert world.machines.mark(notice(world)) is None


@pytest.mark.parametrize(("kind", "deadline"), [("gone", 0.0), ("interruption", 0.0), ("interruption", 120.0), ("stop", 120.0)])
def test_an_event_of_an_earlier_boot_does_not_drain_the_next(world, kind, deadline):
    late = notice(world, kind, deadline=deadline)
    world.clock.passes(deadline + 30)
    registered(world)
    assert world.machines.mark(late) is None
    assert world.machines.read("m1").state == "active"


def test_an_interruption_just_after_the_start_is_of_this_boot_as_the_machine_still_had_two_minutes(world):
    registered(world)
    world.clock.passes(5)
    assert world.machines.mark(notice(world)).state == "draining"


def test_a_rebalance_recommendation_drains_nothing(world):
    registered(world)
    world.clock.passes(100)
    marked = world.machines.mark(notice(world, "rebalance", deadline=None))
    assert (marked.state, marked.deadline, marked.rebalance_sent) == ("active", None, world.clock.now)


def test_maintenance_days_ahead_is_recorded_and_drains_nothing_yet(world):
    registered(world)
    world.clock.passes(100)
    marked = world.machines.mark(notice(world, "scheduled", deadline=7 * 86_400.0))
    assert (marked.state, marked.due) == ("active", world.clock.now + 7 * 86_400)


def test_maintenance_that_began_before_this_boot_is_not_for_it(world):
    world.clock.passes(1000)
    world.machine()
    world.clock.passes(100)
    assert world.machines.mark(notice(world, "scheduled", deadline=-500.0)) is None
    assert world.machines.read("m1").due is None
