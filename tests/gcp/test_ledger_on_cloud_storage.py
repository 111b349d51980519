"""The rules of the ledger, once more: the same tests that hold for the local store, on Cloud Storage."""

from pathlib import Path

import pytest

from lab.google import LocalGoogle
from spotbatch.clouds.gcp import connect
from spotbatch.ledger import Ledger
from spotbatch.protocols import Backend
from tests.gcp.conftest import HASTE, make_queue
from tests.spotbatch.faulty_store import FaultyStore
from tests.spotbatch.test_ledger import *  # noqa: F403
from tests.spotbatch.test_registry import *  # noqa: F403
from tests.spotbatch.test_settle import *  # noqa: F403
from tests.spotbatch.test_sweep import *  # noqa: F403
from tests.spotbatch.world import World

# It plays with the local bucket's files; test_gcp_bucket.py says the same of Cloud Storage.
del test_a_payload_that_is_gone_from_the_bucket_is_damaged_and_one_that_cannot_be_reached_is_not  # noqa: F821


@pytest.fixture
def world(hasty_google: LocalGoogle, tmp_path: Path) -> World:
    """A world whose records and payloads are in Cloud Storage; its clock and its network stay those of the test."""
    return CloudStorageWorld(tmp_path)


class CloudStorageWorld(World):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        backend = connect(make_queue(), HASTE)
        self.store = FaultyStore(backend.store)
        self.store.now = self.clock
        self.payloads = backend.payloads
        self.ledger = Ledger(Backend("test", self.store, self.payloads, self.bells))
        self.machines = self.ledger.machines
