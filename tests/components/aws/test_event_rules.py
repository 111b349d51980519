"""The rules' patterns, judged by the event bus of the local cloud rather than by a matcher of ours."""

import pytest
from pulumi_spotbatch.aws import InterruptionHandler

from spotbatch.notice import parse_event
from tests.components.aws.account_events import NEAR_MISSES, WAITED_FOR
from tests.components.event_bus import Matches, misspellings, taking
from tests.components.recorder import deploy
from tests.components.samples import QUEUE


@pytest.fixture(scope="module")
def patterns() -> dict[str, str]:
    """What was declared, by rule."""
    deployment = deploy(lambda: InterruptionHandler("h", {"queue": QUEUE, "drill_source": True}))
    return {rule.name.removeprefix("h-"): rule.inputs["eventPattern"] for rule in deployment.all("EventRule") if "eventPattern" in rule.inputs}


def test_each_event_is_taken_by_its_rule_and_by_no_other(matches: Matches, patterns: dict[str, str]):
    assert set(patterns) == set(WAITED_FOR)
    for rule, events in WAITED_FOR.items():
        for event in events:
            assert taking(matches, patterns, event) == [rule], event


def test_an_event_that_says_nothing_of_a_machine_going_is_taken_by_no_rule(matches: Matches, patterns: dict[str, str]):
    for event in NEAR_MISSES:
        assert taking(matches, patterns, event) == [], event


def test_what_the_rules_take_the_handler_can_read():
    for events in WAITED_FOR.values():
        for event in events:
            assert [notice.machine for notice in parse_event(event)] == ["i-0123456789abcdef0"]


@pytest.mark.parametrize("rule", sorted(WAITED_FOR))
def test_a_misspelt_pattern_takes_nothing(matches: Matches, patterns: dict[str, str], rule: str):
    """The negative control: each word of a pattern matters to the judge."""
    for wrong in misspellings(patterns[rule]):
        assert not matches(wrong, WAITED_FOR[rule][0]), wrong
