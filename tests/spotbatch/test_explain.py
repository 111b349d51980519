import pytest

from spotbatch.claim_story import claims
from spotbatch.tools.explain import lines
from tests.spotbatch.machines import Machines


@pytest.fixture
def told(world):
    """A task that was given back after a save, lost 30 s after a save, failed without one, and then done."""
    world.submit()
    clock, ledger = world.clock, world.ledger
    clock.passes(5)
    claim = world.claimed(world.machine("m1"))
    clock.passes(20)
    ledger.give_back(world.saved(claim, 4), "interrupted", "notice")
    clock.passes(7)
    claim = world.claimed(world.machine("m2"))
    clock.passes(10)
    world.saved(claim, 6)
    clock.passes(30)
    ledger.take_from(world.task(), "lost", "the machine has been silent for 30 s")
    claim = world.claimed(world.machine("m3"))
    clock.passes(3)
    ledger.fail(claim, "ValueError: bad pixel")
    claim = world.claimed(world.machine("m4"))
    clock.passes(8)
    ledger.finish(world.saved(claim, 10))
    return world.task()


def test_each_claim_is_told_with_machine_items_wait_and_end(told):
    stories = claims(told)
    assert [(story.machine, story.how) for story in stories] == [("m1", "interrupted"), ("m2", "lost"), ("m3", "failed"), ("m4", "done")]
    assert [(story.items_before, story.items_after) for story in stories] == [(0, 4), (4, 6), (6, 6), (6, 10)]
    assert [story.waited for story in stories] == [5, 7, 0, 0]


def test_an_early_end_costs_what_was_done_since_the_last_checkpoint(told):
    assert [story.unsaved for story in claims(told)] == [0, 30, 3, 0]


def test_the_story_ends_with_a_sum(told, world):
    story = lines(told, world.clock.now)
    assert story[0].startswith("task 000000 of run run: done, 10 of 10 items")
    assert any("lost (the machine has been silent for 30 s)" in line for line in story)
    assert story[-1] == (
        "in all: 4 claims, 3 ended early (1 interrupted, 1 lost, 1 failed): 33.0 s of work at most done again, 7.0 s waiting for the next"
    )


def test_each_early_end_tells_what_it_cost_in_work_and_in_waiting(told, world):
    costs = [line.strip() for line in lines(told, world.clock.now) if line.startswith("  cost")]
    assert costs == [
        "cost: 0.0 s of work at most is done again, 7.0 s until the next claim",
        "cost: 30.0 s of work at most is done again, 0.0 s until the next claim",
        "cost: 3.0 s of work at most is done again, 0.0 s until the next claim",
    ]


def test_a_task_that_still_waits_says_so(world):
    world.submit()
    world.ledger.give_back(world.claimed(), "interrupted", "notice")
    world.clock.passes(12)
    assert "  cost: 0.0 s of work at most is done again, 12.0 s and nobody has claimed it since" in lines(world.task(), world.clock.now)


def test_a_task_that_nobody_has_claimed_is_told_so(world):
    world.submit()
    assert "nobody has claimed it yet" in lines(world.task(), world.clock.now)


def test_the_command_line_takes_a_short_number_and_names_what_is_not_there(tmp_path):
    machines = Machines(tmp_path)
    machines.submit(items=4, items_per_task=2)
    assert machines.command("explain", "1", "--run", "run").startswith("task 000001 of run run: queued, 0 of 2 items")
    assert "task '9' is not known in run 'run', which has 000000, 000001" in machines.command("explain", "9", "--run", "run", status=2)
    assert "'other' is not known" in machines.command("explain", "0", "--run", "other", status=2)
    machines.close()
