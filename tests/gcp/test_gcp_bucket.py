import pytest

from lab.google import LocalGoogle
from spotbatch.clouds.gcp_bucket import GcsBucket
from spotbatch.clouds.gcp_client import storage_client
from spotbatch.protocols import Backend, Missing, StoreError
from tests.spotbatch.clouds.faulty_service import faulty_service


def test_a_payload_is_written_once(backend: Backend):
    backend.payloads.put("runs/r/a", b"1")
    backend.payloads.put("runs/r/a", b"1")
    with pytest.raises(StoreError, match="runs/r/a: holds other bytes already"):
        backend.payloads.put("runs/r/a", b"2")
    assert backend.payloads.get("runs/r/a") == b"1"


def test_a_large_payload_reads_back_as_written(backend: Backend):
    backend.payloads.put("runs/r/a", b"x" * 9_000_000)
    assert backend.payloads.get("runs/r/a") == b"x" * 9_000_000


def test_payloads_are_listed_by_prefix_and_apart_from_the_ledger(backend: Backend):
    for key in ("runs/r/b", "runs/r/a", "runs/r2/a"):
        backend.payloads.put(key, b"1")
    backend.store.swap({"kind": "run", "key": "run/r", "run": "r", "version": 1, "nonce": "n"}, 0)
    assert list(backend.payloads.keys("runs/r/")) == ["runs/r/a", "runs/r/b"]
    assert len(list(backend.payloads.keys("runs/"))) == 3


def test_a_payload_that_is_gone_is_missing_and_may_be_deleted_again(backend: Backend):
    backend.payloads.put("runs/r/a", b"1")
    backend.payloads.delete("runs/r/a")
    backend.payloads.delete("runs/r/a")
    with pytest.raises(Missing):
        backend.payloads.get("runs/r/a")


@pytest.mark.parametrize("answer", [(403, "{}"), (404, "The specified bucket does not exist.")])
def test_a_payload_that_cannot_be_reached_is_not_missing(google: LocalGoogle, answer: tuple[int, str]):
    with faulty_service(google.limit.endpoint) as service, pytest.MonkeyPatch.context() as environment:
        environment.setenv("STORAGE_EMULATOR_HOST", service.endpoint)
        bucket = GcsBucket(storage_client(), "b")
        service.script[:] = [answer]
        with pytest.raises(StoreError, match=r"storage\.objects\.get on b/runs/r/a"):
            bucket.get("runs/r/a")
