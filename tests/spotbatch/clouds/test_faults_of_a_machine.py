"""Real agents on the local cloud's queue, on machines with something wrong: no way to the ledger, no metadata, a clock that is off."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lab.cloud import LocalCloud
from spotbatch.clouds import connect
from spotbatch.ledger import Ledger
from spotbatch.task import Task
from tests.spotbatch.clock import wait_until
from tests.spotbatch.clouds.metadata_stand_in import MACHINE, Service, metadata_service
from tests.spotbatch.clouds.test_aws_lambda import Account, batch
from tests.spotbatch.machines import JOBS, Machines
from tests.spotbatch.tcp_proxy import tcp_proxy

SKEWED = Path(__file__).parents[1] / "skewed"
OTHER = "i-0fedcba9876543210"
FIVE_MINUTES = 300


class Fleet(Machines):
    """Agents on EC2 machines of their own."""

    def __init__(self, folder: Path, queue: str, stack: ExitStack) -> None:
        super().__init__(folder, queue)
        self._stack = stack
        self.ledger = Ledger(connect(queue))

    def boot(self, machine: str = MACHINE) -> Service:
        service = self._stack.enter_context(metadata_service())
        service.texts["instance-id"] = machine
        return service

    def work(self, service: Service, *options: str, ahead: float = 0.0, **environment: str) -> subprocess.Popen[bytes]:
        """An agent on a machine whose clock is so many seconds ahead."""
        where = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": service.endpoint, "SPOTBATCH_BOOT_ID": service.texts["instance-id"]}
        where |= {"PYTHONPATH": f"{SKEWED}{os.pathsep}{JOBS}", "SKEW_SECONDS": str(ahead)} if ahead else {}
        return self.start("counted:Counted", *options, **where, **environment)

    def said(self, event: str, machine: str = "") -> list[dict]:
        return [line for line in self.events() if line["event"] == event and (not machine or line["machine"] == machine)]

    def logged(self) -> Counter[int]:
        return Counter(int(line) for line in self.log.read_text().split()) if self.log.exists() else Counter()

    def tasks(self) -> list[Task]:
        return [Task.from_record(record) for record in self.ledger.store.run_tasks("run")]


@pytest.fixture
def fleet(tmp_path: Path, queue: str) -> Iterator[Fleet]:
    with ExitStack() as stack:
        made = Fleet(tmp_path, queue, stack)
        stack.callback(made.close)
        yield made


def interrupted(service: Service, seconds: float) -> None:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
    service.texts["spot/instance-action"] = json.dumps({"action": "terminate", "time": stamp})


def squares(count: int) -> list[dict]:
    return [{"item": n, "square": n * n} for n in range(count)]


def test_a_machine_cut_off_from_the_ledger_stops_another_takes_over_and_nothing_is_done_by_both_at_once(fleet: Fleet, cloud: LocalCloud):
    fleet.environment["JOB_SECONDS"] = "0.05"
    fleet.submit(items=200, items_per_task=200)
    with tcp_proxy(cloud.endpoint) as wire:
        first = fleet.work(fleet.boot(), AWS_ENDPOINT_URL=wire.endpoint)
        wait_until(lambda: len(fleet.logged()) > 50, 30, "items done")
        wire.cut()
        second = fleet.work(fleet.boot(OTHER), "--until-empty")
        wait_until(lambda: fleet.said("task claimed", OTHER), 30, "the task taken over")
        began, known = time.monotonic(), sum(fleet.logged().values())
        taken = fleet.tasks()[0]
        assert taken.attempts == {"interrupted": 0, "lost": 1, "failed": 0}
        assert fleet.ended(second, 60) == 0
        # Twenty items a second at most are done by one worker, thirty and more by two.
        assert sum(fleet.logged().values()) - known <= 1.3 * 20 * (time.monotonic() - began)
        wait_until(lambda: fleet.said("ledger unreachable", MACHINE) or fleet.said("cannot beat", MACHINE), 30, "the first to notice")
        wire.mend()
        mended = fleet.ledger.store.now()
        wait_until(lambda: (record := fleet.ledger.machines.read(MACHINE)) is not None and record.beat > mended + 1, 30, "the first back")
        assert first.poll() is None
    assert len(fleet.said("task done")) == 1 and fleet.results() == squares(200)
    assert set(fleet.logged()) == set(range(200))


def test_a_machine_whose_metadata_hangs_refuses_fails_and_babbles_works_on_and_hears_a_notice_once_it_answers(fleet: Fleet):
    fleet.submit(items=5000, items_per_task=5000)
    service = fleet.boot()
    agent = fleet.work(service)

    def metadata_ok() -> bool:
        machine = fleet.ledger.machines.read(MACHINE)
        return machine is not None and machine.metadata_ok

    wait_until(lambda: len(fleet.logged()) > 5, 30, "items done")
    for fault in ("hang", 401, 500, "garbage"):
        service.refuse = lambda path, fault=fault: fault
        wait_until(lambda: not metadata_ok(), 15, f"blind: {fault}")
        known = len(fleet.logged())
        wait_until(lambda known=known: len(fleet.logged()) > known + 20, 15, f"items done while it is blind: {fault}")
        service.refuse = lambda path: None
        wait_until(metadata_ok, 15, f"seen again after {fault}")
    assert len(fleet.said("metadata service blind")) == len(fleet.said("metadata service seen again")) == 4
    interrupted(service, 60)
    wait_until(lambda: fleet.said("drained"), 15, "drained")
    assert fleet.tasks()[0].attempts == {"interrupted": 1, "lost": 0, "failed": 0} and agent.poll() is None
    assert max(fleet.logged().values()) == 1


def test_machines_whose_clocks_are_five_minutes_off_take_nothing_from_each_other_and_take_over_from_the_dead(fleet: Fleet):
    fleet.environment["JOB_SECONDS"] = "0.03"
    fleet.submit(items=600, items_per_task=150)
    early = fleet.work(fleet.boot(), ahead=-FIVE_MINUTES)
    late = fleet.work(fleet.boot(OTHER), "--until-empty", ahead=FIVE_MINUTES)
    wait_until(lambda: {line["machine"] for line in fleet.said("task claimed")} == {MACHINE, OTHER}, 30, "both at work")
    # Both sweep once a lease, of 2 s here.
    time.sleep(6)
    assert all(task.attempts["lost"] == 0 for task in fleet.tasks()) and not fleet.said("fenced")
    assert early.poll() is None
    early.kill()
    early.wait()
    assert fleet.ended(late, 60) == 0
    assert fleet.results() == squares(600)
    assert sum(task.attempts["lost"] for task in fleet.tasks()) == 1 and sum(task.attempts["failed"] for task in fleet.tasks()) == 0


@pytest.mark.parametrize("ahead", [-FIVE_MINUTES, FIVE_MINUTES])
def test_a_machine_whose_clock_is_five_minutes_off_uses_the_whole_notice(fleet: Fleet, ahead: float):
    fleet.submit(items=5000, items_per_task=5000)
    service = fleet.boot()
    agent = fleet.work(service, ahead=ahead)
    wait_until(lambda: len(fleet.logged()) > 20, 30, "items done")
    interrupted(service, 60)
    wait_until(lambda: fleet.said("drained"), 15, "drained")
    [notice] = fleet.said("notice")
    assert 60 - 7 < notice["seconds_left"] < 60 + 3
    assert (fleet.tasks()[0].state, fleet.tasks()[0].items_done) == ("queued", len(fleet.logged())) and max(fleet.logged().values()) == 1
    assert agent.poll() is None


@pytest.fixture
def account(cloud: LocalCloud) -> Account:
    return Account(cloud)


@pytest.mark.parametrize("ahead", [-FIVE_MINUTES, FIVE_MINUTES])
def test_a_handler_whose_clock_is_five_minutes_off_takes_no_task_before_the_deadline_and_each_after_it(account: Account, ahead: float):
    def handle(event: dict) -> None:
        code = "import json, sys; from spotbatch.clouds.aws_lambda import handle; print(handle(json.load(sys.stdin), None), file=sys.stderr)"
        environment = {**os.environ, **account.environment, "PYTHONPATH": str(SKEWED), "SKEW_SECONDS": str(ahead)}
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, input=json.dumps(batch(event)), env=environment, text=True, timeout=30, capture_output=True, check=True)
        assert "{'batchItemFailures': []}" in done.stderr

    handle(account.warning)
    machine = account.ledger.machines.read(account.machine)
    assert machine is not None and machine.state == "draining" and machine.deadline is not None
    assert abs(machine.deadline - account.ledger.store.now() - 120) < 10
    assert account.task().state == "running"
    handle(account.gone)
    assert (account.task().state, account.task().attempts["interrupted"]) == ("queued", 1)
