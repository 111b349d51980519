"""The ledger under any schedule on the local store. On the clouds' own: clouds/test_schedules_on_clouds.py."""

import os

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.spotbatch.schedules import Schedules
from tests.spotbatch.world import World

SCHEDULES = int(os.environ.get("SCHEDULES", "150"))
"""How many: `SCHEDULES=20000 pytest tests/spotbatch/test_schedules.py` for a night."""

HEALTH = (HealthCheck.too_slow, HealthCheck.filter_too_much)


class OnTheLocalStore(Schedules):
    make = World


def test_under_any_schedule_nothing_is_lost_and_nothing_doubled():
    chosen = settings(max_examples=SCHEDULES, stateful_step_count=40, deadline=None, suppress_health_check=HEALTH)
    run_state_machine_as_test(OnTheLocalStore, settings=chosen)
