import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spotbatch.notice import EVENTS, MalformedEvent, Notice, parse_event, timestamp
from tests.spotbatch.recorded import MACHINE, NAMES, SENT, recorded

HOOK = {"group": "my-asg", "hook": "spotbatch-drain", "token": "87654321-4321-4321-4321-210987654321"}
RETIREMENT = "AWS_EC2_PERSISTENT_INSTANCE_RETIREMENT_SCHEDULED"

EXPECTED: dict[str, list[Notice]] = {
    "interruption-terminate": [Notice(MACHINE, "interruption", SENT, SENT + 120, "spot interruption: terminate")],
    "interruption-stop": [Notice(MACHINE, "interruption", SENT, SENT + 120, "spot interruption: stop")],
    "interruption-hibernate": [Notice(MACHINE, "interruption", SENT, SENT, "spot interruption: hibernate")],
    "drill": [Notice(MACHINE, "interruption", SENT, SENT + 120, "spot interruption: terminate")],
    "rebalance": [Notice(MACHINE, "rebalance", SENT, None, "rebalance recommendation")],
    "state-shutting-down": [Notice(MACHINE, "gone", SENT, SENT + 60, "instance state: shutting-down")],
    "state-terminated": [Notice(MACHINE, "gone", SENT, SENT, "instance state: terminated")],
    "state-stopping": [Notice(MACHINE, "gone", SENT, SENT + 60, "instance state: stopping")],
    "state-stopped": [Notice(MACHINE, "gone", SENT, SENT, "instance state: stopped")],
    "state-running": [],
    "hook": [Notice(MACHINE, "stop", SENT, SENT + 120, "terminate lifecycle hook", HOOK)],
    "scheduled": [Notice(machine, "scheduled", SENT, 1800717009.0, RETIREMENT) for machine in (MACHINE, "i-00000000000000002")],
    "fleet-change": [],
}


@pytest.mark.parametrize("name", NAMES)
def test_each_event_that_aws_documents_means_what_it_says(name: str):
    assert parse_event(recorded(name)) == EXPECTED[name]


def test_every_kind_of_event_has_a_recorded_one():
    kinds = {(event["source"], event["detail-type"]) for event in map(recorded, NAMES)}
    assert {(event.pattern["source"][0], event.pattern["detail-type"][0]) for event in EVENTS} <= kinds


@pytest.mark.parametrize(("name", "path"), [(name, path) for name in NAMES for path in ("time", "detail") if EXPECTED[name]])
def test_an_event_that_lacks_what_its_kind_carries_is_malformed_and_says_what(name: str, path: str):
    event = recorded(name)
    del event[path]
    with pytest.raises(MalformedEvent, match=path):
        parse_event(event)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2027-01-15T08:00:00Z", SENT), ("2027-01-15T08:00:00.999Z", SENT), ("1970-01-01T00:00:00Z", 0.0)],
)
def test_times_are_read_with_or_without_fractions(text: str, seconds: float):
    assert timestamp(text, "time") == seconds


@pytest.mark.parametrize("value", [None, 7, "", "yesterday", "2027-13-15T08:00:00Z", "2027-01-15 08:00:00", {}, "2027-01-15T08:00:00+02:00"])
def test_what_is_no_time_is_refused_by_name_and_value(value: Any):
    with pytest.raises(MalformedEvent, match=r"^time: .* is not a time like 2022-08-11T14:00:00Z$"):
        timestamp(value, "time")


def test_maintenance_that_is_over_stops_no_machine():
    upcoming = recorded("scheduled")
    over = copy.deepcopy(upcoming)
    over["detail"]["statusCode"] = "closed"
    public = copy.deepcopy(upcoming)
    public["detail"] |= {"eventScopeCode": "PUBLIC", "affectedEntities": None}
    assert (parse_event(over), parse_event(public)) == ([], [])
    upcoming["detail"]["affectedEntities"][1]["status"] = "RESOLVED"
    assert [notice.machine for notice in parse_event(upcoming)] == [MACHINE]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def fields(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to everything inside."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(deeper for key, item in inside for deeper in fields(item, (*path, key)))]


def spoiled(event: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The event with something else at a path."""
    if not path:
        return value
    event = copy.deepcopy(event)
    place = event
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return event


@settings(deadline=None)
@given(name=st.sampled_from(NAMES), value=JSON, data=st.data())
def test_whatever_stands_in_an_event_it_is_read_or_refused_and_nothing_else(name: str, value: Any, data: st.DataObject):
    event = spoiled(recorded(name), data.draw(st.sampled_from(fields(recorded(name)))), value)
    try:
        notices = parse_event(event)
    except MalformedEvent as fault:
        assert str(fault)
        return
    for notice in notices:
        assert notice.machine.startswith("i-")
        assert isinstance(notice.reason, str)
        assert notice.deadline is None or isinstance(notice.deadline, float)
