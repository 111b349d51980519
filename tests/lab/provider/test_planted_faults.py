import pytest

from lab.provider.catalogue import RESOURCES
from lab.provider.wire import UNKNOWN, is_file

from .engine_side import EngineSide
from .planted_faults import FAULTS, Planted
from .programs import SOUND


@pytest.fixture(scope="module")
def offline() -> EngineSide:
    """A provider whose cloud cannot be reached: what it refuses, it refuses by itself."""
    return EngineSide()


def test_there_are_sound_properties_for_every_type_that_the_stand_in_knows() -> None:
    assert {f"aws:{kind}" for kind in SOUND} == set(RESOURCES)


@pytest.mark.parametrize("kind", sorted(SOUND))
def test_sound_properties_are_not_refused(offline: EngineSide, kind: str) -> None:
    assert offline.check(kind, SOUND[kind])[1] == {}


@pytest.mark.parametrize("kind", sorted(SOUND))
def test_properties_that_are_not_known_yet_are_not_refused(offline: EngineSide, kind: str) -> None:
    """Each property alone, as it is when another resource in the same preview will give it; then each value in a list or an object."""
    for name, value in SOUND[kind].items():
        forms = [UNKNOWN]
        if isinstance(value, list):
            forms += [[UNKNOWN, *value[1:]]]
            forms += [[{**value[0], inner: UNKNOWN}, *value[1:]] for inner in value[0]] if isinstance(value[0], dict) else []
        elif isinstance(value, dict) and not is_file(value):
            forms += [{**value, inner: UNKNOWN} for inner in value]
        for form in forms:
            failures = offline.check(kind, {**SOUND[kind], name: form})[1]
            assert failures == {}, (name, form)


@pytest.mark.parametrize("planted", FAULTS, ids=str)
def test_a_planted_fault_is_refused_at_preview(offline: EngineSide, planted: Planted) -> None:
    failures = offline.check(planted.type, planted.properties)[1]
    assert planted.path in failures, failures
    assert planted.words in failures[planted.path]


@pytest.mark.parametrize("planted", FAULTS, ids=str)
def test_a_planted_fault_is_the_only_thing_refused(offline: EngineSide, planted: Planted) -> None:
    assert list(offline.check(planted.type, planted.properties)[1]) == [planted.path]


def test_all_faults_of_a_resource_are_named_at_once(offline: EngineSide) -> None:
    wanted = {"visibilityTimeoutSeconds": 43_201, "delaySeconds": 901, "fifo": True, "tags": {"aws:x": "y"}}
    assert sorted(offline.check("sqs/queue:Queue", wanted)[1]) == ["delaySeconds", "fifo", "tags.aws:x", "visibilityTimeoutSeconds"]


def test_a_type_that_the_lab_does_not_have_is_refused_by_name(offline: EngineSide) -> None:
    failures = offline.check("rds/instance:Instance", {})[1]
    assert "the lab's AWS has no aws:rds/instance:Instance" in failures[""]
