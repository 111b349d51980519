"""What an agent does about claims that name it, without its processes."""

import time
from pathlib import Path

import pytest

from spotbatch.agent import Agent
from spotbatch.clouds.local import LocalHost
from spotbatch.ledger import Ledger
from spotbatch.owner import Owner
from spotbatch.submit import Submission, submit
from spotbatch.task import Task

RUN = "run"


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    """An agent that has just registered, and a queue with two tasks."""
    made = Agent(f"local:{tmp_path}", "job:Job", LocalHost())
    list(submit(made.ledger, Submission.read([b"0", b"1"], 1, RUN)))
    return made


def claimed(agent: Agent, task: str = "000000") -> Task:
    """A claim of a process of this agent that is not alive."""
    return agent.ledger.claim(RUN, task, Owner(agent.identity.machine, agent.identity.boot, agent.id, "gone"))


def state(ledger: Ledger, task: str = "000000") -> str:
    found = ledger.task(RUN, task)
    assert found is not None
    return found.state


def test_a_claim_that_lands_after_its_process_has_died_is_taken_back_at_the_next_beat(agent: Agent):
    agent._beat(time.monotonic())
    claimed(agent)
    agent._beat(time.monotonic())
    assert state(agent.ledger) == "queued"


def test_an_agent_whose_record_is_gone_goes_on_under_another_id(agent: Agent):
    former, record = agent.id, agent.ledger.store.read(f"machine/{agent.identity.machine}")
    assert record is not None
    claimed(agent)
    agent.ledger.store.remove(record["key"], record["version"])
    agent._beat(time.monotonic())
    agent._beat(time.monotonic())
    registered = agent.ledger.machines.read(agent.identity.machine)
    assert registered is not None and registered.agent == agent.id != former
    assert state(agent.ledger) == "queued"


def test_a_record_that_nobody_understands_holds_up_no_other_claim_that_is_taken_back(agent: Agent):
    for task in ("000000", "000001"):
        claimed(agent, task)
    record = agent.ledger.store.read(f"task/{RUN}/000000")
    assert record is not None
    agent.ledger.store.swap({**record, "epoch": "many", "version": record["version"] + 1}, record["version"])
    agent._beat(time.monotonic())
    assert state(agent.ledger, "000001") == "queued"
