from collections.abc import Iterator

import pytest

from lab.google import LocalGoogle


@pytest.fixture(scope="session")
def running_google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalGoogle]:
    with LocalGoogle(tmp_path_factory.mktemp("google")) as running:
        yield running


@pytest.fixture
def google(running_google: LocalGoogle) -> Iterator[LocalGoogle]:
    """Cloud Storage and Pub/Sub for all files here, and an environment that leads to them; each test makes resources of its own."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in running_google.environment.items():
            environment.setenv(name, value)
        yield running_google
