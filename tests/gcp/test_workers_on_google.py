"""Whole workers on Cloud Storage, Pub/Sub and a metadata server each: one is preempted, the other goes on from its checkpoint."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.google import MetadataServer
from tests.spotbatch.clock import wait_until
from tests.spotbatch.machines import Machines

OTHER = "7310054426618832190"


@pytest.fixture
def machines(tmp_path: Path, queue: str) -> Iterator[Machines]:
    made = Machines(tmp_path, queue)
    yield made
    made.close()


def test_a_preempted_machine_gives_back_and_another_one_ends_the_run_with_every_result_once(machines: Machines):
    with MetadataServer() as here, MetadataServer() as elsewhere:
        elsewhere.set("instance/id", OTHER)
        machines.submit(60, 60)
        first = machines.start("counted:Running", "--processes", "1", GCE_METADATA_HOST=here.host, JOB_SECONDS="0.05")
        wait_until(lambda: machines.log.exists() and len(machines.log.read_text().split()) >= 15, 40, "some items")
        here.set("instance/preempted", "TRUE")
        wait_until(lambda: [event for event in machines.events() if event.get("event") == "given back"], 20, "a task given back")
        assert first.poll() is None, "it stays until it is taken"
        done = len(machines.log.read_text().split())
        first.kill()
        last = machines.start("counted:Running", "--processes", "1", "--until-empty", GCE_METADATA_HOST=elsewhere.host)
        assert machines.ended(last) == 0
    assert done < 60
    assert machines.results() == [sum(range(number + 1)) for number in range(60)]
    assert sorted(int(line) for line in machines.log.read_text().split()) == list(range(60)), "given back with its last item saved"
