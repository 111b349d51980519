import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from lab.cloud import LocalCloud
from spotbatch.clouds.aws import connect
from spotbatch.protocols import Backend

INDEXES = {"by_run": ("run", "key"), "by_state": ("state", "machine"), "by_kind": ("kind", "key")}


@pytest.fixture(scope="session")
def running_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud"), notice_seconds=2) as running:
        yield running


@pytest.fixture
def cloud(running_cloud: LocalCloud) -> Iterator[LocalCloud]:
    """One local cloud for all files here, and an environment that leads to it; each test makes resources of its own."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in running_cloud.environment.items():
            environment.setenv(name, value)
        yield running_cloud


@pytest.fixture
def queue(cloud: LocalCloud) -> str:
    """URL of an empty queue with its table and bucket."""
    return make_queue(cloud)


@pytest.fixture
def backend(queue: str) -> Backend:
    return connect(queue)


def make_queue(cloud: LocalCloud) -> str:
    """What SqsTaskQueue declares, as far as the runtime can tell."""
    name = f"tasks-{uuid.uuid4().hex[:8]}"
    make_table(cloud, name)
    cloud.client("s3").create_bucket(Bucket=name)
    sqs = cloud.client("sqs")
    dead_letters = sqs.create_queue(QueueName=f"{name}-dead-letters")["QueueUrl"]
    tags = {"spotbatch:table": name, "spotbatch:bucket": name, "spotbatch:dead-letters": dead_letters}
    return sqs.create_queue(QueueName=name, tags=tags)["QueueUrl"]


def make_table(cloud: LocalCloud, name: str) -> None:
    cloud.client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": field, "AttributeType": "S"} for field in ("key", "kind", "machine", "run", "state")],
        GlobalSecondaryIndexes=[
            {
                "IndexName": index,
                "KeySchema": [{"AttributeName": first, "KeyType": "HASH"}, {"AttributeName": second, "KeyType": "RANGE"}],
                "Projection": {"ProjectionType": "ALL"},
            }
            for index, (first, second) in INDEXES.items()
        ],
    )


def messages(cloud: LocalCloud, url: str) -> list[dict[str, Any]]:
    """Every message that can be seen in a queue now."""
    found: list[dict[str, Any]] = []
    while (
        batch := cloud.client("sqs")
        .receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=60)
        .get("Messages")
    ):
        found += batch
    return found
