"""The project's own stacks on the real engine, against one local cloud for a test file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.cloud import LocalCloud
from lab.engine import Engine
from lab.engine.cli import find_cli
from lab.places import CHECKOUT

STACKS = sorted(path.name.split(".")[1] for path in (CHECKOUT / "stacks").glob("Pulumi.*.yaml"))


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """An empty local cloud."""
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture
def engine(cloud: LocalCloud, tmp_path: Path) -> Engine:
    """The engine on this checkout, with no stack deployed."""
    return Engine(CHECKOUT, tmp_path / "engine", cloud.environment, find_cli())
