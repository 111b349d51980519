"""Karpenter's five patterns, judged by the event bus of the local cloud rather than by a matcher of ours."""

from typing import Any

import pytest
from pulumi_spotbatch.eks import Karpenter

from tests.components.aws.account_events import ID, NEAR_MISSES, REBALANCE, WAITED_FOR, event
from tests.components.event_bus import Matches, misspellings, taking
from tests.components.recorder import deploy
from tests.components.samples import SAMPLES

RESERVATION = "EC2 Capacity Reservation Instance Interruption Warning"

ACTED_ON: dict[str, list[dict[str, Any]]] = {
    "spot": WAITED_FOR["interruption"],
    "rebalance": [event("aws.ec2", REBALANCE, **{"instance-id": ID})],
    "state": WAITED_FOR["state"],
    "scheduled": WAITED_FOR["scheduled"],
    "reservation": [event("aws.ec2", RESERVATION, **{"instance-id": ID, "instance-action": "terminate"})],
}

OUTSIDE = [*(one for one in NEAR_MISSES if one["detail-type"] != RESERVATION), *WAITED_FOR["hook"], *WAITED_FOR["drill"]]


@pytest.fixture(scope="module")
def patterns() -> dict[str, str]:
    """What was declared, by rule."""
    deployment = deploy(lambda: Karpenter("k", SAMPLES["Karpenter"]))  # pyright: ignore[reportArgumentType]
    return {rule.name.removeprefix("k-"): rule.inputs["eventPattern"] for rule in deployment.all("EventRule")}


def test_each_event_that_karpenter_acts_on_is_taken_by_its_rule_and_by_no_other(matches: Matches, patterns: dict[str, str]):
    assert set(patterns) == set(ACTED_ON)
    for rule, events in ACTED_ON.items():
        for one in events:
            assert taking(matches, patterns, one) == [rule], one


def test_what_karpenter_would_throw_away_is_taken_by_no_rule(matches: Matches, patterns: dict[str, str]):
    for one in OUTSIDE:
        assert taking(matches, patterns, one) == [], one


@pytest.mark.parametrize("rule", sorted(ACTED_ON))
def test_a_misspelt_pattern_takes_nothing(matches: Matches, patterns: dict[str, str], rule: str):
    """The negative control: each word of a pattern matters to the judge."""
    for wrong in misspellings(patterns[rule]):
        assert not matches(wrong, ACTED_ON[rule][0]), wrong
