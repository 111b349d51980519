import itertools
import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from spotbatch.handler import Handled, Handler, reminder
from spotbatch.machine import Machine
from spotbatch.notice import MalformedEvent
from spotbatch.protocols import StoreError
from spotbatch.task import Task
from tests.spotbatch.recorded import MACHINE, NAMES, SENT, recorded
from tests.spotbatch.world import RUN, World

WARNING = recorded("interruption-terminate")


@dataclass
class Group:
    """A pool that can detach; `fault` is raised instead."""

    members: set[str] = field(default_factory=lambda: {MACHINE})
    completed: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    fault: Exception | None = None

    def detach(self, machine: str) -> bool:
        if self.fault:
            raise self.fault
        was_in = machine in self.members
        self.members.discard(machine)
        return was_in

    def complete(self, machine: str, hook: dict[str, str]) -> bool:
        self.completed.append((machine, hook))
        return True


class Bench:
    """A handler over a world whose machine registered an hour before the recorded events and runs a task; its clock stands at SENT + 1."""

    def __init__(self, folder: Path) -> None:
        self.world, self.pool, self.reminders = World(folder), Group(), []
        self.handler = Handler(self.world.ledger, self.pool, lambda machine, seconds: self.reminders.append((machine, seconds)))
        self.world.submit(items=20, items_per_task=10)
        self.world.clock.now = SENT - 3600
        self.owner = self.world.machine(MACHINE)
        self.claim = self.world.saved(self.world.claimed(self.owner), 4)
        self.world.bells.rung.clear()
        self.at(SENT + 1)

    def at(self, moment: float) -> None:
        """Time passes; the agent beats."""
        self.world.clock.now = moment
        machine = self.machine
        if machine is not None and machine.boot == self.owner.boot:
            self.world.machines.beat(machine, metadata_ok=True)

    @property
    def machine(self) -> Machine:
        found = self.world.machines.read(MACHINE)
        assert found is not None
        return found

    @property
    def task(self) -> Task:
        return self.world.task()

    def told(self, message: object) -> Handled:
        return self.handler.message(message)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize("name", ["interruption-terminate", "interruption-stop", "drill"])
def test_a_warning_marks_detaches_and_reminds_of_the_deadline(bench: Bench, name: str):
    handled = bench.told(recorded(name))
    assert (bench.machine.state, bench.machine.deadline, bench.machine.kind) == ("draining", SENT + 120, "interruption")
    assert bench.pool.members == set()
    assert bench.reminders == [(MACHINE, 119)]
    assert bench.task.state == "running", "the worker still has its two minutes"
    assert (handled.notices, handled.not_ours, handled.without_drain) == (1, 0, 0)


def test_hibernation_starts_at_once_so_tasks_are_taken_back_at_once(bench: Bench):
    bench.told(recorded("interruption-hibernate"))
    assert bench.task.state == "queued"


def test_at_the_deadline_what_the_machine_held_is_queued_again_and_rung_for(bench: Bench):
    bench.told(WARNING)
    bench.at(SENT + 120)
    handled = bench.told(reminder(MACHINE))
    assert (bench.task.state, bench.task.items_done, bench.task.attempts["interrupted"]) == ("queued", 4, 1)
    assert bench.world.bells.rung == [(RUN, "000000")]
    assert handled.without_drain == 1
    assert [task.id for task in handled.requeued] == ["000000"]


def test_a_machine_that_gave_everything_back_counts_as_drained(bench: Bench):
    bench.told(WARNING)
    bench.world.ledger.give_back(bench.claim, "interrupted")
    bench.at(SENT + 120)
    assert bench.told(reminder(MACHINE)) == Handled()
    assert bench.task.attempts["interrupted"] == 1


def test_a_reminder_that_comes_early_sends_the_next_one(bench: Bench):
    bench.told(WARNING)
    bench.at(SENT + 119.5)
    bench.told(reminder(MACHINE))
    assert bench.reminders[-1] == (MACHINE, 0.5)
    assert bench.task.state == "running"


@pytest.mark.parametrize("name", ["state-shutting-down", "state-stopping"])
def test_a_machine_that_is_told_to_stop_has_time_to_give_back(bench: Bench, name: str):
    bench.told(recorded(name))
    assert (bench.machine.state, bench.task.state, bench.pool.members) == ("draining", "running", {MACHINE})
    assert bench.reminders == [(MACHINE, 59.0)]
    bench.world.ledger.give_back(bench.world.saved(bench.claim, 7), "interrupted")
    assert bench.told(recorded("state-terminated")) == Handled(notices=1)
    assert (bench.task.epoch, bench.task.items_done) == (bench.claim.epoch + 1, 7)


def test_a_machine_that_stops_for_longer_than_that_loses_its_tasks_and_nobody_is_woken(bench: Bench):
    bench.told(recorded("state-shutting-down"))
    bench.at(SENT + 60)
    assert bench.told(reminder(MACHINE)).without_drain == 0
    assert bench.task.state == "queued"


@pytest.mark.parametrize("name", ["state-terminated", "state-stopped"])
def test_a_machine_that_is_gone_loses_its_tasks_at_once(bench: Bench, name: str):
    handled = bench.told(recorded(name))
    assert bench.task.state == "queued"
    assert bench.world.bells.rung == [(RUN, "000000")]
    assert handled.without_drain == 0, "it was never announced"


def test_a_machine_that_goes_before_its_deadline_went_without_a_drain(bench: Bench):
    bench.told(WARNING)
    gone = recorded("state-terminated") | {"time": "2027-01-15T08:00:30Z"}
    bench.at(SENT + 31)
    assert bench.told(gone).without_drain == 1
    assert bench.task.state == "queued"


def test_a_rebalance_recommendation_is_recorded_and_nothing_else(bench: Bench):
    handled = bench.told(recorded("rebalance"))
    assert (bench.machine.state, bench.machine.rebalance_sent, bench.machine.deadline) == ("active", SENT, None)
    assert (bench.pool.members, bench.reminders, bench.task.state, handled.notices) == ({MACHINE}, [], "running", 1)


def test_maintenance_is_recorded_for_every_machine_that_it_names(bench: Bench):
    bench.world.clock.now = SENT - 3600
    bench.world.machine("i-00000000000000002")
    bench.at(SENT + 1)
    assert bench.told(recorded("scheduled")).notices == 2
    for machine in (MACHINE, "i-00000000000000002"):
        found = bench.world.machines.read(machine)
        assert found is not None and (found.state, found.due) == ("active", 1800717009.0)
    assert (bench.pool.members, bench.reminders) == ({MACHINE}, [])


def test_a_hook_drains_and_is_completed_at_the_deadline_at_the_latest(bench: Bench):
    bench.told(recorded("hook"))
    assert (bench.machine.state, bench.machine.kind, bench.machine.deadline) == ("draining", "stop", SENT + 120)
    assert bench.machine.hook is not None and bench.machine.hook["hook"] == "spotbatch-drain"
    assert (bench.pool.members, bench.pool.completed) == ({MACHINE}, []), "the group takes it out by itself; the worker completes"
    bench.at(SENT + 120)
    bench.told(reminder(MACHINE))
    assert bench.task.state == "queued"
    assert bench.pool.completed == [(MACHINE, bench.machine.hook)]


def test_the_hook_of_a_machine_that_never_registered_is_completed_at_once(bench: Bench):
    handled = bench.told(recorded("hook", EC2InstanceId="i-00000000000000009"))
    assert [machine for machine, _ in bench.pool.completed] == ["i-00000000000000009"]
    assert handled == Handled(not_ours=1)


@pytest.mark.parametrize("name", NAMES)
def test_an_event_of_another_machine_costs_one_read_and_no_error(bench: Bench, name: str):
    bench.world.clock.now = SENT + 1
    event = recorded(name, **{"EC2InstanceId" if name == "hook" else "instance_id": "i-00000000000000009"})
    if name == "scheduled":
        event["detail"]["affectedEntities"] = [{"entityValue": "i-00000000000000009"}]
    reads, read = [], bench.world.store.read
    bench.world.store.read = lambda key: (reads.append(key), read(key))[1]
    swaps, swap = [], bench.world.store.swap
    bench.world.store.swap = lambda record, expected: (swaps.append(record), swap(record, expected))[1]
    handled = bench.told(event)
    assert (handled.notices, handled.requeued, bench.reminders, swaps) == (0, [], [], [])
    expected = 0 if name in ("state-running", "fleet-change") else 1
    assert (len(reads), handled.not_ours) == (expected, expected)


def test_an_event_of_an_earlier_boot_changes_nothing(bench: Bench):
    bench.world.clock.now = SENT + 300
    owner = bench.world.machine(MACHINE, boot="boot 2", agent="agent 2")
    claim = bench.world.claimed(owner, "000001")
    for event in (WARNING, recorded("state-stopped"), recorded("rebalance"), reminder(MACHINE)):
        assert bench.told(event).notices == 0
    assert (bench.machine.state, bench.machine.deadline) == ("active", None)
    assert bench.world.task("000001") == claim
    assert bench.pool.members == {MACHINE}


def test_a_warning_that_comes_after_its_deadline_takes_back_at_once(bench: Bench):
    bench.at(SENT + 7200)
    bench.told(WARNING)
    assert bench.task.state == "queued"
    assert bench.reminders == []


def test_without_any_message_the_sweep_takes_back(bench: Bench):
    bench.world.clock.now = SENT + 3600
    swept, handled = bench.handler.sweep()
    assert [task.id for task in swept.requeued] == ["000000"]
    assert bench.task.attempts["lost"] == 1
    assert handled.without_drain == 0


def test_without_the_reminder_the_sweep_takes_back_and_counts_the_missing_drain(bench: Bench):
    bench.told(WARNING)
    bench.at(SENT + 121)
    assert bench.handler.sweep()[1].without_drain == 1
    assert bench.task.attempts == {"interrupted": 1, "lost": 0, "failed": 0}
    assert bench.told(reminder(MACHINE)) == Handled(), "nothing is left to be taken"


MESSAGES = [WARNING, recorded("state-shutting-down") | {"time": "2027-01-15T08:02:05Z"}, recorded("rebalance"), reminder(MACHINE)]


def outcome(folder: Path, messages: list[object]) -> tuple[object, ...]:
    bench = Bench(folder)
    bench.at(SENT + 126)
    for message in messages:
        bench.told(message)
    bench.world.bells.rung.clear()
    machine = bench.machine
    return (
        machine.state,
        machine.deadline,
        machine.kind,
        machine.rebalance_sent,
        machine.notice_sent,
        bench.task.state,
        bench.task.attempts,
        bench.pool.members,
    )


def test_doubled_and_in_any_order_messages_lead_to_the_same_state(tmp_path: Path):
    expected = outcome(tmp_path, MESSAGES)
    assert expected[:3] == ("draining", SENT + 120, "interruption")
    rng = random.Random(1)
    for order in itertools.permutations(MESSAGES):
        again = [*order, *rng.sample(MESSAGES, 4), *order]
        assert outcome(tmp_path, again) == expected


def test_a_pool_that_cannot_be_reached_is_an_error_and_the_rest_is_done(bench: Bench):
    bench.pool.fault = StoreError("permission missing: allow autoscaling:DetachInstances on group workers")
    with pytest.raises(StoreError, match="DetachInstances"):
        bench.told(WARNING)
    assert bench.machine.state == "draining"
    assert bench.reminders == [(MACHINE, 119)]
    bench.pool.fault = None
    bench.told(WARNING)
    assert bench.pool.members == set()


def test_a_machine_with_a_damaged_record_holds_up_no_other_of_the_same_event(bench: Bench):
    bench.world.clock.now = SENT - 3600
    bench.world.machine("i-00000000000000002")
    record = bench.world.store.read(f"machine/{MACHINE}")
    assert record is not None
    bench.world.store.swap({**record, "condition": "on fire", "version": record["version"] + 1}, record["version"])
    with pytest.raises(ValueError, match="on fire"):
        bench.told(recorded("scheduled"))
    other = bench.world.machines.read("i-00000000000000002")
    assert other is not None and other.due == 1800717009.0


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ("text", "event: 'text' is not an object"),
        ([], "event"),
        (None, "event"),
        ({"spotbatch": "dance"}, "spotbatch: 'dance'"),
        ({"spotbatch": "deadline"}, "machine: None"),
        ({"spotbatch": "deadline", "machine": 7}, "machine: 7"),
        ({**WARNING, "time": "now"}, "time: 'now'"),
        ({**WARNING, "detail": {}}, "detail.instance-action: missing"),
        ({**WARNING, "detail": None}, "detail.instance-action: missing"),
        ({**WARNING, "detail": {"instance-id": "i-1", "instance-action": "nap"}}, "detail.instance-action: 'nap'"),
        ({**WARNING, "detail": {"instance-id": 7, "instance-action": "stop"}}, "detail.instance-id: 7"),
    ],
)
def test_a_malformed_message_names_the_field_and_its_value(bench: Bench, message: object, named: str):
    with pytest.raises(MalformedEvent) as fault:
        bench.told(message)
    assert str(fault.value).startswith(named)


@pytest.mark.parametrize("message", [{}, {"source": 7}, {"source": ["aws.ec2"], "detail-type": {}}, {"source": "aws.ec2"}])
def test_an_object_that_is_no_event_of_ours_is_none_of_our_business(bench: Bench, message: object):
    assert bench.told(message) == Handled()
