import pytest

from spotbatch.protocols import StoreError
from spotbatch.settle import Overtaken, write
from tests.spotbatch.faulty_store import FAULTS


def record(number=1):
    return {"kind": "machine", "key": "machine/m", "number": number}


def test_a_write_carries_the_next_version_and_a_nonce(world):
    written = write(world.store, record(), 0)
    assert written["version"] == 1 and written["nonce"]
    assert world.store.read("machine/m") == written


@pytest.mark.parametrize("existing", [0, 1])
@pytest.mark.parametrize("fault", ["seen twice", "landed unheard"])
def test_a_write_that_happened_unheard_is_no_conflict(world, fault, existing):
    version = write(world.store, record(), 0)["version"] if existing else 0
    world.store.spoiled = [fault]
    written = write(world.store, record(2), version)
    assert world.store.read("machine/m") == written and written["number"] == 2


def test_a_write_on_somebody_elses_is_overtaken(world):
    write(world.store, record(), 0)
    with pytest.raises(Overtaken):
        write(world.store, record(2), 0)
    assert world.store.read("machine/m")["number"] == 1


@pytest.mark.parametrize("fault", ["lost", "late"])
def test_a_write_that_did_not_happen_can_not_happen_later(world, fault):
    write(world.store, record(), 0)
    world.store.spoiled = [fault]
    with pytest.raises(Overtaken):
        write(world.store, record(2), 1)
    assert world.store.land_late() == 0
    found = world.store.read("machine/m")
    assert (found["number"], found["version"]) == (1, 2)


@pytest.mark.parametrize("fault", ["lost", "late"])
def test_a_creation_that_did_not_happen_is_tried_again_under_its_nonce(world, fault):
    world.store.spoiled = [fault]
    written = write(world.store, record(), 0)
    assert world.store.land_late() == 0
    assert world.store.read("machine/m") == written


@pytest.mark.parametrize("first", FAULTS)
@pytest.mark.parametrize("second", FAULTS)
def test_two_faults_in_a_row_are_settled_too(world, first, second):
    write(world.store, record(), 0)
    world.store.spoiled = [first, second]
    try:
        happened = write(world.store, record(2), 1, pause=lambda seconds: None)["number"] == 2
    except Overtaken:
        happened = False
    world.store.land_late()
    assert (world.store.read("machine/m")["number"] == 2) == happened


def test_an_outage_is_waited_for_and_then_said(world):
    waited = []
    world.store.spoiled, world.store.unreadable = ["lost"], 2
    assert write(world.store, record(), 0, pause=waited.append)["version"] == 1
    assert len(waited) == 2

    world.store.spoiled, world.store.unreadable = ["lost"], 99
    with pytest.raises(StoreError, match=r"machine/m: it is not known whether the write happened: .*spoiled by the test"):
        write(world.store, record(), 1, pause=waited.append)
