"""An agent's decisions, without its processes."""

from dataclasses import replace
from pathlib import Path

import pytest

from spotbatch.agent import AFTERLIFE_SECONDS, Agent
from spotbatch.clouds.local import LocalHost
from spotbatch.drain import MARGIN_SECONDS, margin
from spotbatch.notice import Kind, Notice
from spotbatch.program import Program
from spotbatch.program_agent import OUTLIVED_SECONDS, ProgramAgent
from spotbatch.protocols import Identity
from spotbatch.sole_agent import AnotherAgent


class NoWayDown(LocalHost):
    """A machine, or a container, that cannot power itself off."""

    tries = 0

    def shut_down(self) -> None:
        self.tries += 1
        raise FileNotFoundError("shutdown")


@pytest.fixture
def host() -> NoWayDown:
    return NoWayDown()


def test_an_agent_that_cannot_power_its_machine_off_leaves_it_to_the_service_manager(tmp_path: Path, host: NoWayDown):
    agent = Agent(f"local:{tmp_path}", "job:Job", host)
    now = agent.ledger.store.now()
    agent.hear(Notice(agent.identity.machine, "interruption", now - 120, now, "spot interruption: terminate"))
    agent._lead_out(agent.board.board.deadline + AFTERLIFE_SECONDS - 1)
    assert host.tries == 0
    agent._lead_out(agent.board.board.deadline + AFTERLIFE_SECONDS + 1)
    assert host.tries == 1 and agent.stranded


def test_a_second_agent_of_a_machine_is_refused_before_it_takes_the_record(tmp_path: Path, host: NoWayDown):
    first = Agent(f"local:{tmp_path}", "job:Job", host)
    with pytest.raises(AnotherAgent, match=r"another agent works on local:.* here already"):
        Agent(f"local:{tmp_path}", "job:Job", host)
    record = first.ledger.machines.read(first.identity.machine)
    assert record is not None and record.agent == first.id
    Agent(f"local:{tmp_path / 'other'}", "job:Job", host)


def test_a_clock_that_is_ahead_takes_nothing_from_the_time_that_saving_needs(tmp_path: Path, host: NoWayDown):
    agent = Agent(f"local:{tmp_path}", "job:Job", host)
    now = agent.ledger.store.now()
    agent.hear(Notice(agent.identity.machine, "interruption", now + 300, now + 120, "spot interruption: terminate"))
    assert agent.notice is not None and margin(agent.notice) == MARGIN_SECONDS


class Spot(NoWayDown):
    def identity(self) -> Identity:
        return replace(super().identity(), spot=True)


def drained(folder: Path, host: LocalHost, kind: Kind) -> ProgramAgent:
    program = ProgramAgent(f"local:{folder}", Program("run", ["true"], str(folder / "kept")), host, 60)
    now = program.ledger.store.now()
    program.hear(Notice(program.identity.machine, kind, now, now + 120, "why"))
    program._lead_out(program.clock())
    return program


def test_an_interrupted_program_stays_on_a_spot_machine_until_a_minute_after_its_deadline(tmp_path: Path):
    agent = drained(tmp_path, Spot(), "interruption")
    agent._lead_out(agent.board.board.deadline + OUTLIVED_SECONDS - 1)
    assert not agent._terminated
    agent._lead_out(agent.board.board.deadline + OUTLIVED_SECONDS + 1)
    assert agent._terminated


def test_an_interrupted_program_ends_at_once_where_nobody_takes_the_machine(tmp_path: Path, host: NoWayDown):
    assert drained(tmp_path / "stopped", Spot(), "stop")._terminated
    assert drained(tmp_path / "local", host, "interruption")._terminated
