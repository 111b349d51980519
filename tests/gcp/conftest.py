import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient

from lab.google import LocalGoogle
from spotbatch.clouds.gcp import BUCKET_LABEL, connect
from spotbatch.clouds.gcp_client import storage_client
from spotbatch.protocols import Backend
from tests.spotbatch.world import World

PROJECT = "projects/lab"


@pytest.fixture(scope="session")
def running_google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalGoogle]:
    with LocalGoogle(tmp_path_factory.mktemp("google")) as running:
        yield running


@pytest.fixture(scope="session")
def running_hasty_google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalGoogle]:
    """Where a second lasts 20 ms: the same rules, for suites that write much."""
    with LocalGoogle(tmp_path_factory.mktemp("google"), HASTE) as running:
        yield running


HASTE = 0.02


@pytest.fixture
def google(running_google: LocalGoogle) -> Iterator[LocalGoogle]:
    """Cloud Storage and Pub/Sub for all files here, and an environment that leads to them; each test makes resources of its own."""
    with led_to(running_google):
        yield running_google


@pytest.fixture
def hasty_google(running_hasty_google: LocalGoogle) -> Iterator[LocalGoogle]:
    with led_to(running_hasty_google):
        yield running_hasty_google


@pytest.fixture
def queue(google: LocalGoogle) -> str:
    """Name of an empty queue with its bucket."""
    return make_queue()


@pytest.fixture
def backend(queue: str) -> Backend:
    return connect(queue)


@contextmanager
def led_to(google: LocalGoogle) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as environment:
        for name, value in google.environment.items():
            environment.setenv(name, value)
        yield


def make_queue() -> str:
    """What PubSubTaskQueue declares, as far as the runtime can tell."""
    name = f"tasks-{uuid.uuid4().hex[:8]}"
    storage_client().create_bucket(name)
    topics, subscriptions = PublisherClient(), SubscriberClient()
    for topic in (name, f"{name}-dead-letters"):
        topics.create_topic(request={"name": f"{PROJECT}/topics/{topic}"})
    subscription = f"{PROJECT}/subscriptions/{name}"
    subscriptions.create_subscription(
        request={
            "name": subscription,
            "topic": f"{PROJECT}/topics/{name}",
            "labels": {BUCKET_LABEL: name},
            "dead_letter_policy": {"dead_letter_topic": f"{PROJECT}/topics/{name}-dead-letters", "max_delivery_attempts": 100},
        }
    )
    subscriptions.create_subscription(request={"name": f"{subscription}-dead-letters", "topic": f"{PROJECT}/topics/{name}-dead-letters"})
    return f"pubsub:{subscription}"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)
