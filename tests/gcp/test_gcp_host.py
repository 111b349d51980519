import threading
import time
from collections.abc import Iterator

import pytest

from lab.google import MetadataServer
from spotbatch import clouds
from spotbatch.clouds.gcp_host import GcpHost
from spotbatch.clouds.gcp_metadata import Metadata
from spotbatch.notice import Notice
from spotbatch.protocols import Identity
from spotbatch.watcher import Watcher
from tests.spotbatch.clock import wait_until
from tests.spotbatch.world import World

QUEUE = "pubsub:projects/p/subscriptions/s"


@pytest.fixture
def server() -> Iterator[MetadataServer]:
    with MetadataServer() as running:
        yield running


@pytest.fixture
def host(server: MetadataServer) -> GcpHost:
    return GcpHost(Metadata(server.host), lambda: 1000.0)


class Ear:
    """A watcher at work, and when it first heard of an interruption."""

    def __init__(self, world: World, host: GcpHost) -> None:
        self.heard: list[Notice] = []
        self.at = 0.0
        self.watcher = Watcher(host, world.machines, lambda: ("m", "b", "a"), self.hear)

    def hear(self, notice: Notice) -> None:
        self.at = self.at or time.monotonic()
        self.heard.append(notice)

    def __enter__(self) -> "Ear":
        self.watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.watcher.stop()
        self.watcher.join(5)


def test_a_machine_knows_who_it_is(host: GcpHost, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SPOTBATCH_BOOT_ID", "boot 7")
    assert host.identity() == Identity("4520031799277581759", "boot 7", "n2-standard-4", "us-central1-a", True, 30.0)


def test_a_machine_that_is_not_spot_expects_no_notice(server: MetadataServer, host: GcpHost):
    server.set("instance/scheduling/preemptible", "FALSE")
    identity = host.identity()
    assert not identity.spot and identity.notice_seconds == 0


def test_without_a_longer_notice_a_preempted_machine_has_30_seconds(server: MetadataServer, host: GcpHost):
    assert list(host.notices()) == []
    server.set("instance/preempted", "TRUE")
    [notice] = host.notices()
    assert notice == Notice("4520031799277581759", "interruption", 1000.0, 1030.0, "preempted")
    assert list(host.notices()) == [notice]


@pytest.mark.parametrize(("said", "seconds"), [("120", 120.0), ("0", 30.0)])
def test_a_machine_has_as_long_as_its_metadata_say(server: MetadataServer, host: GcpHost, said: str, seconds: float):
    server.set("instance/attributes/spotbatch-notice-seconds", said)
    server.set("instance/preempted", "TRUE")
    assert host.identity().notice_seconds == seconds
    assert next(host.notices()).deadline == 1000.0 + seconds


def test_a_notice_that_is_no_number_is_refused_at_the_start(server: MetadataServer, host: GcpHost):
    server.set("instance/attributes/spotbatch-notice-seconds", "soon")
    with pytest.raises(OSError, match="spotbatch-notice-seconds is 'soon', allowed: whole seconds"):
        host.identity()


def test_the_first_wait_is_none_and_later_ones_carry_the_last_etag(server: MetadataServer, host: GcpHost):
    assert list(host.await_notices(1)) == []
    assert list(host.await_notices(1)) == []
    first, second = server.asked
    assert "wait_for_change" not in first
    assert "wait_for_change=true" in second and "last_etag=" in second and "timeout_sec=1" in second


@pytest.mark.timeout(30)
def test_a_machine_that_was_preempted_before_it_looked_hears_of_it_at_once(server: MetadataServer, host: GcpHost):
    server.set("instance/preempted", "TRUE")
    assert [notice.kind for notice in host.await_notices(3600)] == ["interruption"]


@pytest.mark.timeout(30)
def test_a_flip_between_two_waits_is_not_missed(server: MetadataServer, host: GcpHost):
    assert list(host.await_notices(3600)) == []
    server.set("instance/preempted", "TRUE")
    assert [notice.kind for notice in host.await_notices(3600)] == ["interruption"]


@pytest.mark.parametrize("fault", [503, "empty", "cut", "hang"])
def test_trouble_is_an_error_never_no_notice(server: MetadataServer, host: GcpHost, fault: int | str):
    server.refuse = lambda path: fault if path == "instance/preempted" else None
    with pytest.raises(OSError, match=r"metadata server 127\.0\.0\.1:\d+: (503 for|no|no answer|unreadable answer)"):
        list(host.notices())
    with pytest.raises(OSError, match=r"metadata server 127\.0\.0\.1:\d+: (503 for|no|no answer|unreadable answer)"):
        list(host.await_notices(1))


@pytest.mark.parametrize("fault", [503, "empty", "cut", "hang"])
def test_a_watcher_hears_of_a_flip_whatever_went_wrong_before(server: MetadataServer, host: GcpHost, world: World, fault: int | str):
    host.identity()
    faults = [fault] * 4
    lock = threading.Lock()

    def refuse(path: str) -> int | str | None:
        with lock:
            return faults.pop() if faults else None

    server.refuse = refuse
    with Ear(world, host) as ear:
        time.sleep(0.2)
        server.set("instance/preempted", "TRUE")
        wait_until(lambda: ear.heard, 20, "the notice")


def test_a_watcher_waits_for_the_flip_instead_of_looking_every_so_often(server: MetadataServer, host: GcpHost, world: World):
    with Ear(world, host) as ear:
        wait_until(lambda: any("wait_for_change" in path for path in server.asked), 10, "a long poll")
        server.set("instance/preempted", "TRUE")
        wait_until(lambda: ear.heard, 10, "the notice")
    assert ear.heard[0].kind == "interruption"


def test_the_queue_of_a_machine_is_in_its_metadata(server: MetadataServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("SPOTBATCH_QUEUE", raising=False)
    monkeypatch.setenv("GCE_METADATA_HOST", server.host)
    assert clouds.default_queue() == clouds.DEFAULT_QUEUE
    server.set("instance/attributes/spotbatch-queue", QUEUE)
    assert clouds.default_queue() == QUEUE
    assert clouds.host(QUEUE).identity().machine == "4520031799277581759"
