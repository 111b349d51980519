import json
from dataclasses import replace

import pytest

from spotbatch import ledger as rules
from spotbatch.checkpoint import Damaged
from spotbatch.ledger import Fenced, OtherJob, Refused
from spotbatch.notice import Notice
from spotbatch.owner import Owner
from spotbatch.protocols import StoreError
from spotbatch.task import PROGRAM_JOB
from tests.spotbatch.world import RUN

LONG = json.dumps("x" * 2000)


def interruption(world, machine="m1", seconds=120.0):
    return Notice(machine, "interruption", world.clock.now, world.clock.now + seconds, "spot interruption: terminate")


def test_a_claim_moves_the_epoch_and_names_its_owner(world):
    world.submit()
    owner = world.machine()
    claim = world.claimed(owner)
    assert (claim.state, claim.epoch, claim.owner) == ("running", 1, owner)
    assert world.store.read(claim.key)["machine"] == "m1"


@pytest.mark.parametrize(
    "owner",
    [
        Owner("m2", "boot 1", "agent 1", "p"),
        Owner("m1", "boot 0", "agent 1", "p"),
        Owner("m1", "boot 1", "agent 0", "p"),
    ],
    ids=["no such machine", "an earlier boot", "an earlier agent"],
)
def test_who_is_not_in_the_machines_record_claims_nothing_and_leaves_the_bell(world, owner):
    world.submit()
    world.machine()
    with pytest.raises(Refused) as refused:
        world.ledger.claim(RUN, "000000", owner)
    assert refused.value.leave_bell
    assert world.task().state == "queued"


def test_a_draining_machine_claims_nothing_and_leaves_the_bell(world):
    world.submit()
    owner = world.machine()
    world.clock.passes(100)
    world.machines.mark(interruption(world))
    with pytest.raises(Refused) as refused:
        world.claimed(owner)
    assert refused.value.leave_bell


def test_an_agent_that_was_told_to_stop_claims_nothing_but_its_successor_does(world):
    world.submit()
    owner = world.machine()
    world.machines.stop(world.machines.read("m1"))
    with pytest.raises(Refused):
        world.claimed(owner)
    assert world.claimed(world.machine(agent="agent 2")).epoch == 1


@pytest.mark.parametrize("task", ["000000", "999999"], ids=["running already", "absent"])
def test_a_bell_for_a_task_that_is_not_queued_is_silenced(world, task):
    world.submit()
    world.claimed()
    with pytest.raises(Refused) as refused:
        world.ledger.claim(RUN, task, world.machine("m2"))
    assert not refused.value.leave_bell


def test_what_is_saved_and_finished_appears_once_and_in_order(world):
    world.submit()
    claim = world.saved(world.saved(world.claimed(), 4), 10)
    done = world.ledger.finish(claim)
    assert (done.state, done.items_done, done.owner) == ("done", 10, None)
    assert [result for entry in done.checkpoints for result in world.ledger.progress(entry).results] == [str(n) for n in range(10)]


def test_a_large_payload_goes_to_the_bucket_and_a_small_one_travels_in_the_record(world):
    world.submit()
    claim = world.saved(world.saved(world.claimed(), 4), 10, text=LONG)
    small, large = claim.checkpoints
    assert (bool(small.inline), small.key) == (True, "")
    assert (large.inline, large.key) == ("", next(world.payloads.keys("runs/run/tasks/")))


@pytest.mark.parametrize("ended", ["given back", "claimed by another", "cancelled"])
@pytest.mark.parametrize("write", ["save", "finish", "give_back", "fail"])
def test_after_a_claim_has_ended_every_write_under_it_is_fenced_and_changes_nothing(world, ended, write):
    world.submit()
    old = world.saved(world.claimed(), 10)
    if ended == "cancelled":
        world.ledger.cancel(RUN, "000000")
    else:
        world.ledger.give_back(old, "interrupted")
    if ended == "claimed by another":
        world.claimed(world.machine("m2"))
    before = world.store.read(old.key)
    rung = list(world.bells.rung)
    with pytest.raises(Fenced):
        {
            "save": lambda: world.saved(replace(old, checkpoints=()), 5),
            "finish": lambda: world.ledger.finish(old),
            "give_back": lambda: world.ledger.give_back(old, "interrupted"),
            "fail": lambda: world.ledger.fail(old, "Traceback"),
        }[write]()
    assert world.store.read(old.key) == before and world.bells.rung == rung


def test_the_same_process_under_a_later_epoch_is_fenced_as_well(world):
    world.submit()
    owner = world.machine()
    old = world.claimed(owner)
    world.ledger.give_back(old, "interrupted")
    new = world.claimed(owner)
    assert new.owner == old.owner
    with pytest.raises(Fenced):
        world.saved(old, 5)


def test_giving_back_keeps_the_progress_moves_the_epoch_and_rings_after_the_swap(world):
    world.submit()
    claim = world.saved(world.claimed(), 4)
    world.bells.rung.clear()
    back = world.ledger.give_back(claim, "interrupted", "notice")
    assert (back.state, back.epoch, back.items_done, back.owner) == ("queued", 2, 4, None)
    assert world.bells.rung == [(RUN, "000000")]
    assert world.task().attempts == {"interrupted": 1, "lost": 0, "failed": 0}


def test_a_task_is_dead_after_three_failures_with_traceback_and_history(world):
    world.submit()
    owner = world.machine()
    for _ in range(rules.MAX_FAILURES):
        world.bells.rung.clear()
        world.ledger.fail(world.claimed(owner), "Traceback ...\nValueError: bad pixel")
    assert world.task().state == "dead" and "bad pixel" in world.task().traceback
    assert [entry["what"] for entry in world.task().history].count("failed") == 3
    assert not world.bells.rung


def test_ten_losses_make_a_task_dead_and_a_hundred_interruptions_do_not(world):
    world.submit(items_per_task=5)
    owner = world.machine()
    for _ in range(100):
        world.ledger.give_back(world.claimed(owner, "000000"), "interrupted")
    for _ in range(rules.MAX_LOSSES):
        world.ledger.give_back(world.claimed(owner, "000001"), "lost")
    assert (world.task("000000").state, world.task("000001").state) == ("queued", "dead")
    assert len(world.task("000000").history) <= rules.HISTORY


def test_a_dead_task_is_retried_with_its_progress_and_fresh_budgets(world):
    world.submit()
    owner = world.machine()
    world.ledger.give_back(world.saved(world.claimed(owner), 4), "interrupted")
    for _ in range(3):
        world.ledger.fail(world.claimed(owner), "Traceback")
    revived = world.ledger.revive(world.task())
    assert revived is not None
    assert (revived.state, revived.items_done, revived.attempts["failed"], revived.attempts["interrupted"]) == ("queued", 4, 0, 1)
    assert world.claimed(owner).epoch == revived.epoch + 1


def damage(world, claim, index):
    key = claim.checkpoints[index].key
    world.payloads.delete(key)
    world.payloads.put(key, b"{}")


def test_a_damaged_payload_cuts_the_list_there_and_says_so(world):
    world.submit()
    claim = world.claimed()
    for end in (3, 6, 9):
        claim = world.saved(claim, end, text=LONG)
    damage(world, claim, 1)
    cut, why = world.ledger.readable(claim)
    assert (cut.items_done, len(cut.checkpoints)) == (3, 1)
    assert "checkpoint 1-1: checksum" in why


def test_a_payload_that_is_gone_from_the_bucket_is_damaged_and_one_that_cannot_be_reached_is_not(world):
    world.submit()
    claim = world.saved(world.claimed(), 10, text=LONG)
    path = world.payloads.folder / claim.checkpoints[0].key
    path.unlink()
    assert "is not in the bucket" in world.ledger.readable(claim)[1]
    path.mkdir()
    with pytest.raises(StoreError):
        world.ledger.readable(claim)


def test_nothing_is_done_before_every_payload_was_read_back(world):
    world.submit()
    claim = world.saved(world.saved(world.claimed(), 5, text=LONG), 10, text=LONG)
    damage(world, claim, 0)
    with pytest.raises(Damaged):
        world.ledger.finish(claim)
    assert world.task().state == "running"


def test_nothing_is_done_before_every_item_is_covered(world):
    world.submit()
    with pytest.raises(Damaged, match="9 of 10 items"):
        world.ledger.finish(world.saved(world.claimed(), 9))


def test_after_a_cut_the_results_of_the_items_that_ran_again_replace_the_old_ones(world):
    world.submit()
    claim = world.saved(world.saved(world.claimed(), 5, text=LONG), 10, text=LONG)
    damage(world, claim, 1)
    claim, _ = world.ledger.readable(claim)
    done = world.ledger.finish(world.saved(claim, 10, text='"again"'))
    results = [result for entry in done.checkpoints for result in world.ledger.progress(entry).results]
    assert results == [LONG] * 5 + ['"again"'] * 5


def test_after_a_cut_a_large_payload_takes_the_place_of_the_damaged_one(world):
    world.submit()
    claim = world.saved(world.saved(world.claimed(), 5, text=LONG), 10, text=LONG)
    damage(world, claim, 1)
    claim, _ = world.ledger.readable(claim)
    assert world.ledger.finish(world.saved(claim, 10, text=LONG)).state == "done"


class FullDisk:
    def put(self, key, data):
        raise StoreError(f"{key}: no space left")


def test_no_record_names_a_payload_that_could_not_be_stored(world):
    world.submit()
    claim = world.claimed()
    world.ledger.payloads = FullDisk()
    with pytest.raises(StoreError):
        world.saved(claim, 5, text=LONG)
    assert not world.task().checkpoints


def test_a_long_list_is_merged_into_one_payload_with_all_its_results(world):
    world.submit(items=200, items_per_task=200)
    claim = world.claimed()
    for end in range(1, 201):
        claim = world.saved(claim, end, state=b"state")
    assert len(claim.checkpoints) <= rules.MERGE_AT
    done = world.ledger.finish(claim)
    assert [result for entry in done.checkpoints for result in world.ledger.progress(entry).results] == [str(n) for n in range(200)]
    assert world.ledger.progress(done.checkpoints[-1]).state == b"state"


def test_a_save_without_an_answer_is_the_same_save_when_it_is_made_again(world):
    world.submit()
    claim = world.claimed()
    world.store.spoiled, world.store.unreadable = ["landed unheard"], 0
    saved = world.saved(claim, 5)
    again = world.saved(claim, 5)
    assert saved.checkpoints == again.checkpoints == world.task().checkpoints


@pytest.mark.parametrize("fault", ["lost", "late"])
def test_a_claim_that_got_lost_is_made_anew_and_the_late_one_fails(world, fault):
    world.submit()
    owner = world.machine()
    world.store.spoiled = [fault]
    claim = world.claimed(owner)
    assert world.store.land_late() == 0
    assert world.task().epoch == claim.epoch == 1
    world.saved(claim, 5)


def test_a_task_that_names_its_job_is_left_to_workers_of_that_job(world):
    world.submit(job="etl:Etl")
    owner = world.machine()
    for job in ("", "etl:Other", PROGRAM_JOB):
        with pytest.raises(OtherJob, match=f"submitted for 'etl:Etl', this worker runs '{job}'") as refused:
            world.ledger.claim(RUN, "000000", owner, job)
        assert refused.value.leave_bell
    assert (world.ledger.backlog(), world.ledger.backlog("etl:Other"), world.ledger.backlog("etl:Etl")) == (1, 0, 1)
    assert world.ledger.claim(RUN, "000000", owner, "etl:Etl").job == "etl:Etl"


def test_nobody_is_rung_for_a_program(world):
    world.submit(job=PROGRAM_JOB)
    owner = world.machine()
    world.ledger.give_back(world.ledger.claim(RUN, "000000", owner, PROGRAM_JOB), "interrupted")
    assert world.bells.rung == []


def test_backlog_counts_what_is_queued_or_running(world):
    world.submit(items=30)
    owner = world.machine()
    world.claimed(owner, "000001")
    world.ledger.finish(world.saved(world.claimed(owner, "000002"), 10))
    assert world.ledger.backlog() == 2


def test_a_record_carries_few_payloads_as_every_write_pays_for_all_of_them(world):
    world.submit(40, items_per_task=40)
    claim = world.claimed()
    for end in range(1, 21):
        claim = world.saved(claim, end, text=json.dumps("x" * 900))
    assert 0 < sum(len(checkpoint.inline) for checkpoint in claim.checkpoints) <= rules.INLINE_TOTAL
    assert len([result for checkpoint in claim.checkpoints for result in world.ledger.progress(checkpoint).results]) == 20
