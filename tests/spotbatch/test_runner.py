import pytest

from spotbatch import BatchWorker
from spotbatch.protocols import StoreError
from spotbatch.runner import OutOfTime, Runner
from spotbatch.signal_board import DRAIN, REBALANCE, SignalBoard
from spotbatch.strategies.spacing import by_age_and_cost
from tests.spotbatch.clock import Clock

LONG = "x" * 2000


class Job(BatchWorker):
    """Items take a second each; `at` is called inside of each."""

    total = 0
    refused: tuple[bytes, ...] = ()

    def __init__(self, clock, at=lambda item: None, seconds=1.0):
        self.clock, self.at, self.seconds = clock, at, seconds
        self.ran = []

    def process_item(self, item):
        self.clock.passes(self.seconds)
        self.ran.append(item)
        self.at(item)
        return item


class Summing(Job):
    def process_item(self, item):
        self.total += item
        return super().process_item(item)

    def save_state(self):
        return str(self.total).encode() + b" " * 2000

    def restore_state(self, state):
        if state is not None and state.strip() in self.refused:
            raise ValueError("cannot restore")
        self.total = int(state) if state else 0


class Stage:
    """One runner over one task, with a clock of its own."""

    def __init__(self, world, items=10, job=Job, **options):
        world.submit(items=items, items_per_task=items)
        self.world, self.clock = world, Clock(1000.0)
        self.job = job(self.clock, **options)
        self.board = SignalBoard.make(1)
        self.runner = Runner(world.ledger, self.job, self.board, 0, self.clock, self.clock.passes)

    def run(self, machine="m1"):
        self.runner.run(self.world.claimed(self.world.machine(machine)))
        return self.world.task()

    def ends(self):
        """Item counts of the checkpoints, as they were written."""
        ends = [record["items_done"] for record in self.world.store.written if record["kind"] == "task" and record["items_done"]]
        return sorted(set(ends))


def test_a_checkpoint_is_made_after_so_many_items(world):
    stage = Stage(world, items=250)
    assert stage.run().state == "done"
    assert stage.ends() == [60, 120, 180, 240, 250]


def test_a_checkpoint_is_made_after_a_hundred_items_where_they_are_quick(world):
    stage = Stage(world, items=250, seconds=0.1)
    stage.run()
    assert stage.ends() == [100, 200, 250]


def test_checkpoints_are_never_closer_than_two_seconds(world):
    stage = Stage(world, items=1000, seconds=0.001)
    stage.run()
    assert stage.ends() == [1000]


def test_checkpoints_are_never_closer_than_twenty_times_what_the_last_one_took(world):
    stage = Stage(world, items=400)
    put = world.ledger.save

    def slow(*arguments, **options):
        stage.clock.passes(10)
        return put(*arguments, **options)

    world.ledger.save = slow
    stage.run()
    assert stage.ends() == [60, 260, 400]


def test_at_a_notice_the_current_item_ends_and_everything_is_given_back(world):
    stage = Stage(world)

    def notice(item):
        if item == 3:
            stage.board.board.deadline = stage.clock() + 120
            stage.board.board.level = DRAIN

    stage.job.at = notice
    task = stage.run()
    assert (task.state, task.items_done, task.attempts["interrupted"], task.attempts["failed"]) == ("queued", 4, 1, 0)
    assert stage.job.ran == [0, 1, 2, 3]


def test_an_item_that_would_not_end_in_time_is_cut_short_and_what_was_done_before_is_kept(world):
    stage = Stage(world)

    def cut(item):
        if item == 3:
            stage.board.board.level = DRAIN
            raise OutOfTime

    stage.job.at = cut
    task = stage.run()
    assert (task.state, task.items_done, task.attempts["interrupted"]) == ("queued", 3, 1)


def test_a_state_that_an_item_may_have_changed_halfway_is_not_saved(world):
    stage = Stage(world, job=Summing)

    def cut(item):
        if item == 3 and len(stage.job.ran) == 4:
            stage.board.board.level = DRAIN
            raise OutOfTime

    stage.job.at = cut
    assert (stage.run().state, world.task().items_done) == ("queued", 0)
    stage.board.board.level = 0
    assert (stage.run().state, stage.job.total) == ("done", sum(range(10)))


def test_a_rebalance_recommendation_saves_soon_and_goes_on(world):
    stage = Stage(world)

    def recommend(item):
        if item == 3:
            stage.board.board.deadline = stage.clock() + 120
            stage.board.board.level = REBALANCE

    stage.job.at = recommend
    assert stage.run().state == "done"
    assert stage.ends() == [4, 10]


def test_after_a_rebalance_recommendation_no_item_longer_than_the_notice_is_started(world):
    stage = Stage(world, seconds=200.0)

    def recommend(item):
        if item == 3:
            stage.board.board.deadline = stage.clock() + 120
            stage.board.board.level = REBALANCE

    stage.job.at = recommend
    task = stage.run()
    assert (task.state, task.items_done, stage.job.ran) == ("queued", 4, [0, 1, 2, 3])


def test_a_fenced_worker_stops_and_counts_no_failure(world):
    stage = Stage(world)
    stage.job.at = lambda item: world.ledger.take_from(world.task(), "lost", "test") if item == 3 else None
    task = stage.run()
    assert (task.state, task.items_done, task.attempts["failed"]) == ("queued", 0, 0)


def test_an_item_that_raises_counts_as_failure_and_keeps_what_was_done_before(world):
    stage = Stage(world)

    def fail(item):
        if item == 3:
            raise ValueError("bad pixel")

    stage.job.at = fail
    task = stage.run()
    assert (task.state, task.items_done, task.attempts["failed"]) == ("queued", 3, 1)
    assert "ValueError: bad pixel" in task.traceback


def test_a_result_that_json_cannot_hold_is_named(world):
    stage = Stage(world)
    stage.job.process_item = lambda item: {item}
    assert "item 0: process_item must return what JSON can hold" in stage.run().traceback


def test_what_a_job_changes_after_it_returned_it_is_not_what_was_returned(world):
    stage = Stage(world)
    same = []

    def process_item(item):
        same.append(item)
        return same

    stage.job.process_item = process_item
    task = stage.run()
    assert world.ledger.progress(task.checkpoints[0]).results[:3] == ["[0]", "[0,1]", "[0,1,2]"]


def test_a_damaged_checkpoint_falls_back_to_the_one_before(world):
    stage = Stage(world, items=150, job=Summing)

    def stop(item):
        if item == 130 and len(stage.job.ran) == 131:
            stage.board.board.level = DRAIN

    stage.job.at = stop
    task = stage.run()
    (world.payloads.folder / task.checkpoints[-1].key).write_bytes(b"rot")
    stage.board.board.level = 0
    stage.job.ran.clear()
    assert stage.run().state == "done"
    assert (stage.job.ran[0], stage.job.total) == (120, sum(range(150)))


def test_a_checkpoint_that_the_job_cannot_restore_twice_is_passed_over(world):
    stage = Stage(world, items=150, job=Summing)

    def stop(item):
        if item == 130 and len(stage.job.ran) == 131:
            stage.board.board.level = DRAIN

    stage.job.at = stop
    stage.run()
    stage.job.refused = (str(sum(range(131))).encode(),)
    stage.board.board.level = 0
    stage.job.ran.clear()
    task = stage.run()
    assert (task.state, task.attempts["failed"], stage.job.ran[0], stage.job.total) == ("done", 0, 120, sum(range(150)))


def test_trouble_with_the_store_is_waited_out_and_is_nobodys_failure(world):
    stage = Stage(world)
    trouble = [StoreError("the bucket is away")] * 5
    get = world.payloads.get

    def troubled(key):
        if trouble:
            raise trouble.pop()
        return get(key)

    world.payloads.get = troubled
    before = stage.clock()
    task = stage.run()
    assert (task.state, task.attempts) == ("done", {"interrupted": 0, "lost": 0, "failed": 0})
    assert stage.clock() - before > 5


def test_a_worker_whose_agent_cannot_beat_for_a_lease_stops(world):
    stage = Stage(world, items=100)
    stage.board.board.alive_until = stage.clock() + 30
    with pytest.raises(StoreError, match="the agent has not beaten for a lease"):
        stage.run()
    assert len(stage.job.ran) == 31 and world.task().state == "running"


def test_a_damaged_items_file_is_a_failure_with_its_reason(world):
    stage = Stage(world)
    (world.payloads.folder / "runs/run/items/000000.jsonl").write_text("{")
    assert "JSONDecodeError" in stage.run().traceback


def test_what_a_merged_list_left_in_the_bucket_goes_when_the_task_is_done(world):
    stage = Stage(world, items=800, job=Summing, seconds=10.0)
    assert (stage.run().state, stage.world.task().epoch) == ("done", 1)
    named = {checkpoint.key for checkpoint in stage.world.task().checkpoints}
    assert set(world.payloads.keys("runs/run/tasks/")) == named


class Rare(Job):
    spacing = by_age_and_cost


class RareByMethod(Job):
    def spacing(self, seen):
        return by_age_and_cost(seen)


@pytest.mark.parametrize("job", [Rare, RareByMethod])
def test_a_spacing_may_be_named_in_the_class_or_written_as_its_method(world, job):
    stage = Stage(world, items=300, job=job)
    assert stage.run().state == "done"
