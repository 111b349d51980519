"""Google Cloud's audit log entries, as a log sink hands them on: what they mean, and what the handler makes of them."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from spotbatch.handler import Handler
from spotbatch.notice import MalformedEvent, Notice, parse_event
from spotbatch.protocols import Identity
from tests.spotbatch.test_handler import Group
from tests.spotbatch.world import World

FOLDER = Path(__file__).with_name("audit_entries")
VM = "4520031799277581759"
SENT = 1_785_834_753.0
"""2026-08-04T09:12:33Z"""


def entry(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.json").read_text())


EXPECTED: dict[str, list[Notice]] = {
    "preempted": [Notice(VM, "interruption", SENT, None, "preempted")],
    "host-error": [Notice(VM, "gone", SENT, SENT, "instance state: compute.instances.hostError")],
    "guest-terminate": [Notice(VM, "gone", SENT, SENT, "instance state: compute.instances.guestTerminate")],
    "host-maintenance": [Notice(VM, "gone", SENT, SENT, "instance state: compute.instances.terminateOnHostMaintenance")],
    "automatic-restart": [],
}


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.json")))
def test_each_entry_means_what_it_says(name: str):
    assert parse_event(entry(name)) == EXPECTED[name]


@pytest.mark.parametrize("payload", [None, [], "text", {}, {"methodName": 7}, {"methodName": "v1.compute.instances.insert"}])
def test_an_entry_of_another_kind_is_no_business_of_ours(payload: Any):
    assert parse_event({**entry("preempted"), "protoPayload": payload}) == []


@pytest.mark.parametrize("resource", [None, {}, {"labels": None}, {"labels": {}}, {"labels": {"instance_id": "worker-x7k2"}}])
def test_an_entry_that_names_no_machine_is_malformed_and_says_so(resource: Any):
    with pytest.raises(MalformedEvent, match=r"^resource\.labels\.instance_id: "):
        parse_event({**entry("preempted"), "resource": resource})


@pytest.mark.parametrize("moment", [None, 7, "yesterday"])
def test_an_entry_without_a_time_is_malformed_and_says_so(moment: Any):
    with pytest.raises(MalformedEvent, match=r"^timestamp: "):
        parse_event({**entry("preempted"), "timestamp": moment})


class Bench:
    """A machine that registered an hour before the entry, with a notice of so many seconds, and runs a task."""

    def __init__(self, world: World, notice_seconds: float) -> None:
        self.world, self.reminders = world, []
        world.submit()
        world.clock.now = SENT - 3600
        self.identity = Identity(VM, "boot 1", notice_seconds=notice_seconds)
        owner = world.machine(VM)
        world.machines.register(self.identity, "agent 1")
        self.claim = world.claimed(owner)
        world.clock.now = SENT + 1
        self.handler = Handler(world.ledger, Group({VM}), lambda machine, seconds: self.reminders.append((machine, seconds)))


@pytest.mark.parametrize("notice_seconds", [30.0, 120.0])
def test_a_preempted_machine_has_until_the_end_of_the_notice_that_it_knows_of(world: World, notice_seconds: float):
    bench = Bench(world, notice_seconds)
    bench.handler.message(entry("preempted"))
    machine = world.registered(VM)
    assert machine is not None and (machine.state, machine.deadline) == ("draining", SENT + notice_seconds)
    assert bench.reminders == [(VM, notice_seconds - 1)]
    assert world.task().state == "running"
    world.clock.now = SENT + notice_seconds
    bench.handler.message(copy.deepcopy(entry("preempted")))
    assert world.task().state == "queued" and world.task().attempts["interrupted"] == 1


def test_a_machine_that_came_back_under_a_new_boot_is_not_drained_by_a_late_entry(world: World):
    bench = Bench(world, 30.0)
    world.clock.now = SENT + 60
    world.machines.register(Identity(VM, "boot 2", notice_seconds=30.0), "agent 2")
    assert bench.handler.message(entry("preempted")).not_ours == 1
    machine = world.registered(VM)
    assert machine is not None and machine.state == "active"


def test_a_machine_whose_host_failed_is_reaped_at_once(world: World):
    Bench(world, 30.0).handler.message(entry("host-error"))
    assert world.task().state == "queued"
