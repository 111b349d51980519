import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from botocore.config import Config

from lab.cloud import LocalCloud
from spotbatch.clouds.aws_store import DynamoStore
from spotbatch.protocols import Ambiguous, Backend, Conflict, Record, StoreError
from spotbatch.settle import Overtaken, write
from tests.spotbatch.clouds.conftest import make_table
from tests.spotbatch.clouds.faulty_service import FaultyService, faulty_service


def task(run: str = "r", number: int = 0, version: int = 1, **more: Any) -> Record:
    name = f"{number:06d}"
    record = {"kind": "task", "key": f"task/{run}/{name}", "run": run, "task": name, "state": "queued", "machine": "-", "version": version}
    return {**record, "nonce": f"nonce-{version}", **more}


@pytest.fixture
def store(backend: Backend) -> DynamoStore:
    assert isinstance(backend.store, DynamoStore)
    return backend.store


@pytest.fixture
def service(cloud: LocalCloud) -> Iterator[FaultyService]:
    with faulty_service(cloud.endpoint) as running:
        yield running


def impatient(service: FaultyService, attempts: int = 1) -> Any:
    retries = {"mode": "standard", "total_max_attempts": attempts}
    config = Config(connect_timeout=1, read_timeout=0.3, retries=retries)  # pyright: ignore[reportArgumentType]
    session = botocore.session.get_session()
    session.set_credentials("test", "test")
    return session.create_client("dynamodb", region_name="us-east-1", endpoint_url=service.endpoint, config=config)


@pytest.fixture
def faulty(cloud: LocalCloud, service: FaultyService) -> DynamoStore:
    """A store that gives up at once, behind a service that does what the test says."""
    make_table(cloud, table := f"t{time.monotonic_ns()}")
    return DynamoStore(impatient(service), table)


def test_a_record_reads_back_as_written(store: DynamoStore):
    record = task(text="é \u2028 ☃", numbers=[1, 2.5, None, True], nested={"a": [{"b": ""}]})
    store.swap(record, 0)
    assert store.read(record["key"]) == record
    assert store.read("task/r/none") is None


def test_a_swap_needs_the_version_that_was_read(store: DynamoStore):
    store.swap(task(), 0)
    with pytest.raises(Conflict):
        store.swap(task(), 0)
    store.swap(task(version=2), 1)
    with pytest.raises(Conflict):
        store.swap(task(version=2, state="done"), 1)
    with pytest.raises(Conflict):
        store.swap(task(number=9, version=4), 3)
    assert store.read("task/r/000000") == task(version=2)


@pytest.mark.parametrize("expected", [0, 1])
def test_of_64_racing_writers_one_wins(store: DynamoStore, expected: int):
    if expected:
        store.swap(task(), 0)
    start, outcomes = threading.Barrier(64), []

    def race(number: int) -> None:
        start.wait(30)
        try:
            store.swap(task(version=expected + 1, nonce=str(number)), expected)
            outcomes.append(str(number))
        except Conflict:
            outcomes.append(None)

    racers = [threading.Thread(target=race, args=(number,)) for number in range(64)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
    assert len(outcomes) == 64
    [winner] = [name for name in outcomes if name]
    assert store.read("task/r/000000") == task(version=expected + 1, nonce=winner)


def test_lists_go_by_run_by_state_and_by_owner(store: DynamoStore):
    store.swap({"kind": "run", "key": "run/r", "run": "r", "version": 1, "nonce": "n"}, 0)
    store.swap({"kind": "machine", "key": "machine/i-1", "machine": "i-1", "beat": 1.0, "version": 1, "nonce": "n"}, 0)
    store.swap(task(number=2, state="running", machine="i-1"), 0)
    store.swap(task(number=1, state="running", machine="i-2"), 0)
    store.swap(task(number=0), 0)
    store.swap(task(run="other"), 0)

    def names(found: Iterator[Record]) -> list[str]:
        return [record["key"] for record in found]

    assert names(store.run_tasks("r")) == ["task/r/000000", "task/r/000001", "task/r/000002"]
    assert sorted(names(store.tasks_in("queued"))) == ["task/other/000000", "task/r/000000"]
    assert sorted(names(store.tasks_in("running"))) == ["task/r/000001", "task/r/000002"]
    assert names(store.tasks_in("running", "i-1")) == ["task/r/000002"]
    assert names(store.tasks_in("done")) == []
    assert names(store.runs()) == ["run/r"]
    assert names(store.machines()) == ["machine/i-1"]


def test_a_task_that_leaves_a_state_leaves_its_list(store: DynamoStore):
    store.swap(task(), 0)
    store.swap(task(version=2, state="running", machine="i-1"), 1)
    assert list(store.tasks_in("queued")) == []
    store.swap(task(version=3), 2)
    assert list(store.tasks_in("running", "i-1")) == []


def test_a_list_of_more_than_a_page_is_whole(store: DynamoStore):
    for number in range(8):
        store.swap(task(number=number, ballast="x" * 300_000), 0)
    assert [record["task"] for record in store.run_tasks("r")] == [f"{number:06d}" for number in range(8)]


def test_a_record_is_removed_at_its_version_only(store: DynamoStore):
    store.swap(task(), 0)
    with pytest.raises(Conflict):
        store.remove("task/r/000000", 2)
    store.remove("task/r/000000", 1)
    store.remove("task/r/000000", 1)
    assert store.read("task/r/000000") is None


def test_a_machine_that_is_heard_no_more_expires_and_others_do_not(cloud: LocalCloud, store: DynamoStore):
    store.swap({"kind": "machine", "key": "machine/i-1", "machine": "i-1", "beat": 1000.5, "version": 1, "nonce": "n"}, 0)
    store.swap(task(), 0)
    items = cloud.client("dynamodb").scan(TableName=store._table)["Items"]
    assert {item["key"]["S"]: item.get("expires") for item in items} == {"machine/i-1": {"N": str(1000 + 30 * 86400)}, "task/r/000000": None}


def test_the_time_is_that_of_the_replies(faulty: DynamoStore):
    assert abs(faulty.now() - time.time()) < 1.5


def test_replies_without_a_date_are_an_error_not_a_guess(service: FaultyService, faulty: DynamoStore):
    service.dated = False
    service.script[:] = [(200, "{}")]
    with pytest.raises(StoreError, match="no Date"):
        faulty.now()


@pytest.mark.parametrize("fault", ["hang", (500, "{}"), (503, "<html>"), "swallow"])
def test_a_write_without_an_answer_is_ambiguous(service: FaultyService, faulty: DynamoStore, fault: str | tuple[int, str]):
    service.script[:] = [fault]
    with pytest.raises(Ambiguous):
        faulty.swap(task(), 0)


def test_a_service_that_cannot_be_reached_makes_writes_ambiguous_and_reads_fail():
    with faulty_service() as gone:
        pass
    store = DynamoStore(impatient(gone), "t")
    with pytest.raises(Ambiguous):
        store.swap(task(), 0)
    with pytest.raises(StoreError, match="dynamodb:GetItem on table/t"):
        store.read("task/r/000000")


def test_a_read_without_an_answer_is_an_error_never_an_absent_record(service: FaultyService, faulty: DynamoStore):
    service.script[:] = ["hang"]
    with pytest.raises(StoreError, match="GetItem"):
        faulty.read("task/r/000000")
    service.script[:] = [(500, "")]
    with pytest.raises(StoreError, match="GetItem"):
        faulty.read("task/r/000000")
    service.script[:] = ["hang"]
    with pytest.raises(StoreError, match="Query"):
        list(faulty.tasks_in("running"))


def test_a_refusal_after_an_attempt_without_an_answer_is_ambiguous(cloud: LocalCloud, service: FaultyService):
    make_table(cloud, table := f"t{time.monotonic_ns()}")
    store = DynamoStore(impatient(service, attempts=2), table)
    service.script[:] = ["swallow", (400, json.dumps({"__type": "AccessDeniedException", "message": "no"}))]
    with pytest.raises(Ambiguous):
        store.swap(task(), 0)
    assert store.read("task/r/000000") == task()


@pytest.mark.parametrize(
    ("call", "action"),
    [
        (lambda store: store.read("task/r/0"), "dynamodb:GetItem on table/TABLE"),
        (lambda store: store.swap(task(), 0), "dynamodb:PutItem on table/TABLE"),
        (lambda store: store.remove("task/r/0", 1), "dynamodb:DeleteItem on table/TABLE"),
        (lambda store: list(store.tasks_in("running")), "dynamodb:Query on table/TABLE/index/by_state"),
        (lambda store: list(store.run_tasks("r")), "dynamodb:Query on table/TABLE/index/by_run"),
    ],
)
def test_a_missing_permission_is_named(service: FaultyService, faulty: DynamoStore, call: Any, action: str):
    service.script[:] = [(400, json.dumps({"__type": "com.amazon.coral.service#AccessDeniedException", "message": "User: x is not authorized"}))]
    with pytest.raises(StoreError) as fault:
        call(faulty)
    assert str(fault.value).startswith(f"permission missing: allow {action.replace('TABLE', faulty._table)} (")


def test_a_table_that_is_not_there_is_named(cloud: LocalCloud):
    with pytest.raises(StoreError, match=r"dynamodb:PutItem on table/absent: .*ResourceNotFoundException"):
        DynamoStore(cloud.client("dynamodb"), "absent").swap(task(), 0)


# How the ledger's writes come out when the network plays with them (spotbatch.settle).


def test_a_write_whose_answer_was_lost_is_found_to_have_happened_by_its_nonce(cloud: LocalCloud, service: FaultyService):
    make_table(cloud, table := f"t{time.monotonic_ns()}")
    store = DynamoStore(impatient(service, attempts=3), table)
    service.script[:] = ["swallow"]
    written = write(store, task(version=0), 0)
    # The client's own retry met the item that its first attempt had written.
    assert service.seen == ["PutItem", "PutItem", "GetItem"]
    assert store.read("task/r/000000") == written


def test_a_write_that_never_arrived_is_overtaken_by_one_that_moves_the_version_on(cloud: LocalCloud, service: FaultyService, faulty: DynamoStore):
    faulty.swap(task(), 0)
    service.script[:] = ["hang"]
    with pytest.raises(Overtaken):
        write(faulty, task(state="running"), 1)
    found = faulty.read("task/r/000000")
    assert found is not None and (found["state"], found["version"]) == ("queued", 2)


def test_a_store_that_stays_silent_leaves_an_error_that_says_the_write_may_have_happened(service: FaultyService, faulty: DynamoStore):
    faulty.swap(task(), 0)
    service.script[:] = [(500, "{}")] * 20
    with pytest.raises(StoreError, match="not known whether the write happened"):
        write(faulty, task(state="running"), 1, pause=lambda seconds: None)


def test_tasks_are_not_listed_by_kind_which_nobody_asks_for(store: DynamoStore, queue: str, cloud: LocalCloud):
    store.swap(task(), 0)
    item = cloud.client("dynamodb").get_item(TableName=queue.rpartition("/")[2], Key={"key": {"S": "task/r/000000"}})["Item"]
    assert set(item) == {"key", "run", "state", "machine", "version", "nonce", "body"}
