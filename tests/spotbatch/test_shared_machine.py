"""Several programs on one machine, in places of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from spotbatch import sole_agent
from spotbatch.clouds.local import LocalHost
from spotbatch.notice import Notice
from spotbatch.program import Program
from spotbatch.program_agent import ProgramAgent
from spotbatch.protocols import Identity, StoreError
from spotbatch.registry import CLOCK_MARGIN
from spotbatch.shared_machine import PLACES, SharedMachine
from spotbatch.sole_agent import AnotherAgent
from tests.spotbatch.world import World


class Machine(LocalHost):
    def __init__(self) -> None:
        self.hooks = 0

    def identity(self) -> Identity:
        return Identity("i-1", "boot 1")

    def complete_hook(self) -> None:
        self.hooks += 1


class Blind(Machine):
    def notices(self) -> Iterator[Notice]:
        raise OSError("no metadata")


class Warned(Machine):
    def __init__(self, notice: Notice) -> None:
        super().__init__()
        self.notice = notice

    def notices(self) -> Iterator[Notice]:
        yield self.notice


def test_every_place_but_the_first_hears_what_is_marked_on_the_machine(world: World):
    world.machine("i-1", "boot 1")
    world.clock.passes(CLOCK_MARGIN)
    first, second = (SharedMachine(Machine(), "queue", world.machines, place) for place in (0, 1))
    assert [first.identity().machine, second.identity().machine] == ["i-1", "i-1.1"]
    world.machines.mark(Notice("i-1", "interruption", world.clock.now, world.clock.now + 120, "why"))
    # The agent in the first place reads this record anyway.
    assert list(first.notices()) == []
    assert [(notice.kind, notice.deadline) for notice in second.notices()] == [("interruption", world.clock.now + 120)]


def test_metadata_and_ledger_are_heard_when_the_other_cannot_be_asked(world: World):
    world.machine("i-1", "boot 1")
    world.clock.passes(CLOCK_MARGIN)
    notice = Notice("i-1", "interruption", world.clock.now, world.clock.now + 120, "why")
    world.machines.mark(notice)

    def heard(host: Machine) -> list[str]:
        seen: list[str] = []
        with pytest.raises((OSError, StoreError)):
            seen.extend(notice.kind for notice in SharedMachine(host, "queue", world.machines, 1).notices())
        return seen

    assert heard(Blind()) == ["interruption"]
    world.store.unreadable = 1
    assert heard(Warned(notice)) == ["interruption"]


def test_a_mark_on_an_earlier_boot_is_not_heard(world: World):
    world.machine("i-1", "boot 0")
    world.clock.passes(CLOCK_MARGIN)
    world.machines.mark(Notice("i-1", "interruption", world.clock.now, world.clock.now + 120, "why"))
    assert list(SharedMachine(Machine(), "queue", world.machines, 1).notices()) == []


def test_the_last_to_leave_completes_the_hook(world: World, tmp_path: Path):
    host, queue = Machine(), f"local:{tmp_path}"
    first, second = (SharedMachine(host, queue, world.machines, place) for place in (0, 1))
    sole_agent.hold(queue, "i-1.1")
    first.complete_hook()
    assert host.hooks == 0
    second.complete_hook()
    assert host.hooks == 1


def test_the_first_free_place_is_taken_and_a_full_machine_is_said_to_be_full(world: World, tmp_path: Path):
    queue, program = f"local:{tmp_path}", Program("run", ["true"], str(tmp_path / "kept"))
    agents = [ProgramAgent.beside_others(queue, program, Machine(), 60, world.machines) for _ in range(2)]
    assert [agent.identity.machine for agent in agents] == ["i-1", "i-1.1"]
    for place in range(2, PLACES):
        sole_agent.hold(queue, f"i-1.{place}")
    with pytest.raises(AnotherAgent, match=r"64 agents work on local:.* on this machine already"):
        ProgramAgent.beside_others(queue, program, Machine(), 60, world.machines)
