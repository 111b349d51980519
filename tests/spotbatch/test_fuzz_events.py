"""Whatever comes as an event is handled, or ends in the dead letters with its reason; it never comes again and again."""

import contextlib
import json
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from spotbatch.handler import Handler, reminder
from spotbatch.notice import MalformedEvent
from tests.spotbatch.recorded import MACHINE, NAMES, SENT, recorded
from tests.spotbatch.scheduled_machines import MEMORY
from tests.spotbatch.test_handler import Group
from tests.spotbatch.test_odd_records import quick, values
from tests.spotbatch.world import World

texts = st.text(max_size=8) | st.sampled_from(["i-", MACHINE, "terminate", "2022-08-11T14:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"])
odd = values | texts


@st.composite
def events(draw):
    """A recorded event of ours, of which some fields hold something else, or are gone."""
    event = recorded(draw(st.sampled_from(NAMES)))
    for _ in range(draw(st.integers(1, 3))):
        inside = draw(st.booleans()) and isinstance(event.get("detail"), dict) and event["detail"]
        place = event["detail"] if inside else event
        field = draw(st.sampled_from(sorted(place)))
        if draw(st.booleans()):
            place[field] = draw(odd)
        else:
            del place[field]
    return event


@settings(quick, max_examples=300)
@given(message=events() | odd | st.builds(lambda machine: reminder(machine), texts) | st.fixed_dictionaries({"spotbatch": odd, "machine": odd}))
def test_any_message_is_handled_or_malformed_and_the_ledger_stays_whole(message):
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        world = World(Path(name))
        world.submit(items=20)
        world.clock.now = SENT - 3600
        claim = world.saved(world.claimed(world.machine(MACHINE)), 4)
        world.clock.now = SENT + 1
        handler = Handler(world.ledger, Group(), lambda machine, seconds: None)
        # What SQS carries is JSON.
        message = json.loads(json.dumps(message))
        for _ in range(2):
            with contextlib.suppress(MalformedEvent):
                handler.message(message)
        # Nothing is lost: a healthy machine gets both tasks, one of them with its progress.
        world.clock.passes(200_000)
        world.sweep()
        healthy = world.machine("i-healthy")
        assert [world.ledger.claim("run", task, healthy).items_done for task in ("000000", "000001")] == [claim.items_done, 0]
