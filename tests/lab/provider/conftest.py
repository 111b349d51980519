from collections.abc import Iterator

import pytest

from lab.cloud import LocalCloud

from .engine_side import EngineSide


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """One cloud for all: each test makes what it needs and takes it away again."""
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(scope="session")
def engine(cloud: LocalCloud) -> EngineSide:
    return EngineSide({"endpoint_url": cloud.endpoint, "aws_access_key_id": "test", "aws_secret_access_key": "test"})
