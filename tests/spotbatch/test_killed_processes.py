"""Real processes, killed as a cloud kills them. Loss and doubling are counted from the log that the job itself writes."""

import contextlib
import os
import random
import signal
import time
from collections import Counter

import pytest

from spotbatch.clouds import connect
from spotbatch.notice import Notice
from spotbatch.registry import Registry
from tests.spotbatch.clock import wait_until
from tests.spotbatch.machines import Machines, alive, processes_of


@pytest.fixture
def machines(tmp_path):
    made = Machines(tmp_path)
    yield made
    made.close()


def counted(machines):
    return Counter(int(line) for line in machines.log.read_text().split())


def ended(machines) -> tuple[dict, dict]:
    status = machines.status()
    return status["tasks"], status["items"]


def test_kill_9_of_every_process_at_random_points_with_no_notice_loses_nothing(machines):
    chance = random.Random(3)
    machines.environment["JOB_SECONDS"] = "0.1"
    machines.submit(items=400, items_per_task=40)
    agents = [machines.start("counted:Counted", "--processes", "2") for _ in range(3)]
    for _ in range(12):
        time.sleep(chance.uniform(0.2, 0.7))
        at = chance.randrange(3)
        if chance.random() < 0.5 and (children := processes_of(agents[at].pid)):
            os.kill(chance.choice(children), signal.SIGKILL)
        else:
            agents[at].kill()
            agents[at].wait()
            agents[at] = machines.start("counted:Counted", "--processes", "2")
    last = machines.start("counted:Counted", "--processes", "2", "--until-empty")
    for agent in agents:
        agent.kill()
    # A crash of a worker on a living machine counts as a failure: three kills of one task are its end, until somebody retries.
    while machines.ended(last) == 0 and machines.status()["tasks"]["dead"]:
        machines.command("retry", "run", "--dead")
        last = machines.start("counted:Counted", "--processes", "2", "--until-empty")
    assert ended(machines) == ({"queued": 0, "running": 0, "done": 10, "dead": 0}, {"total": 400, "done": 400})
    assert set(counted(machines)) == set(range(400))
    assert machines.results() == [{"item": n, "square": n * n} for n in range(400)]
    done = Counter(event["task"] for event in machines.events() if event["event"] == "task done")
    assert set(done.values()) == {1} and len(done) == 10


def test_a_stateful_job_ends_at_the_same_state_whenever_it_was_killed(machines):
    machines.submit(items=120, items_per_task=120)
    chance = random.Random(5)
    for _ in range(5):
        agent = machines.start("counted:Running")
        time.sleep(chance.uniform(0.4, 1.2))
        agent.kill()
        agent.wait()
    assert machines.ended(machines.start("counted:Running", "--until-empty")) == 0
    assert machines.results() == [sum(range(n + 1)) for n in range(120)]


def test_sigterm_drains_gives_back_within_a_second_and_nothing_runs_twice(machines):
    machines.environment["JOB_SECONDS"] = "0.02"
    machines.submit(items=300, items_per_task=100)
    agent = machines.start("counted:Counted", "--processes", "2")
    wait_until(lambda: machines.log.exists() and len(counted(machines)) > 20, what="items done")
    agent.terminate()
    assert machines.ended(agent, 10) == 143
    assert machines.status()["tasks"]["queued"] == 3
    heard = next(event["t"] for event in machines.events() if event["event"] == "notice")
    back = [event["t"] for event in machines.events() if event["event"] == "given back"]
    assert len(back) == 2 and max(back) - heard < 1
    assert machines.ended(machines.start("counted:Counted", "--processes", "2", "--until-empty")) == 0
    assert counted(machines) == Counter(range(300))
    assert not any(event["event"] in ("task failed", "fenced") for event in machines.events())


def test_the_handlers_mark_drains_a_machine_that_then_stays_and_takes_nothing(machines):
    machines.environment["JOB_SECONDS"] = "0.05"
    machines.submit(items=600, items_per_task=200)
    agent = machines.start("counted:Counted", "--processes", "2")
    wait_until(lambda: machines.log.exists() and len(counted(machines)) > 10, what="items done")
    registry = Registry(connect(machines.queue).store)
    name = next(event["machine"] for event in machines.events() if event["event"] == "agent started")
    now = time.time()
    marked = registry.mark(Notice(name, "interruption", now, now + 120, "spot interruption: terminate"))
    assert marked is not None and marked.state == "draining"
    wait_until(lambda: any(event["event"] == "drained" for event in machines.events()), 15, "drained")
    back = [event["t"] for event in machines.events() if event["event"] == "given back"]
    assert len(back) == 2 and max(back) - now < 3 + 2
    assert machines.status()["tasks"] == {"queued": 3, "running": 0, "done": 0, "dead": 0}
    known = registry.read(name)
    assert agent.poll() is None and known is not None and known.drained
    agent.terminate()
    assert machines.ended(agent, 10) == 143


def test_workers_end_with_their_agent(machines):
    machines.submit(items=1000, items_per_task=1000)
    agent = machines.start("counted:Counted", "--processes", "2")
    wait_until(lambda: len(processes_of(agent.pid)) == 2 and machines.log.exists(), what="two workers at work")
    workers = processes_of(agent.pid)
    agent.kill()
    agent.wait()
    wait_until(lambda: not any(map(alive, workers)), 5, "the workers' end")


def test_a_worker_that_slept_past_its_lease_finds_itself_fenced(machines):
    machines.submit(items=60, items_per_task=60)
    agent = machines.start("counted:Counted")
    wait_until(lambda: machines.log.exists() and len(counted(machines)) > 12, what="items done")
    frozen = [agent.pid, *processes_of(agent.pid)]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    assert machines.ended(machines.start("counted:Counted", "--until-empty")) == 0
    before = machines.results()
    for pid in frozen:
        # One that woke may have ended the next by now.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    wait_until(lambda: any(event["event"] in ("fenced", "worker process ended") for event in machines.events()), 15, "the sleeper's end")
    assert machines.results() == before == [{"item": n, "square": n * n} for n in range(60)]
    assert machines.status()["tasks"] == {"queued": 0, "running": 0, "done": 1, "dead": 0}


def test_an_agent_that_is_frozen_while_its_worker_runs_ends_that_worker(machines):
    machines.submit(items=4000, items_per_task=4000)
    agent = machines.start("counted:Counted")
    wait_until(lambda: machines.log.exists() and bool(processes_of(agent.pid)), what="a worker at work")
    (worker,) = processes_of(agent.pid)
    os.kill(agent.pid, signal.SIGSTOP)
    wait_until(lambda: not alive(worker), 15, "the worker's end")


def test_a_crash_an_exception_a_hang_and_a_bad_result_end_three_times_and_hold_up_no_other_task(machines):
    machines.submit(items=50, items_per_task=10)
    assert machines.ended(machines.start("counted:Faulty", "--processes", "2", "--until-empty"), 100) == 0
    assert ended(machines) == ({"queued": 0, "running": 0, "done": 1, "dead": 4}, {"total": 50, "done": 10 + 14})
    told = machines.command("status", "run")
    assert "signal 11 (SIGSEGV)" in told and "bad pixel" in told and "item_seconds_max, 1 s" in told and "what JSON can hold" in told


def test_a_worker_leaves_tasks_that_were_submitted_for_another_job_and_says_so(machines):
    items = machines.folder / "items.jsonl"
    items.write_text("1\n2\n")
    machines.command("submit", "--items", str(items), "--items-per-task", "1", "--run", "run", "--job", "counted:Running")
    assert machines.ended(machines.start("counted:Counted", "--until-empty")) == 0
    told = [event["why"] for event in machines.events() if event["event"] == "task of another job"]
    assert len(told) == 1 and told[0].endswith("was submitted for 'counted:Running', this worker runs 'counted:Counted'")
    assert machines.ended(machines.start("counted:Running", "--until-empty")) == 0
    assert machines.results() == [1, 2]


def test_a_job_that_can_not_start_touches_no_task_and_ends_its_agent(machines):
    machines.submit(items=10, items_per_task=10)
    assert machines.ended(machines.start("counted:Unready"), 30) == 70
    assert machines.status()["tasks"]["queued"] == 1
    assert any("no model file" in event.get("error", "") for event in machines.events())
