import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from lab.google import LocalGoogle
from spotbatch.clouds.gcp_client import storage_client
from spotbatch.clouds.gcp_store import GcsStore
from spotbatch.protocols import Ambiguous, Conflict, Record, StoreError
from spotbatch.settle import write
from tests.gcp.conftest import HASTE
from tests.spotbatch.clouds.faulty_service import FaultyService, faulty_service


def task(run: str = "r", number: int = 0, version: int = 1, **more: Any) -> Record:
    name = f"{number:06d}"
    record = {"kind": "task", "key": f"task/{run}/{name}", "run": run, "task": name, "state": "queued", "machine": "-", "version": version}
    return {**record, "nonce": f"nonce-{version}", **more}


@pytest.fixture
def bucket(hasty_google: LocalGoogle) -> str:
    return storage_client().create_bucket(f"b{uuid.uuid4().hex[:8]}").name


@pytest.fixture
def store(bucket: str) -> GcsStore:
    return GcsStore(storage_client(), bucket, HASTE)


@pytest.fixture
def service(hasty_google: LocalGoogle) -> Iterator[FaultyService]:
    with faulty_service(hasty_google.limit.endpoint) as running:
        yield running


@pytest.fixture
def faulty(service: FaultyService, bucket: str) -> GcsStore:
    """A store behind a service that does what the test says."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("STORAGE_EMULATOR_HOST", service.endpoint)
        return GcsStore(storage_client(), bucket, HASTE)


def test_a_record_reads_back_as_written(store: GcsStore):
    record = task(text="é \u2028 ☃", numbers=[1, 2.5, None, True], nested={"a": [{"b": ""}]})
    store.swap(record, 0)
    assert store.read(record["key"]) == record
    assert store.read("task/r/none") is None


def test_a_swap_needs_the_version_that_was_read(store: GcsStore, bucket: str):
    store.swap(task(), 0)
    with pytest.raises(Conflict):
        store.swap(task(), 0)
    other = GcsStore(storage_client(), bucket, HASTE)
    other.swap(task(version=2), 1)
    with pytest.raises(Conflict):
        store.swap(task(version=2, state="done"), 1)
    with pytest.raises(Conflict):
        store.swap(task(number=9, version=4), 3)
    assert store.read("task/r/000000") == task(version=2)


def test_a_version_that_comes_again_after_a_removal_is_not_taken_for_the_old_one(store: GcsStore, bucket: str):
    store.swap(task(), 0)
    other = GcsStore(storage_client(), bucket, HASTE)
    other.remove("task/r/000000", 1)
    other.swap(task(nonce="other"), 0)
    with pytest.raises(Conflict):
        store.swap(task(version=2), 1)
    store.swap(task(version=2), 1)


@pytest.mark.parametrize("expected", [0, 1])
def test_of_64_racing_writers_one_wins(store: GcsStore, bucket: str, expected: int):
    if expected:
        store.swap(task(), 0)
    start, outcomes = threading.Barrier(64), []

    def race(number: int) -> None:
        own = GcsStore(storage_client(), bucket, HASTE)
        start.wait(30)
        try:
            own.swap(task(version=expected + 1, nonce=str(number)), expected)
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


def test_lists_go_by_run_by_state_and_by_owner(store: GcsStore):
    store.swap({"kind": "run", "key": "run/r", "run": "r", "version": 1, "nonce": "n"}, 0)
    store.swap({"kind": "machine", "key": "machine/1", "machine": "1", "beat": 1.0, "version": 1, "nonce": "n"}, 0)
    store.swap(task(number=2, state="running", machine="1"), 0)
    store.swap(task(number=1, state="running", machine="2"), 0)
    store.swap(task(number=0), 0)
    store.swap(task(run="r2"), 0)

    def names(found: Iterator[Record]) -> list[str]:
        return [record["key"] for record in found]

    assert names(store.run_tasks("r")) == ["task/r/000000", "task/r/000001", "task/r/000002"]
    assert names(store.tasks_in("queued")) == ["task/r/000000", "task/r2/000000"]
    assert names(store.tasks_in("running")) == ["task/r/000001", "task/r/000002"]
    assert names(store.tasks_in("running", "1")) == ["task/r/000002"]
    assert names(store.tasks_in("done")) == []
    assert names(store.runs()) == ["run/r"]
    assert names(store.machines()) == ["machine/1"]


def test_a_list_by_state_reads_only_what_it_yields(faulty: GcsStore, service: FaultyService):
    for number in range(5):
        faulty.swap(task(number=number, state="running" if number == 3 else "done"), 0)
    service.seen.clear()
    assert [record["task"] for record in faulty.tasks_in("running")] == ["000003"]
    assert service.seen == ["GET", "GET"]


def test_a_list_of_more_than_a_page_is_whole(store: GcsStore, bucket: str):
    folder = storage_client().bucket(bucket)
    for number in range(1100):
        blob = folder.blob(f"ledger/task/r/{number:06d}")
        blob.metadata = {"state": "running" if number % 500 == 1 else "done"}
        blob.upload_from_string('{"key":"k","version":1,"state":"running"}')
    assert len(list(store.tasks_in("running"))) == 3


def test_a_record_is_removed_at_its_version_only(store: GcsStore, bucket: str):
    store.swap(task(), 0)
    with pytest.raises(Conflict):
        store.remove("task/r/000000", 2)
    other = GcsStore(storage_client(), bucket, HASTE)
    other.swap(task(version=2), 1)
    with pytest.raises(Conflict):
        store.remove("task/r/000000", 1)
    store.remove("task/r/000000", 2)
    store.remove("task/r/000000", 2)
    assert store.read("task/r/000000") is None


def test_one_process_never_writes_a_record_twice_within_a_second(google: LocalGoogle):
    store = GcsStore(storage_client(), storage_client().create_bucket(f"b{uuid.uuid4().hex[:8]}").name)
    refused, begun = google.limit.refused, time.monotonic()
    store.swap(task(), 0)
    store.swap(task(version=2), 1)
    store.swap(task(number=1), 0)
    assert time.monotonic() - begun >= 1
    assert google.limit.refused == refused


def test_a_write_just_after_somebody_elses_is_tried_again_until_the_second_is_over(google: LocalGoogle):
    bucket = storage_client().create_bucket(f"b{uuid.uuid4().hex[:8]}").name
    one, other = (GcsStore(storage_client(), bucket) for _ in range(2))
    refused = google.limit.refused
    one.swap(task(), 0)
    other.swap(task(version=2), 1)
    assert google.limit.refused > refused
    assert one.read("task/r/000000") == task(version=2)


def test_the_time_is_that_of_the_replies(store: GcsStore):
    assert abs(store.now() - time.time()) < 1.5


@pytest.mark.parametrize("fault", [(503, "{}"), (500, ""), (429, ""), "swallow"])
def test_a_write_is_tried_again_and_found_to_have_happened(faulty: GcsStore, service: FaultyService, fault: Any):
    service.script[:] = [fault]
    written = write(faulty, task(version=0), 0)
    assert faulty.read("task/r/000000") == written


def test_a_refusal_after_an_attempt_without_an_answer_is_ambiguous(faulty: GcsStore, service: FaultyService):
    service.script[:] = ["swallow", (403, "{}")]
    with pytest.raises(Ambiguous):
        faulty.swap(task(), 0)
    assert faulty.read("task/r/000000") == task()


@pytest.mark.parametrize(
    ("call", "permission"),
    [
        (lambda store: store.read("task/r/0"), "storage.objects.get"),
        (lambda store: store.swap(task(), 0), "storage.objects.create"),
        (lambda store: list(store.tasks_in("running")), "storage.objects.list"),
    ],
)
def test_a_missing_permission_is_named(faulty: GcsStore, service: FaultyService, call: Any, permission: str):
    service.script[:] = [(403, "{}")]
    with pytest.raises(StoreError, match=f"permission missing: allow {permission} on b"):
        call(faulty)


def test_a_bucket_that_is_not_there_is_no_absent_record(faulty: GcsStore, service: FaultyService):
    service.script[:] = [(404, "The specified bucket does not exist.")]
    with pytest.raises(StoreError, match="bucket does not exist"):
        faulty.read("task/r/000000")


def test_what_is_no_record_is_an_error_that_names_it(store: GcsStore, bucket: str):
    storage_client().bucket(bucket).blob("ledger/task/r/000000").upload_from_string("[1]")
    with pytest.raises(StoreError, match=f"{bucket}/ledger/task/r/000000: not a record: TypeError"):
        store.read("task/r/000000")
