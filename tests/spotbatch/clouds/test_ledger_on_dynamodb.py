"""The rules of the ledger, once more: the same tests that hold for the local store, on DynamoDB and S3."""

from pathlib import Path

import pytest

from lab.cloud import LocalCloud
from spotbatch.clouds.aws import connect
from spotbatch.ledger import Ledger
from spotbatch.protocols import Backend
from tests.spotbatch.clouds.conftest import make_queue
from tests.spotbatch.faulty_store import FaultyStore
from tests.spotbatch.test_ledger import *  # noqa: F403
from tests.spotbatch.test_registry import *  # noqa: F403
from tests.spotbatch.test_settle import *  # noqa: F403
from tests.spotbatch.test_sweep import *  # noqa: F403
from tests.spotbatch.world import World

# It plays with the local bucket's files; test_aws_bucket.py says the same of S3.
del test_a_payload_that_is_gone_from_the_bucket_is_damaged_and_one_that_cannot_be_reached_is_not  # noqa: F821


@pytest.fixture
def world(cloud: LocalCloud, tmp_path: Path) -> World:
    """A world whose records are in DynamoDB and payloads in S3; its clock and its network stay those of the test."""
    return DynamoWorld(cloud, tmp_path)


class DynamoWorld(World):
    def __init__(self, cloud: LocalCloud, folder: Path) -> None:
        super().__init__(folder)
        backend = connect(make_queue(cloud))
        self.store = FaultyStore(backend.store)
        self.store.now = self.clock
        self.payloads = backend.payloads
        self.ledger = Ledger(Backend("test", self.store, self.payloads, self.bells))
        self.machines = self.ledger.machines
