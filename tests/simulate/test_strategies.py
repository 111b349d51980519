"""Checkpoint spacing, the next pool, on-demand: decisions that depend on nothing but what was seen."""

import math

from hypothesis import given
from hypothesis import strategies as st

from spotbatch.strategies.next_pool import PoolSeen, away_from_trouble
from spotbatch.strategies.on_demand import Pace, keep_for_interruptions
from spotbatch.strategies.spacing import Observed, by_age_and_cost, steady

HOUR = 3600.0
seconds = st.floats(0, 1e6)
counts = st.integers(0, 50)
observed = st.builds(Observed, seconds, seconds, st.one_of(seconds, st.just(math.inf)), counts, counts)


def seen(**more: object) -> PoolSeen:
    return PoolSeen(**({"name": "p", "region": "r", "price_ratio": 0.3} | more))  # pyright: ignore[reportArgumentType]


def test_the_steady_spacing_is_two_seconds_or_twenty_saves():
    assert (steady(Observed()), steady(Observed(save_seconds=0.05)), steady(Observed(save_seconds=3.0))) == (2.0, 2.0, 60.0)


@given(observed)
def test_spacing_is_finite_and_never_below_two_seconds(state: Observed):
    assert 2.0 <= by_age_and_cost(state) < math.inf


@given(observed, seconds)
def test_an_older_machine_never_saves_more_often(state: Observed, more: float):
    older = Observed(state.save_seconds, state.age + more, state.notice_seconds, state.warned, state.unwarned)
    assert by_age_and_cost(older) >= by_age_and_cost(state)


@given(observed)
def test_an_unwarned_interruption_never_makes_saves_rarer(state: Observed):
    taught = Observed(state.save_seconds, state.age, state.notice_seconds, state.warned, state.unwarned + 1)
    assert by_age_and_cost(taught) <= by_age_and_cost(state)


def test_without_a_notice_the_spacing_is_youngs_for_the_machines_age():
    assert by_age_and_cost(Observed(30.0, 0.0)) == math.sqrt(2 * 30 * 3 * HOUR)
    assert by_age_and_cost(Observed(30.0, 9 * HOUR)) == math.sqrt(2 * 30 * 12 * HOUR)


def test_a_notice_that_is_too_short_for_a_save_is_worth_nothing():
    assert by_age_and_cost(Observed(120.0, HOUR, 120.0)) == by_age_and_cost(Observed(120.0, HOUR, 0.0))
    assert by_age_and_cost(Observed(30.0, HOUR, 120.0)) > 5 * by_age_and_cost(Observed(30.0, HOUR, 0.0))


def test_a_notice_that_ends_before_the_item_and_its_save_is_worth_nothing():
    untold = by_age_and_cost(Observed(10.0, HOUR, 0.0))
    assert by_age_and_cost(Observed(10.0, HOUR, 30.0, item_seconds=11.0)) == untold
    assert by_age_and_cost(Observed(10.0, HOUR, 30.0, item_seconds=10.0)) > 5 * untold


def test_the_cheapest_pool_is_asked_first_and_the_next_one_where_it_has_just_refused():
    assert away_from_trouble([seen(price_ratio=0.4), seen(price_ratio=0.3)]) == 1
    assert away_from_trouble([seen(price_ratio=0.4), seen(price_ratio=0.3, just_refused=True)]) == 0
    assert away_from_trouble([seen(just_refused=True)]) is None


def test_an_interruption_sends_the_next_machine_to_another_region():
    pools = [seen(interrupted_hours_ago=0.0), seen(), seen(region="elsewhere")]
    assert away_from_trouble(pools) == 2
    assert away_from_trouble([seen(interrupted_hours_ago=1.0), seen(interrupted_hours_ago=9.0, region="elsewhere")]) == 1


def test_a_pool_that_has_long_had_capacity_is_asked_before_one_that_has_it_just_now():
    assert away_from_trouble([seen(standing_hours=0.1), seen(standing_hours=12.0)]) == 1
    assert away_from_trouble([seen(standing_hours=0.0, price_ratio=0.1), seen(standing_hours=0.1)]) == 1


def test_machines_are_spread_over_pools_that_are_alike():
    assert away_from_trouble([seen(held=1), seen()]) == 1


def pace(**more: object) -> Pace:
    usual = {"left": 40 * HOUR, "until_deadline": 60 * HOUR, "changeover": 720.0, "spot_seconds": 0.0, "interruptions": 0, "look": 60.0}
    return Pace(**(usual | more))  # pyright: ignore[reportArgumentType]


def test_slack_is_waited_away_but_for_what_interruptions_may_use_up():
    assert keep_for_interruptions(pace()) == "wait"
    assert keep_for_interruptions(pace(until_deadline=42 * HOUR)) == "bridge"
    assert keep_for_interruptions(pace(until_deadline=40.3 * HOUR)) == "stay"


def test_where_machines_live_longer_less_slack_is_kept():
    assert keep_for_interruptions(pace(until_deadline=42 * HOUR, spot_seconds=40 * HOUR, interruptions=1)) == "wait"


def test_work_that_may_be_lost_counts_as_work_that_is_left():
    assert keep_for_interruptions(pace(until_deadline=44 * HOUR)) == "wait"
    assert keep_for_interruptions(pace(until_deadline=44 * HOUR, at_risk=3.8 * HOUR)) == "stay"


def test_where_there_is_no_deadline_a_missing_machine_is_bought_for_the_time_being():
    assert keep_for_interruptions(pace(until_deadline=None)) == "bridge"


@given(st.builds(Pace, seconds, seconds, st.floats(1, 1e4), seconds, counts, st.floats(0, 600)))
def test_with_two_changeovers_left_nothing_is_risked(state: Pace):
    assert state.until_deadline is not None
    if state.until_deadline < state.left + 2 * state.changeover:
        assert keep_for_interruptions(state) == "stay"
