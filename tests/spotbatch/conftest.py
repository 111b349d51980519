import pytest

from tests.spotbatch.world import World


@pytest.fixture
def world(tmp_path) -> World:
    return World(tmp_path)
