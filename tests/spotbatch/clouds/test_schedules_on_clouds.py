"""The ledger under any schedule on each cloud's own services, through its own client library, which asks again by itself.

A proxy loses answers after the service has done what it was asked: the library's retry then finds its own first attempt.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from lab.cloud import LocalCloud
from spotbatch.clouds.aws import connect
from spotbatch.ledger import Ledger
from spotbatch.machine import Machine
from spotbatch.protocols import Backend
from spotbatch.task import Task
from tests.spotbatch.clouds.conftest import make_queue
from tests.spotbatch.clouds.faulty_service import faulty_service
from tests.spotbatch.faulty_store import FaultyStore
from tests.spotbatch.schedules import Schedules
from tests.spotbatch.test_schedules import HEALTH
from tests.spotbatch.world import RUN, World


class CloudWorld(World):
    """A world whose ledger, bucket and doorbell are a cloud's. `spoiled` is reached through the proxy; the test itself looks past it."""

    def __init__(self, folder: Path, spoiled: Backend, sound: Backend, replies_to_cut: list) -> None:
        super().__init__(folder)
        self.replies_to_cut = replies_to_cut
        self.store = FaultyStore(spoiled.store)
        self.store.now = self.clock
        self.payloads, self.bells = spoiled.payloads, spoiled.doorbell
        self.ledger = Ledger(Backend("test", self.store, self.payloads, self.bells))
        self.machines = self.ledger.machines
        self._sound = Ledger(sound)

    def task(self, task: str = "000000") -> Task:
        found = self._sound.task(RUN, task)
        assert found is not None
        return found

    def registered(self, name: str) -> Machine | None:
        return self._sound.machines.read(name)

    def damage(self, key: str) -> None:
        self._sound.payloads.delete(key)
        self._sound.payloads.put(key, b"rot")


@contextmanager
def aws(cloud: LocalCloud) -> Iterator[Callable[[Path], World]]:
    """DynamoDB, SQS and S3."""
    with faulty_service(cloud.endpoint) as service, pytest.MonkeyPatch.context() as environment:

        def make(folder: Path) -> World:
            queue = make_queue(cloud)
            environment.setenv("AWS_ENDPOINT_URL", cloud.endpoint)
            sound = connect(queue)
            # Its S3 client is made at the first use, and must know the way past the proxy.
            assert not list(sound.payloads.keys("runs/"))
            environment.setenv("AWS_ENDPOINT_URL", service.endpoint)
            return CloudWorld(folder, connect(queue), sound, service.script)

        yield make
        assert {"PutItem", "SendMessage", "PUT"} <= set(service.seen)


@pytest.mark.parametrize("backend", [aws])
def test_under_any_schedule_nothing_is_lost_and_nothing_doubled(backend, cloud: LocalCloud):
    with backend(cloud) as made:

        class OnACloud(Schedules):
            make = staticmethod(made)

        run_state_machine_as_test(OnACloud, settings=settings(max_examples=10, stateful_step_count=30, deadline=None, suppress_health_check=HEALTH))
