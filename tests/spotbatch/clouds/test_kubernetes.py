"""Pods of an indexed Job as real processes: interrupted, killed, fenced, resumed by their successors."""

import json
import os
import signal
import subprocess
import sys
import uuid
from collections import Counter
from pathlib import Path

import pytest

from spotbatch.clouds import connect, kubernetes
from spotbatch.ledger import Ledger
from spotbatch.submit import Submission, submit
from tests.spotbatch.clock import wait_until

JOBS = Path(__file__).parents[1] / "jobs"


class Pods:
    """Runs pods of one Job on this computer, against a local queue."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log, self.seconds = folder, folder / "job.log", "0.01"
        self.queue = f"local:{folder / 'queue'}"
        self.ledger = Ledger(connect(self.queue))
        self._started: list[subprocess.Popen[str]] = []

    def submit(self, items: int, items_per_task: int, run: str = "r") -> None:
        lines = [str(number).encode() for number in range(items)]
        list(submit(self.ledger, Submission.read(lines, items_per_task, run)))

    def start(self, index: int | str, job: str = "counted:Running", *more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "spotbatch.clouds.kubernetes", job, "--run", "r", "--lease", "2", *more]
        who = {"SPOTBATCH_POD_NAME": f"job-{index}-{len(self._started)}", "SPOTBATCH_POD_UID": str(uuid.uuid4())}
        own = {"SPOTBATCH_QUEUE": self.queue, "JOB_COMPLETION_INDEX": str(index), **who}
        environment = {**os.environ, **own, "JOB_LOG": str(self.log), "JOB_SECONDS": self.seconds}
        pod = subprocess.Popen(command, cwd=JOBS, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._started.append(pod)
        return pod

    def ended(self, pod: subprocess.Popen[str], seconds: float = 60) -> tuple[int, list[str]]:
        """Exit status, and the events that its lines tell, or the lines as they are."""
        text, _ = pod.communicate(timeout=seconds)
        return pod.returncode, [json.loads(line)["event"] if line.startswith("{") else line for line in text.splitlines()]

    def items(self) -> Counter[int]:
        return Counter(int(line) for line in self.log.read_text().split()) if self.log.exists() else Counter()

    def close(self) -> None:
        for pod in self._started:
            if pod.poll() is None:
                pod.kill()
                pod.communicate()


@pytest.fixture
def pods(tmp_path):
    made = Pods(tmp_path)
    yield made
    made.close()


def sums(first: int, end: int) -> list[str]:
    return [str(sum(range(first, number + 1))) for number in range(first, end)]


def results_of(pods: Pods, task: str) -> list[str]:
    found = pods.ledger.task("r", task)
    assert found is not None
    return [result for checkpoint in found.checkpoints for result in pods.ledger.progress(checkpoint).results]


def test_a_pod_does_the_task_of_its_index_and_no_other(pods: Pods):
    pods.submit(items=30, items_per_task=10)
    assert pods.ended(pods.start(1))[0] == 0
    assert set(pods.items()) == set(range(10, 20))
    states = [task.state for name in ("000000", "000001", "000002") if (task := pods.ledger.task("r", name))]
    assert states == ["queued", "done", "queued"]


def test_an_interrupted_pod_gives_back_within_its_grace_and_its_successor_ends_at_the_same_result(pods: Pods):
    pods.seconds = "0.02"
    pods.submit(items=150, items_per_task=150)
    first = pods.start(0, "counted:Running", "--grace", "20")
    wait_until(lambda: len(pods.items()) > 20, what="items done")
    first.send_signal(signal.SIGTERM)
    status, events = pods.ended(first, 20)
    assert (status, "given back" in events) == (143, True)
    task = pods.ledger.task("r", "000000")
    assert task is not None and task.state == "queued" and 20 <= task.items_done < 150
    assert task.attempts == {"interrupted": 1, "lost": 0, "failed": 0}
    pods.seconds = "0.001"
    status, events = pods.ended(pods.start(0))
    assert (status, "task resumed" in events) == (0, True)
    assert results_of(pods, "000000") == sums(0, 150)
    assert pods.items() == Counter(range(150)), "nothing was done twice"


def test_a_loop_of_the_jobs_own_runs_in_a_pod_and_goes_on_where_it_was_interrupted(pods: Pods):
    pods.seconds = "0.02"
    pods.submit(items=150, items_per_task=150)
    first = pods.start(0, "loops:squares", "--grace", "20")
    wait_until(lambda: len(pods.items()) > 20, what="items done")
    first.send_signal(signal.SIGTERM)
    assert pods.ended(first, 20)[0] == 143
    pods.seconds = "0.001"
    assert pods.ended(pods.start(0, "loops:squares"))[0] == 0
    assert pods.items() == Counter(range(150)), "nothing was done twice"
    assert pods.ended(pods.start(0, "loops:squares")) == (0, [])


def test_a_pod_killed_without_a_word_is_followed_by_one_that_waits_out_its_lease(pods: Pods):
    pods.seconds = "0.02"
    pods.submit(items=100, items_per_task=100)
    first = pods.start(0)
    wait_until(lambda: len(pods.items()) > 20, what="items done")
    first.kill()
    pods.ended(first)
    pods.seconds = "0.001"
    status, events = pods.ended(pods.start(0))
    assert (status, "waiting" in events, "queued again" in events) == (0, True, True)
    assert results_of(pods, "000000") == sums(0, 100)


def test_a_task_that_is_done_needs_no_second_pod(pods: Pods):
    pods.submit(items=5, items_per_task=5)
    assert pods.ended(pods.start(0))[0] == 0
    before = pods.items()
    assert pods.ended(pods.start(0)) == (0, [])
    assert pods.items() == before


def test_a_pod_whose_claim_has_passed_to_somebody_else_ends_as_interrupted(pods: Pods):
    pods.seconds = "0.05"
    pods.submit(items=100, items_per_task=100)
    pod = pods.start(0, "counted:Counted")
    wait_until(lambda: len(pods.items()) > 2, what="items done")
    held = pods.ledger.task("r", "000000")
    assert held is not None and pods.ledger.take_from(held, "lost", "for the test") is not None
    status, events = pods.ended(pod)
    assert (status, "fenced" in events) == (143, True)


def test_a_job_that_raises_fails_until_the_ledger_gives_the_task_up(pods: Pods):
    pods.submit(items=40, items_per_task=20)
    seen = [pods.ended(pods.start(0, "counted:Faulty"))[0] for _ in range(3)]
    assert seen[-1] == kubernetes.GIVEN_UP
    assert set(seen[:-1]) <= {kubernetes.FAILED, kubernetes.GIVEN_UP}
    status, events = pods.ended(pods.start(0))
    assert (status, events) == (kubernetes.GIVEN_UP, ["task dead"])


@pytest.mark.parametrize(
    ("index", "job", "status", "said"),
    [
        (7, "counted:Counted", kubernetes.GIVEN_UP, "no such task"),
        (0, "counted:Cuonted", 64, "spotbatch: error: job: 'counted:Cuonted': Cuonted is absent"),
        ("", "counted:Counted", 2, "spotbatch: error: JOB_COMPLETION_INDEX: '' is not a whole number"),
        (0, "counted:Unready", 70, "job cannot start"),
    ],
)
def test_what_no_second_pod_can_mend_ends_with_a_status_of_its_own(pods: Pods, index: int | str, job: str, status: int, said: str):
    pods.submit(items=5, items_per_task=5)
    found, events = pods.ended(pods.start(index, job))
    assert found == status
    assert any(event.startswith(said) for event in events), events


def test_a_queue_that_cannot_be_reached_is_nobodys_failure(pods: Pods):
    pods.submit(items=5, items_per_task=5)
    pods.queue = "https://sqs.us-east-1.amazonaws.com.invalid/123456789012/none"
    assert pods.ended(pods.start(0))[0] == 75


def test_every_status_that_the_job_sorts_is_one_that_a_pod_ends_with():
    from pulumi_spotbatch.eks import job_manifest

    assert (job_manifest.INTERRUPTED, job_manifest.GIVEN_UP) == (kubernetes.INTERRUPTED, kubernetes.GIVEN_UP)
    assert (job_manifest.BAD_JOB, job_manifest.UNREACHABLE) == (kubernetes.BAD_JOB, kubernetes.UNREACHABLE)
