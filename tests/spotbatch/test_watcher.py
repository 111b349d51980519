import pytest

from spotbatch.notice import Kind, Notice
from spotbatch.protocols import Identity
from spotbatch.watcher import Watcher
from tests.spotbatch.clock import wait_until


class Metadata:
    """A machine's metadata that a test sets."""

    def __init__(self):
        self.stands = []
        self.trouble = None

    def identity(self):
        return Identity("m1", "boot 1")

    def notices(self):
        if self.trouble:
            raise self.trouble
        return iter(self.stands)

    def complete_hook(self):
        pass

    def shut_down(self):
        pass


class Watched:
    def __init__(self, world):
        self.world, self.metadata, self.heard = world, Metadata(), []
        world.machine()
        self.watcher = Watcher(self.metadata, world.machines, lambda: ("m1", "boot 1", "agent 1"), self.heard.append)

    def kinds(self):
        return [notice.kind for notice in self.heard]

    def look(self):
        """One look, without the thread."""
        self.heard.clear()
        self.watcher._ask_metadata()
        self.watcher._ask_ledger()
        return self.kinds()


@pytest.fixture
def watched(world):
    return Watched(world)


def notice(world, kind: Kind = "interruption", ahead=120.0):
    return Notice("m1", kind, world.clock.now, world.clock.now + ahead, "why")


def test_nothing_is_heard_while_nothing_stands_anywhere(watched):
    assert watched.look() == []


def test_a_notice_in_the_metadata_is_heard(world, watched):
    watched.metadata.stands = [notice(world)]
    assert watched.look() == ["interruption"]


def test_the_handlers_mark_is_heard_by_a_machine_that_is_blind_to_its_metadata(world, watched):
    watched.metadata.trouble = OSError("no route")
    world.clock.passes(100)
    world.machines.mark(notice(world))
    assert watched.look() == ["interruption"]
    assert watched.heard[0].deadline == world.clock.now + 120
    assert not watched.watcher.metadata_ok


@pytest.mark.parametrize("trouble", [OSError("401"), ValueError("garbage"), RuntimeError("anything")])
def test_no_trouble_with_the_metadata_ends_the_watch(world, watched, trouble):
    watched.metadata.trouble = trouble
    watched.look()
    watched.metadata.trouble, watched.metadata.stands = None, [notice(world)]
    assert watched.look() == ["interruption"] and watched.watcher.metadata_ok


def test_maintenance_is_heard_when_it_is_near(world, watched):
    world.clock.passes(100)
    world.machines.mark(notice(world, "scheduled", 86_400))
    assert watched.look() == []
    world.clock.passes(86_400 - 200)
    assert watched.look() == ["interruption"]


def test_an_outage_of_the_ledger_does_not_end_the_watch(world, watched, tmp_path):
    world.store.unreadable = 1
    watched.metadata.stands = [notice(world)]
    # SQLite in memory belongs to its thread: the thread sees an outage for good, and goes on listening to the metadata.
    watched.watcher.start()
    try:
        wait_until(lambda: len(watched.heard) >= 2, 10, "two looks")
    finally:
        watched.watcher.stop()
        watched.watcher.join(5)
    assert set(watched.kinds()) == {"interruption"}
