import json

import pytest

from spotbatch.protocols import StoreError
from spotbatch.submit import BadSubmit, Submission, results, submit
from tests.spotbatch.world import RUN


def lines(*texts):
    return [text.encode() for text in texts]


def test_the_default_run_depends_on_items_and_job_only():
    first = Submission.read(lines("1", "2"), 1, job="a:A")
    assert first.run == Submission.read(lines(" 1 ", "2"), 1, job="a:A").run
    assert first.run != Submission.read(lines("1", "3"), 1, job="a:A").run
    assert first.run != Submission.read(lines("1", "2"), 1, job="b:B").run


def test_every_fault_is_told_at_once_each_broken_line_by_its_number():
    with pytest.raises(BadSubmit) as refused:
        Submission.read(lines("1", "{", "", "NaN"), 0, "a b")
    told = str(refused.value).split("\n")
    assert [told[0].split(":")[0], told[1].split(":")[0]] == ["items, line 2", "items, line 4"]
    assert told[2].startswith("--items-per-task: 0") and told[3].startswith("--run: 'a b'")


def test_an_empty_file_is_refused():
    with pytest.raises(BadSubmit, match="the file has no item"):
        Submission.read(lines("", "  "), 1)


def test_the_same_submit_again_continues_what_was_cut_short_and_doubles_nothing(world):
    submission = Submission.read(lines(*map(str, range(40))), 10, RUN)
    cut = submit(world.ledger, submission)
    assert [next(cut), next(cut)] == ["000000", "000001"]
    claim = world.saved(world.claimed(), 5)
    assert list(submit(world.ledger, submission)) == ["000000", "000001", "000002", "000003"]
    assert world.task("000000") == claim
    assert world.bells.rung == [(RUN, f"{n:06d}") for n in range(4)]


def test_other_items_under_the_same_run_are_refused_and_harm_nothing(world):
    world.submit(items=10)
    with pytest.raises(BadSubmit, match="'run' was submitted before with other items"):
        list(submit(world.ledger, Submission.read(lines("1"), 10, RUN)))
    assert len(list(world.store.run_tasks(RUN))) == 1


def test_a_submit_whose_answer_got_lost_is_repaired_by_the_same_submit(world):
    submission = Submission.read(lines(*map(str, range(20))), 10, RUN)
    world.store.spoiled, world.store.unreadable = ["", "landed unheard"], 0
    assert list(submit(world.ledger, submission)) == ["000000", "000001"]
    world.payloads.put = fail
    with pytest.raises(StoreError):
        list(submit(world.ledger, Submission.read(lines("7"), 1, "other")))


def fail(key, data):
    raise StoreError(key)


def test_results_come_in_item_order_each_once_also_while_the_run_is_under_way(world):
    world.submit(items=30)
    owner = world.machine()
    world.ledger.finish(world.saved(world.saved(world.claimed(owner, "000001"), 3), 10))
    world.saved(world.claimed(owner, "000000"), 2)
    assert list(results(world.ledger, RUN)) == ["0", "1", *map(str, range(10))]


def test_results_of_an_unknown_run_are_an_error(world):
    with pytest.raises(LookupError, match="'nope' is not known"):
        list(results(world.ledger, "nope"))


def test_an_item_may_hold_whatever_json_takes_for_a_blank(world):
    list(submit(world.ledger, Submission.read([b'{"a":\r1}\n', b"2\r\n"], 2, RUN)))
    assert [json.loads(item) for item in world.ledger.items(world.task())] == [{"a": 1}, 2]
