"""What the local Cloud Storage refuses, as Google's own client sees it."""

import threading
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from google.api_core.exceptions import PreconditionFailed, TooManyRequests
from google.cloud.storage import Client

from lab.google import LocalGoogle


@pytest.fixture
def bucket(google: LocalGoogle) -> Any:
    return Client().create_bucket(f"b{uuid.uuid4().hex[:8]}")


def write(blob: Any, generation: int) -> None:
    blob.upload_from_string(b"{}", if_generation_match=generation, retry=None)


def test_an_object_is_written_once_a_second_and_others_meanwhile(bucket: Any):
    blob = bucket.blob("a/b")
    write(blob, 0)
    with pytest.raises(TooManyRequests):
        write(blob, blob.generation)
    write(bucket.blob("a/c"), 0)
    time.sleep(1)
    write(blob, blob.generation)


def test_a_refused_write_does_not_count(bucket: Any):
    blob = bucket.blob("a")
    write(blob, 0)
    time.sleep(1)
    with pytest.raises(PreconditionFailed):
        write(bucket.blob("a"), 0)
    write(blob, blob.generation)


def test_a_change_of_metadata_is_a_write(bucket: Any):
    blob = bucket.blob("a b/ü")
    write(blob, 0)
    blob.metadata = {"state": "queued"}
    with pytest.raises(TooManyRequests):
        blob.patch(retry=None)


def test_of_64_racing_creates_one_wins(bucket: Any):
    start, won = threading.Barrier(64), []

    def race() -> None:
        start.wait(30)
        try:
            write(bucket.blob("a"), 0)
            won.append(True)
        except (PreconditionFailed, TooManyRequests):
            pass

    racers = [threading.Thread(target=race) for _ in range(64)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
    assert won == [True]


def test_an_object_is_removed_at_its_generation_only(bucket: Any):
    blob = bucket.blob("a")
    write(blob, 0)
    with pytest.raises(PreconditionFailed):
        blob.delete(if_generation_match=blob.generation + 1)
    blob.delete(if_generation_match=blob.generation)
    assert not blob.exists()


def test_its_servers_end_with_it(tmp_path: Path):
    with LocalGoogle(tmp_path) as google:
        processes = list(google._running.values())
        assert [process.poll() for process in processes] == [None, None]
    assert all(process.returncode for process in processes)
