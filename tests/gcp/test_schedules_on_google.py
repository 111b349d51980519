"""The ledger under any schedule on Cloud Storage and Pub/Sub, through Google's own clients; answers get lost behind a proxy."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from lab.google import LocalGoogle
from spotbatch.clouds.gcp import connect
from tests.gcp.conftest import HASTE, make_queue
from tests.spotbatch.clouds.faulty_service import FaultyService, faulty_service
from tests.spotbatch.clouds.test_schedules_on_clouds import CloudWorld
from tests.spotbatch.schedules import Schedules
from tests.spotbatch.test_schedules import HEALTH
from tests.spotbatch.world import World


@pytest.fixture
def service(hasty_google: LocalGoogle) -> Iterator[FaultyService]:
    with faulty_service(hasty_google.limit.endpoint) as running:
        yield running


def test_under_any_schedule_nothing_is_lost_and_nothing_doubled(hasty_google: LocalGoogle, service: FaultyService):
    sound_way = hasty_google.environment["STORAGE_EMULATOR_HOST"]

    def made(folder: Path) -> World:
        queue = make_queue()
        sound = connect(queue, HASTE)
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("STORAGE_EMULATOR_HOST", service.endpoint)
            spoiled = connect(queue, HASTE)
        assert os.environ["STORAGE_EMULATOR_HOST"] == sound_way
        return CloudWorld(folder, spoiled, sound, service.script)

    class OnGoogle(Schedules):
        make = staticmethod(made)

    run_state_machine_as_test(OnGoogle, settings=settings(max_examples=10, stateful_step_count=30, deadline=None, suppress_health_check=HEALTH))
    assert {"GET", "POST", "DELETE"} <= set(service.seen)
