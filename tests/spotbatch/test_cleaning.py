import json

import pytest

from spotbatch.cleaning import Unfinished, clean, remove
from tests.spotbatch.world import RUN

LONG = json.dumps("x" * 2000)


def test_a_payload_of_the_present_claim_stays_though_nobody_names_it_yet(world):
    world.submit()
    claim = world.claimed()
    world.payloads.put("runs/run/tasks/000000/000001-000000-abc", b"written, and its worker fell asleep before the swap")
    world.clock.passes(86_400)
    assert clean(world.ledger, world.task()) == 0
    world.ledger.give_back(claim, "interrupted")
    assert clean(world.ledger, world.task()) == 1


def test_what_the_record_names_stays_whatever_its_epoch(world):
    world.submit()
    owner = world.machine()
    world.ledger.give_back(world.saved(world.claimed(owner), 5, text=LONG), "interrupted")
    claim = world.saved(world.claimed(owner), 10, text=LONG)
    assert clean(world.ledger, claim) == 0
    assert clean(world.ledger, world.ledger.finish(claim)) == 0
    assert len(list(world.payloads.keys("runs/run/tasks/"))) == 2


def test_a_dead_tasks_stale_record_removes_nothing_of_the_retry(world):
    world.submit()
    owner = world.machine()
    for _ in range(3):
        world.ledger.fail(world.claimed(owner), "Traceback")
    dead = world.task()
    world.ledger.revive(dead)
    claim = world.saved(world.claimed(owner), 10, text=LONG)
    assert clean(world.ledger, dead) == 0
    assert world.ledger.finish(claim).state == "done"


def test_a_run_is_removed_whole_once_nothing_of_it_can_run(world):
    world.submit(items=20)
    owner = world.machine()
    claim = world.claimed(owner)
    with pytest.raises(Unfinished, match="2 tasks"):
        remove(world.ledger, RUN)
    world.ledger.finish(world.saved(claim, 10, text=LONG))
    world.ledger.cancel(RUN, "000001")
    assert remove(world.ledger, RUN) == 2
    assert not list(world.payloads.keys("")) and not list(world.store.run_tasks(RUN)) and not list(world.store.runs())
    assert world.submit(items=20) == ["000000", "000001"]
