"""`spotbatch run` on EC2: SQS, DynamoDB and S3 of the local cloud, and a metadata service for each machine."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.cloud import LocalCloud
from spotbatch.notice import Notice
from spotbatch.registry import CLOCK_MARGIN
from tests.spotbatch.clock import wait_until
from tests.spotbatch.clouds.conftest import messages
from tests.spotbatch.clouds.metadata_stand_in import MACHINE, Service, metadata_service
from tests.spotbatch.place import Place, members, steps_logged, walked

OTHER = "i-0fedcba9876543210"


@pytest.fixture
def place(tmp_path: Path, queue: str) -> Iterator[Place]:
    made = Place(tmp_path, queue)
    yield made
    made.close()


@pytest.fixture
def here() -> Iterator[Service]:
    with metadata_service() as running:
        yield running


@pytest.fixture
def elsewhere() -> Iterator[Service]:
    with metadata_service() as running:
        running.texts["instance-id"] = OTHER
        yield running


def interrupted(service: Service, seconds: float) -> None:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
    service.texts["spot/instance-action"] = json.dumps({"action": "terminate", "time": stamp})


def owners(place: Place) -> list[str]:
    return [entry["machine"] for entry in place.task().history if entry["what"] == "claimed"]


def test_an_interruption_saves_and_gives_back_and_the_program_goes_on_on_another_machine(place: Place, here: Service, elsewhere: Service):
    first = place.steps(200, metadata=here.endpoint)
    wait_until(lambda: len(steps_logged(place)) > 20, what="some steps")
    interrupted(here, 60)
    wait_until(lambda: place.events("stays until the machine goes"), 20, "drained")
    assert place.task().state == "queued" and place.task().attempts == {"interrupted": 1, "lost": 0, "failed": 0}
    done = len(steps_logged(place))
    # AWS does not bill a first hour that it cuts short itself: whatever follows the line must not end the machine.
    assert first.poll() is None
    first.terminate()
    assert place.ended(first, 10) == 143
    assert place.ended(place.steps(200, on="elsewhere", metadata=elsewhere.endpoint)) == 0
    assert 0 < done < 200 and steps_logged(place) == list(range(1, 201))
    assert json.loads(place.kept("state.json", "elsewhere").read_text()) == walked(200)
    assert owners(place) == [MACHINE, OTHER]


def test_a_machine_without_any_notice_is_taken_over_after_a_lease(place: Place, here: Service, elsewhere: Service):
    first = place.steps(500, metadata=here.endpoint)
    wait_until(lambda: len(place.events("checkpoint durable")) >= 2, 20, "a save with steps in it")
    second = place.steps(500, on="elsewhere", metadata=elsewhere.endpoint)
    wait_until(lambda: place.events("waiting"), 20, "the second to wait")
    first.kill()
    first.wait()
    assert place.ended(second) == 0
    assert json.loads(place.kept("state.json", "elsewhere").read_text()) == walked(500)
    assert place.task().attempts == {"interrupted": 0, "lost": 1, "failed": 0}
    assert set(steps_logged(place)) == set(range(1, 501)) and steps_logged(place).count(1) == 1


def test_a_machine_that_is_blind_to_its_metadata_hears_the_handlers_mark(place: Place, here: Service):
    run = place.steps(2000, metadata=here.endpoint)
    wait_until(lambda: len(steps_logged(place)) > 5, what="some steps")
    here.refuse = lambda path: 500
    now = place.ledger.store.now()
    assert place.ledger.machines.mark(Notice(MACHINE, "interruption", now, now + CLOCK_MARGIN + 60, "spot interruption: terminate"))
    wait_until(lambda: place.events("stays until the machine goes"), 20, "drained")
    assert place.events("metadata service blind") and place.task().attempts["interrupted"] == 1
    run.terminate()
    assert place.ended(run, 10) == 143


def test_two_programs_of_one_machine_run_at_once_and_both_hear_the_handler(place: Place, here: Service):
    runs = [place.steps(2000, options=("--run", name, "--checkpoint-dir", f"kept-{name}"), metadata=here.endpoint) for name in ("one", "two")]
    wait_until(lambda: len(place.events("command started")) == 2, 20, "both")
    assert {event["machine"] for event in place.events("command started")} == {MACHINE, f"{MACHINE}.1"}
    now = place.ledger.store.now()
    assert place.ledger.machines.mark(Notice(MACHINE, "interruption", now, now + CLOCK_MARGIN + 60, "spot interruption: terminate"))
    wait_until(lambda: len(place.events("given back")) == 2, 20, "both given back")
    for run in runs:
        run.terminate()
    assert [place.ended(run, 10) for run in runs] == [143, 143]


def test_the_same_line_twice_on_one_machine_waits_and_takes_over(place: Place, here: Service):
    first = place.steps(300, metadata=here.endpoint)
    wait_until(lambda: place.events("command started"), 20, "the first")
    second = place.steps(300, on="elsewhere", metadata=here.endpoint)
    wait_until(lambda: place.events("waiting"), 20, "the second to wait")
    assert [place.ended(first), place.ended(second)] == [0, 0]
    assert steps_logged(place) == list(range(1, 301))
    assert json.loads(place.kept("state.json", "elsewhere").read_text()) == walked(300)


@pytest.mark.parametrize(("program", "status"), [("exit 0", 0), ("exit 9", 9), ("kill -KILL $$", 137)])
def test_the_status_of_the_command_is_the_status_of_the_run(place: Place, here: Service, program: str, status: int):
    assert place.ended(place.start("sh", "-c", program, metadata=here.endpoint), 30) == status
    assert place.task().state == ("queued" if status else "done")
    group = place.events("command started")[0]["group"]
    assert not members(group)


def test_nobody_is_rung_for_a_program(place: Place, here: Service, cloud: LocalCloud):
    assert place.ended(place.start("sh", "-c", "exit 9", metadata=here.endpoint), 30) == 9
    assert messages(cloud, place.queue) == []
