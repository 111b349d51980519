import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotbatch.machine import Machine
from spotbatch.notice import Notice
from spotbatch.protocols import Identity
from spotbatch.task import Task
from spotbatch.tools.savings_hours import Window, free_hour, lived_until, machine_times, window
from tests.spotbatch.world import World


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def on(world, name="m1", boot_seconds=40.0):
    """A machine that was launched so long before it registers now."""
    identity = Identity(name, "boot 1", "m5.xlarge", "us-east-1a", launched=world.clock.now)
    world.clock.passes(boot_seconds)
    world.machines.register(identity, "agent 1")
    return world.machine(name)


def seconds(world, began):
    tasks = [world.task(record["task"]) for record in world.store.run_tasks("run")]
    machines = [Machine.from_record(record) for record in world.store.machines()]
    now = world.clock.now
    return {time.id: time for time in machine_times(window(began, tasks, now), tasks, [], machines, now)}


def test_each_second_of_a_machine_is_boot_waiting_work_or_leaving(world):
    began = world.clock.now
    world.submit()
    owner = on(world)
    world.clock.passes(7)
    claim = world.claimed(owner)
    world.clock.passes(20)
    claim = world.saved(claim, 6)
    world.clock.passes(5)
    world.machines.mark(Notice("m1", "interruption", world.clock.now, world.clock.now + 120, "spot interruption: terminate"))
    world.ledger.give_back(claim, "interrupted", "notice")
    world.machines.drained(world.machines.read("m1"))
    world.clock.passes(3)
    claim = world.claimed(on(world, "m2", 60))
    world.clock.passes(90)
    world.ledger.finish(world.saved(claim, 10))
    times = seconds(world, began)
    assert times["m1"].seconds == {"boot": 40, "waiting": 7, "useful": 20, "redone": 5, "leaving": 120}
    assert times["m2"].seconds == {"boot": 60, "waiting": 0, "useful": 90, "redone": 0, "leaving": 0}
    assert (times["m1"].free, times["m2"].free) == (True, False)


def test_of_the_silence_before_a_loss_only_what_lay_before_the_next_beat_counts(world):
    began = world.clock.now
    world.submit()
    claim = world.claimed(on(world))
    world.clock.passes(10)
    world.saved(claim, 5)
    world.clock.passes(4)
    world.machines.beat(world.machines.read("m1"), metadata_ok=True)
    world.clock.passes(70)
    world.sweep()
    world.clock.passes(1)
    world.ledger.finish(world.saved(world.claimed(on(world, "m2", 0)), 10))
    assert seconds(world, began)["m1"].seconds == {"boot": 40, "waiting": 0, "useful": 10, "redone": 4 + 20, "leaving": 0}


def test_a_machine_with_several_processes_shares_its_seconds_among_their_tasks(world):
    began = world.clock.now
    world.submit(items=20, items_per_task=10)
    owner = on(world, boot_seconds=0)
    first, second = world.claimed(owner), world.claimed(owner, "000001")
    world.clock.passes(10)
    world.ledger.finish(world.saved(first, 10))
    world.clock.passes(10)
    world.ledger.fail(second, "ValueError: bad pixel")
    third = world.claimed(owner, "000001")
    world.clock.passes(10)
    world.ledger.finish(world.saved(third, 10))
    # 10 s halved between work that lasted and work that did not, 10 s of the latter, 10 s of the former.
    assert seconds(world, began)["m1"].seconds == {"boot": 0, "waiting": 0, "useful": 15, "redone": 15, "leaving": 0}


def test_what_another_run_used_is_its_own_and_idle_time_is_shared(world):
    world.submit()
    owner = on(world, boot_seconds=0)
    began = world.clock.now
    claim = world.claimed(owner)
    world.clock.passes(10)
    world.ledger.finish(world.saved(claim, 10))
    world.clock.passes(10)
    task, machine, now = world.task(), world.machines.read("m1"), world.clock.now
    both = Window(began, now)
    (theirs,) = machine_times(both, [], [(both, [task])], [machine], now)
    (ours,) = machine_times(both, [task], [(both, [])], [machine], now)
    assert (theirs.seconds["useful"], theirs.seconds["waiting"]) == (0, 5)
    assert (ours.seconds["useful"], ours.seconds["waiting"]) == (10, 5)


def test_claims_of_an_earlier_boot_count_as_work_alone(world):
    began = world.clock.now
    world.submit()
    claim = world.claimed(on(world))
    world.clock.passes(10)
    world.ledger.give_back(world.saved(claim, 5), "interrupted", "stop")
    world.clock.passes(300)
    world.machines.register(Identity("m1", "boot 2", "m5.xlarge", "us-east-1a"), "agent 1")
    claim = world.claimed(world.machine("m1", "boot 2"))
    world.clock.passes(8)
    world.ledger.finish(world.saved(claim, 10))
    tasks, machine, now = [world.task()], world.machines.read("m1"), world.clock.now
    times = machine_times(Window(began, now), tasks, [], [machine], now)
    assert [(time.seconds["useful"], time.all_seconds) for time in times] == [(10, 10), (8, 8)]


def test_places_of_one_machine_are_paid_once(world):
    began = world.clock.now
    world.submit(items=20, items_per_task=10)
    first = world.claimed(on(world, "i-0123"))
    world.clock.passes(10)
    world.machines.register(Identity("i-0123.1", "boot 1", "m5.xlarge", "us-east-1a", launched=began), "agent 1")
    second = world.claimed(world.machine("i-0123.1"), "000001")
    world.clock.passes(10)
    world.ledger.finish(world.saved(first, 10))
    world.clock.passes(10)
    world.ledger.finish(world.saved(second, 10))
    times = seconds(world, began)
    assert {name: time.seconds for name, time in times.items()} == {"i-0123": {"boot": 40, "waiting": 0, "useful": 30, "redone": 0, "leaving": 0}}


@pytest.mark.parametrize(
    ("kind", "reason", "spot", "lived", "free"),
    [
        ("interruption", "spot interruption: terminate", True, 3599, True),
        ("interruption", "spot interruption: terminate", True, 3601, False),
        ("interruption", "spot interruption: terminate", False, 600, False),
        ("interruption", "scheduled event: instance-stop", True, 600, False),
        ("gone", "instance state: terminated", True, 600, False),
        ("stop", "terminate lifecycle hook", True, 600, False),
    ],
)
def test_only_what_aws_takes_back_in_the_first_hour_is_free(world, kind, reason, spot, lived, free):
    launched = world.clock.now
    world.clock.passes(60)
    world.machines.register(Identity("m1", "b", "m5.xlarge", "us-east-1a", spot=spot, launched=launched), "a")
    world.clock.passes(lived - 180)
    world.machines.mark(Notice("m1", kind, world.clock.now, launched + lived, reason))
    assert not free_hour(world.machines.read("m1"), world.clock.now)
    world.clock.passes(3000)
    machine = world.machines.read("m1")
    assert lived_until(machine, world.clock.now) <= launched + max(lived, 3600)
    assert free_hour(machine, world.clock.now) is free


moments = st.floats(0, 1000)


@given(
    lives=st.lists(st.tuples(moments, moments, moments), min_size=1, max_size=3),
    held=st.lists(st.tuples(st.integers(0, 2), moments, moments, moments, st.sampled_from(["done", "interrupted", "lost"])), max_size=12),
)
def test_the_kinds_of_all_runs_together_are_every_second_of_every_machine(lives, held):
    machines = [Machine(f"m{number}", "b", "a", sorted(life)[1], sorted(life)[2], launched=sorted(life)[0]) for number, life in enumerate(lives)]
    tasks: list[list[Task]] = [[], []]
    for number, (machine, *times, how) in enumerate(held):
        if machine < len(machines):
            # Whatever is told of a machine happened in its life.
            began, saved, ended = sorted(min(max(moment, machines[machine].registered), machines[machine].beat) for moment in times)
            history = (
                {"what": "claimed", "at": began, "epoch": 1, "machine": f"m{machine}"},
                {"what": how, "at": ended, "epoch": 1, "saved": saved},
            )
            tasks[number % 2].append(Task("r", str(number), "done", 1, history=history))
    runs = [Window(0, 2000), Window(0, 2000)]
    total = 0.0
    for own in (0, 1):
        times = machine_times(runs[own], tasks[own], [(runs[1 - own], tasks[1 - own])], machines, 1e6)
        assert all(value >= 0 for time in times for value in time.seconds.values())
        total += sum(time.all_seconds for time in times)
    lived = sum(machine.beat + 20 - (machine.launched or 0) for machine in machines)
    assert total == pytest.approx(lived, abs=1e-6)
