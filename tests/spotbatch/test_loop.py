"""Loops in the job's own hands, as real processes that are killed and told to stop."""

import random
import re
import time
from collections import Counter
from pathlib import Path

import pytest

from spotbatch.ledger import INLINE_BYTES, MERGE_AT
from spotbatch.loop import Loop, WrongOrder
from spotbatch.loop_job import LoopJob
from spotbatch.process import BadJob, load
from spotbatch.runner import OutOfTime
from spotbatch.signal_board import DRAIN, REBALANCE, SignalBoard
from spotbatch.submit import results
from spotbatch.task import items_key
from tests.spotbatch.clock import wait_until
from tests.spotbatch.machines import Machines
from tests.spotbatch.world import RUN, World


@pytest.fixture
def machines(tmp_path):
    made = Machines(tmp_path)
    yield made
    made.close()


def logged(machines) -> Counter[int]:
    return Counter(int(line) for line in machines.log.read_text().split()) if machines.log.exists() else Counter()


def squares(count: int) -> list[dict]:
    return [{"item": n, "square": n * n} for n in range(count)]


def test_a_loop_does_every_item_once_and_its_results_are_kept(machines):
    machines.submit(items=50, items_per_task=20)
    assert machines.ended(machines.start("loops:squares", "--processes", "2", "--until-empty")) == 0
    assert machines.results() == squares(50) and logged(machines) == Counter(range(50))


def test_kill_9_at_random_moments_loses_no_item_and_redoes_what_no_checkpoint_covers(machines):
    machines.environment["JOB_SECONDS"] = "0.03"
    machines.submit(items=500, items_per_task=250)
    chance = random.Random(11)
    for kill in range(4):
        before = logged(machines).total()
        agent = machines.start("loops:squares", "--processes", "2")
        wait_until(lambda before=before: logged(machines).total() > before, 30, what="items done")
        if kill == 0:
            wait_until(lambda: any(event["event"] == "checkpoint durable" for event in machines.events()), 30, what="a checkpoint")
        time.sleep(chance.uniform(0.0, 0.5))
        agent.kill()
        agent.wait()
    assert machines.ended(machines.start("loops:squares", "--processes", "2", "--until-empty")) == 0
    assert machines.results() == squares(500)
    assert set(logged(machines)) == set(range(500))
    assert any(event["event"] == "task resumed" for event in machines.events())


@pytest.mark.parametrize("job", ["squares", "batches"])
def test_sigterm_ends_the_loop_between_items_and_nothing_is_done_twice(machines, job):
    machines.environment["JOB_SECONDS"] = "0.02"
    machines.submit(items=300, items_per_task=300)
    agent = machines.start(f"loops:{job}")
    wait_until(lambda: len(logged(machines)) > 20, what="items done")
    agent.terminate()
    assert machines.ended(agent, 10) == 143
    assert machines.status()["items"]["done"] == len(logged(machines)) > 20
    assert machines.ended(machines.start(f"loops:{job}", "--until-empty")) == 0
    assert logged(machines) == Counter(range(300)) and len(machines.results()) == 300


def test_a_loop_that_leaves_a_task_raises_or_gets_the_order_wrong_fails_that_task_only(machines):
    machines.submit(items=60, items_per_task=10)
    assert machines.ended(machines.start("loops:faulty", "--until-empty"), 60) == 0
    status = machines.status()
    assert status["tasks"] == {"queued": 0, "running": 0, "done": 2, "dead": 4} and status["items"] == {"total": 60, "done": 20 + 4 * 5}
    told = machines.command("status", "run")
    assert all(part in told for part in ("left the task with 5 of its 10 items done", "bad pixel", "the turn is 35's", "what JSON can hold")), told


@pytest.mark.parametrize(("job", "why"), [("idle", "it returned without asking for a task"), ("unready", "no model file")])
def test_a_loop_that_asks_for_no_task_touches_none_and_ends_its_agent(machines, job, why):
    machines.submit(items=10, items_per_task=10)
    assert machines.ended(machines.start(f"loops:{job}"), 30) == 70
    assert machines.status()["tasks"]["queued"] == 1
    assert any(why in event.get("error", "") for event in machines.events())


# In this process, on a ledger that the test changes meanwhile.


def follow(world: World, function, claims: int = 1) -> SignalBoard:
    """One call of the loop over claims made one by one."""
    board = SignalBoard.make(1)
    owner = world.machine()
    loop = Loop(world.ledger, LoopJob.of(lambda worker: function(worker, board), "Job")(), board, 0)
    loop.follow(world.claimed(owner, f"{number:06d}") for number in range(claims))
    return board


def square_all(worker, board):
    for task in worker.tasks():
        for item in worker.items(task):
            worker.done(item, item * item)


def test_an_item_that_outlasts_the_notice_is_cut_short_and_what_was_done_before_is_kept(world):
    world.submit(10)

    def loop(worker, board):
        for task in worker.tasks():
            for item in worker.items(task):
                if item == 4:
                    board.board.level = DRAIN
                    assert worker.in_item
                    raise OutOfTime
                worker.done(item, item)

    follow(world, loop)
    assert (world.task().state, world.task().items_done) == ("queued", 4)
    assert world.task().attempts == {"interrupted": 1, "lost": 0, "failed": 0}


def test_a_fenced_loop_ends_its_task_changes_nothing_and_goes_on_with_the_next(world):
    world.submit(20)
    seen = []

    def loop(worker, board):
        for task in worker.tasks():
            for item in worker.items(task):
                seen.append(item)
                if item == 4:
                    world.ledger.take_from(world.task(), "lost", "taken over")
                    board.board.level = REBALANCE
                worker.done(item, item)

    follow(world, loop, claims=2)
    assert seen == [*range(5), *range(10, 20)]
    assert (world.task().state, world.task().items_done, world.task("000001").state) == ("queued", 0, "done")


def test_what_the_loop_says_in_the_wrong_order_is_refused(world):
    world.submit(20)

    def loop(worker, board):
        first, second = None, None
        for task in worker.tasks():
            first, second = first or task, task
            for item in worker.items(task):
                with pytest.raises(WrongOrder, match=r"none is waiting|the turn is"):
                    worker.done("another")
                worker.done(item)
                with pytest.raises(WrongOrder, match="none is waiting"):
                    worker.done(item)
        assert first is not second
        with pytest.raises(WrongOrder, match="is not the task that `tasks` gave last"):
            next(worker.items(first))

    follow(world, loop, claims=2)
    assert [world.task(name).state for name in ("000000", "000001")] == ["done", "done"]


def test_a_name_that_is_neither_class_nor_function_is_refused():
    with pytest.raises(BadJob, match=r"LOG is absent; tests.spotbatch.jobs.loops has log, squares, batches, finish, faulty, idle, unready"):
        load("tests.spotbatch.jobs.loops:LOG")


@pytest.mark.parametrize("program", re.findall(r"```python\n(.*?)```", (Path(__file__).parents[2] / "docs/own-loop.md").read_text(), re.S))
def test_the_loops_of_the_page_run_as_shown(world, program):
    world.submit(70, items_per_task=70)
    shown: dict = {"len": lambda item: item}
    exec(program, shown)
    follow(world, lambda worker, board: shown["main"](worker))
    assert list(results(world.ledger, RUN)) == [f'{{"size":{number}}}' for number in range(70)]
    assert world.task().state == "done"


def test_a_task_that_cannot_begin_is_failed_and_the_next_goes_on(world):
    world.submit(20)
    (world.payloads.folder / items_key(RUN, "000000")).unlink()
    follow(world, square_all, claims=2)
    assert (world.task().state, world.task().attempts["failed"], world.task("000001").state) == ("queued", 1, "done")


def test_a_payload_that_rots_before_it_is_merged_costs_its_items_and_no_failure(world):
    world.submit(MERGE_AT + 10, items_per_task=MERGE_AT + 10)
    claim = world.claimed()
    for end in range(1, MERGE_AT + 1):
        claim = world.saved(claim, end, b"x" * 2 * INLINE_BYTES)
    world.ledger.give_back(claim, "interrupted")

    def loop(worker, board):
        for task in worker.tasks():
            for item in worker.items(task):
                world.damage(world.task().checkpoints[30].key)
                worker.done(item, item)

    follow(world, loop)
    assert (world.task().state, world.task().items_done) == ("queued", 30)
    assert world.task().attempts == {"interrupted": 1, "lost": 1, "failed": 0}
