import json
import os
from collections.abc import Iterator

import pytest

from lab.cloud import LocalCloud
from tests.components import recorder
from tests.components.event_bus import Matches

# An Output that is formatted as text by mistake raises instead of yielding prose.
os.environ["PULUMI_ERROR_OUTPUT_STRING"] = "true"


@pytest.fixture(params=[False, True], ids=["update", "preview"])
def preview(request: pytest.FixtureRequest) -> bool:
    """A test that takes this runs twice: where everything becomes known, and where outputs stay unknown."""
    return request.param


@pytest.fixture
def deploy():
    """`deploy(program, preview=False)`: run a Pulumi program without an engine, see tests/components/recorder.py."""
    return recorder.deploy


@pytest.fixture(scope="module")
def matches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matches]:
    """`matches(pattern, event)`, as the local cloud's event bus says."""
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as cloud:
        events = cloud.client("events")
        yield lambda pattern, event: events.test_event_pattern(EventPattern=pattern, Event=json.dumps(event))["Result"]
