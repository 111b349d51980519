"""What a table can be made for: W1 to W5, a user's own job, a finished run."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from spotbatch import BatchWorker, clouds
from spotbatch.checkpoint import Checkpoint
from spotbatch.ledger import Ledger
from spotbatch.submit import Submission, submit
from spotbatch.task import Task
from spotbatch.tools.simulation.finished_run import item_seconds, plan_of
from spotbatch.tools.simulation.job import BadJob, Job
from spotbatch.tools.simulation.workloads import WORKLOADS

TEN_LINES = """\
items: 500
seconds_per_item: {median: 300, p99: 3600}
machines: 4
boot_seconds: 240
inside_items: true
state_mb: 2000
mb_per_second: 80
deadline_hours: 30
on_demand: true
"""


def job(folder: Path, text: str) -> Path:
    path = folder / "render.yaml"
    path.write_text(text)
    return path


def test_the_workloads_are_those_of_the_benchmark():
    one, queue, long, late, burst = (WORKLOADS[name]() for name in ("W1", "W2", "W3", "W4", "W5"))
    assert one.workload.work_s == 86_400 and one.workload.resumable and one.workload.state_write_s == 30
    seconds = queue.workload.items_s
    assert len(seconds) == 1_000 and abs(np.median(seconds) - 300) < 1 and abs(np.quantile(seconds, 0.99) - 3_600) < 100
    assert set(long.workload.items_s) == {10_800.0} and not long.workload.resumable
    assert late.workload.deadline_s == 216_000 and late.boot_s + late.workload.restore_s == 720 and late.one_pool
    assert (
        len(burst.workload.items_s) == 200 and burst.machines == 8 and burst.workload.items_s.min() >= 120 and burst.workload.items_s.max() <= 1_200
    )


def test_the_variants_differ_by_what_their_names_say():
    assert [WORKLOADS[f"W1-c{write}"]().workload.state_write_s for write in (10, 120, 600)] == [10, 120, 600]
    assert [WORKLOADS[name]().machines for name in ("W2-n1", "W2-n2", "W2")] == [1, 2, 4]
    assert [WORKLOADS[name]().workload.deadline_s for name in ("W4-52h", "W4-70h")] == [187_200, 252_000]
    near = WORKLOADS["W4-52h-d0.05"]()
    assert near.boot_s + near.workload.restore_s == 180


def test_a_users_own_job_is_ten_lines(tmp_path):
    plan = Job.read(job(tmp_path, TEN_LINES)).plan("render")
    assert plan.machines == 4 and plan.boot_s == 240 and plan.on_demand and plan.workload.name == "render"
    assert len(plan.workload.items_s) == 500 and plan.workload.resumable
    assert plan.workload.state_write_s == plan.workload.restore_s == 25
    assert plan.workload.deadline_s == 108_000


def test_two_lines_are_enough_and_a_deadline_alone_allows_on_demand(tmp_path):
    plan = Job.read(job(tmp_path, "items: 3\nseconds_per_item: 60\n")).plan("small")
    assert plan.workload.items_s.tolist() == [60, 60, 60] and not plan.on_demand and plan.workload.deadline_s is None
    assert Job.read(job(tmp_path, "items: 3\nseconds_per_item: 60\ndeadline_hours: 2\n")).plan("late").on_demand


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (
            "items: 0\nseconds_per_item: -2\nmachines: two\nstate_gb: 3\n",
            ["items: 0", "seconds_per_item: -2", "machines: 'two'", "state_gb: 3 belongs to no known key; allowed are items, seconds_per_item"],
        ),
        (
            "items: 3\nseconds_per_item: {median: 60, p98: 5}\n",
            ["seconds_per_item.p99: is missing", "seconds_per_item.p98: 5 belongs to no known key"],
        ),
        ("items: 3\nseconds_per_item: {median: 60, p99: 5}\n", ["p99 is allowed from the median, 60, on"]),
        ("items: true\nseconds_per_item: .nan\ninside_items: 1\n", ["items: True", "seconds_per_item: nan", "inside_items: 1"]),
        ("- 1\n", ["is not a mapping; allowed are the keys items, seconds_per_item, machines"]),
        ("items: [\n", ["cannot be read as YAML"]),
        ("{}\n", ["items: is missing", "seconds_per_item: is missing"]),
    ],
)
def test_a_job_file_is_refused_with_every_key_value_and_what_is_allowed(tmp_path, text, faults):
    with pytest.raises(BadJob) as bad:
        Job.read(job(tmp_path, text))
    told = str(bad.value).splitlines()
    assert all(line.startswith(str(tmp_path / "render.yaml")) for line in told)
    for fault in faults:
        assert any(fault in line for line in told), told


def submitted(folder: Path, items: int) -> tuple[str, Ledger]:
    queue = f"local:{folder / 'queue'}"
    ledger = Ledger(clouds.connect(queue))
    list(submit(ledger, Submission("night", 5, [b"%d" % number for number in range(items)], "")))
    return queue, ledger


def test_a_run_that_is_not_finished_or_not_there_is_refused(tmp_path):
    queue, _ = submitted(tmp_path, 10)
    with pytest.raises(LookupError, match="2 of 2 tasks are queued or running"):
        plan_of(queue)
    with pytest.raises(LookupError, match=r"'day' is not known .* which has night"):
        plan_of(f"{queue}#day")
    with pytest.raises(LookupError, match="has no run"):
        plan_of(f"local:{tmp_path / 'empty'}")


def test_a_finished_run_is_a_workload_with_its_own_items_and_times(tmp_path):
    queue, _ = submitted(tmp_path, 23)
    worker = [sys.executable, "-m", "spotbatch.agent", "tests.simulate.test_workloads:Slow", "--until-empty", "--processes", "1"]
    done = subprocess.run(
        worker, env=os.environ | {"SPOTBATCH_QUEUE": queue}, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    plan = plan_of(f"{queue}#night")
    assert len(plan.workload.items_s) == 23 and plan.machines == 1 and not plan.workload.resumable
    assert 0.02 <= plan.workload.items_s.mean() < 2
    assert "23 items" in plan.workload.name and plan.workload.name.endswith("timed by its ledger")


class Slow(BatchWorker):
    def process_item(self, item):
        time.sleep(0.02)
        return item


def test_items_take_what_lay_between_the_ledgers_own_records():
    claimed = {"what": "claimed", "at": 100.0, "machine": "i-1"}
    again = {"what": "claimed", "at": 500.0, "machine": "i-2"}
    saved = [Checkpoint(1, 0, 0, 4, "", 0, "a", at=140.0), Checkpoint(1, 1, 4, 6, "", 0, "b", at=200.0), Checkpoint(2, 0, 6, 7, "", 0, "c", at=530.0)]
    task = Task("night", "000000", "done", 8, checkpoints=tuple(saved), history=(claimed, again))
    assert item_seconds(task) == [10, 10, 10, 10, 30, 30, 30, None]
