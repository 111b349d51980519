import os

import pytest

from tests.components import recorder

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
