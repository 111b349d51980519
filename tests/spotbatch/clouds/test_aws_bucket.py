import time
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from botocore.config import Config

from lab.cloud import LocalCloud
from spotbatch.clouds.aws_bucket import S3Bucket
from spotbatch.protocols import Backend, Missing, Payloads, StoreError
from tests.spotbatch.clouds.faulty_service import FaultyService, faulty_service

DENIED = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
BUSY = "<Error><Code>ConditionalRequestConflict</Code></Error>"


@pytest.fixture
def payloads(backend: Backend) -> Payloads:
    return backend.payloads


@pytest.fixture
def service(cloud: LocalCloud) -> Iterator[FaultyService]:
    with faulty_service(cloud.endpoint) as running:
        yield running


@pytest.fixture
def faulty(cloud: LocalCloud, service: FaultyService) -> S3Bucket:
    name = f"b{time.monotonic_ns()}"
    cloud.client("s3").create_bucket(Bucket=name)

    def client() -> Any:
        config = Config(read_timeout=0.3, retries={"mode": "standard", "total_max_attempts": 1})  # pyright: ignore[reportArgumentType]
        return botocore.session.get_session().create_client("s3", region_name="us-east-1", endpoint_url=service.endpoint, config=config)

    return S3Bucket(client, name)


def test_bytes_come_back_as_stored(payloads: Payloads):
    for key, data in {"runs/r/a": b"", "runs/r/b": bytes(range(256)) * 5000, "runs/r/é ü": b"x"}.items():
        payloads.put(key, data)
        assert payloads.get(key) == data


def test_a_key_is_written_once_and_the_same_bytes_again_are_fine(payloads: Payloads):
    payloads.put("runs/r/a", b"one")
    payloads.put("runs/r/a", b"one")
    with pytest.raises(StoreError, match="runs/r/a: holds other bytes already"):
        payloads.put("runs/r/a", b"two")
    assert payloads.get("runs/r/a") == b"one"


def test_an_absent_key_is_missing_and_can_be_deleted(payloads: Payloads):
    with pytest.raises(Missing):
        payloads.get("runs/r/none")
    payloads.delete("runs/r/none")
    payloads.put("runs/r/a", b"one")
    payloads.delete("runs/r/a")
    with pytest.raises(Missing):
        payloads.get("runs/r/a")


def test_keys_under_a_prefix_come_in_order_however_many(payloads: Payloads, cloud: LocalCloud):
    for number in range(12):
        payloads.put(f"runs/r/{number:02d}", b"")
    payloads.put("runs/s/00", b"")
    assert list(payloads.keys("runs/r/")) == [f"runs/r/{number:02d}" for number in range(12)]
    assert list(payloads.keys("none/")) == []


def test_a_missing_permission_is_named_and_never_taken_for_a_missing_payload(service: FaultyService, faulty: S3Bucket):
    faulty.put("runs/r/a", b"one")
    service.script[:] = [(403, DENIED)]
    with pytest.raises(StoreError, match=r"^permission missing: allow s3:GetObject on b\d+/runs/r/a"):
        faulty.get("runs/r/a")
    service.script[:] = [(403, DENIED)]
    with pytest.raises(StoreError, match=r"^permission missing: allow s3:PutObject on b\d+/runs/r/b"):
        faulty.put("runs/r/b", b"two")
    service.script[:] = [(403, DENIED), (403, DENIED)]
    with pytest.raises(StoreError, match=r"^permission missing: allow s3:ListBucket on b\d+ \(prefix runs/r/a\)"):
        faulty.get("runs/r/a")


def test_an_absent_key_is_missing_for_machines_that_may_list_below_runs_only(service: FaultyService, faulty: S3Bucket):
    # S3 answers 403 then; with the permission for the whole bucket it would be 404.
    service.script[:] = [(403, DENIED)]
    with pytest.raises(Missing):
        faulty.get("runs/r/none")


@pytest.mark.parametrize("fault", ["hang", (500, ""), (503, "<Error><Code>SlowDown</Code></Error>"), "swallow"])
def test_trouble_with_the_store_is_never_a_missing_payload(service: FaultyService, faulty: S3Bucket, fault: Any):
    faulty.put("runs/r/a", b"one")
    service.script[:] = [fault]
    with pytest.raises(StoreError, match="s3:GetObject on"):
        faulty.get("runs/r/a")


def test_two_who_create_a_key_at_the_same_moment_both_find_it_written(service: FaultyService, faulty: S3Bucket):
    service.script[:] = [(409, BUSY), (409, BUSY)]
    faulty.put("runs/r/a", b"one")
    assert faulty.get("runs/r/a") == b"one"
    service.script[:] = [(409, BUSY)] * 9
    with pytest.raises(StoreError, match="s3:PutObject on"):
        faulty.put("runs/r/b", b"one")


def test_a_write_whose_answer_was_lost_can_be_repeated(service: FaultyService, faulty: S3Bucket):
    service.script[:] = ["swallow"]
    with pytest.raises(StoreError):
        faulty.put("runs/r/a", b"one")
    faulty.put("runs/r/a", b"one")
