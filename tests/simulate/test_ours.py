"""The product's own code on a simulated cloud: what it does at a notice, what it loses without one, and what goes wrong costs no item."""

from dataclasses import replace

import numpy as np
import pytest

from spotbatch.tools.simulation import ours
from spotbatch.tools.simulation.faults import Faults
from spotbatch.tools.simulation.setting import Setting, Workload
from tests.simulate.pools import FOREVER, always, job, pool, queue, setting, three_zones

HOUR = 3600.0
RESUMABLE_QUEUE = Workload("queue", np.full(60, 900.0), 10.0, 20.0)
FAULTS = {
    "nothing": Faults(),
    "notices lost": Faults(notice_lost=0.8),
    "notices late": Faults(notice_late_s=115.0),
    "uploads fail": Faults(upload_fails=0.3),
    "messages twice": Faults(delivered_twice=0.7),
    "half of the machines at once": Faults(bulk_drop_at_s=5_000.0),
    "machines die while they boot": Faults(dies_booting=0.4),
    "clocks are wrong": Faults(clock_skew_s=300.0),
    "everything": Faults(0.5, 115.0, 0.2, 0.5, 5_000.0, 0.3, 300.0),
}


def two_pools(edge: float) -> Setting:
    """A machine of the first pool ends at the edge; the second one always has capacity, and is dearer."""
    first = pool((0.0, edge, 1), (edge, FOREVER, 0), name="aws/us-west-2a/t")
    second = replace(always("aws/us-east-1a/t"), price_ratio=0.5)
    return setting((first, second), job(8), keep_events=True)


def test_a_run_that_nothing_happens_to_takes_its_boot_its_work_and_its_saves():
    run = ours.run(setting((always(),), job(8)))
    assert run.finished and run.interruptions == 0
    assert run.makespan_s == pytest.approx(300 + 8 * HOUR + run.checkpoint_s)
    assert run.spot_hours * HOUR == pytest.approx(run.makespan_s)
    assert run.checkpoint_s % 30 == 0 and run.checkpoint_s > 0


@pytest.mark.parametrize("workload", [job(10), queue(60, 10), RESUMABLE_QUEUE], ids=["a long job", "a queue of items", "a queue of long tasks"])
@pytest.mark.parametrize("faults", FAULTS)
def test_nothing_is_lost_whatever_goes_wrong(faults, workload):
    for seed in range(3):
        run = ours.run(setting(three_zones(seed), workload, machines=1 if len(workload.items_s) == 1 else 3, seed=seed, faults=FAULTS[faults]))
        assert run.finished and run.items_lost == 0
        assert run.useful_s == pytest.approx(workload.work_s)
        assert run.items_twice <= len(workload.items_s)


@pytest.mark.parametrize("notice_s", [120.0, 0.0])
def test_every_paid_second_is_accounted_for(notice_s):
    for seed in range(4):
        run = ours.run(setting(three_zones(seed), queue(80, 12), machines=2, seed=seed, notice_s=notice_s, first_hour_free=True))
        paid = (run.spot_hours + run.free_hours + run.on_demand_hours) * HOUR
        parts = run.useful_s + run.lost_s + run.boot_s + run.restore_s + run.checkpoint_s + run.drain_s
        assert paid == pytest.approx(parts) and run.drain_s > -1e-6


def test_the_replacement_starts_at_the_notice_and_no_work_is_lost():
    edge = 5 * HOUR
    run = ours.run(two_pools(edge))
    boots = {event.pool: event for event in run.events if event.kind == "boot"}
    assert edge - 120 <= boots["aws/us-east-1a/t"].begin_s <= edge - 115
    assert (run.interruptions, run.items_twice, run.lost_s) == (1, 0, 0.0)
    ended = [event for event in run.events if event.kind == "interruption"]
    assert [event.end_s for event in ended] == [edge]


def test_without_a_notice_what_was_not_saved_is_done_again_and_no_more():
    told, untold = ours.run(two_pools(5 * HOUR)), ours.run(replace(two_pools(5 * HOUR), notice_s=0.0))
    assert told.lost_s == 0 < untold.lost_s == untold.twice_s
    longest = max(event.begin_s for event in untold.events if event.kind == "checkpoint" and event.end_s < 5 * HOUR)
    assert untold.lost_s <= 5 * HOUR - longest
    assert untold.checkpoint_s > told.checkpoint_s


def test_a_task_that_was_taken_back_unwarned_is_saved_more_often_from_then_on():
    edges = [5 * HOUR, 10 * HOUR]
    pools = tuple(replace(always(name), capacity=np.array([1])) for name in ("aws/us-east-1a/t", "aws/us-west-2a/t"))
    ending = pool((0.0, edges[0], 1), (edges[0], FOREVER, 0), name="aws/eu-west-1a/t")
    given = setting((ending, *pools), job(20), keep_events=True)
    trusting = ours.run(given)
    taught = ours.run(replace(given, faults=Faults(notice_lost=1.0)))

    def after(run):
        return sum(event.kind == "checkpoint" and event.begin_s > edges[0] for event in run.events)

    assert after(taught) > 2 * after(trusting)


def test_equal_settings_give_equal_outcomes():
    given = setting(three_zones(5), queue(60, 10), machines=3, faults=FAULTS["everything"], keep_events=True)
    assert ours.run(given) == ours.run(given)


def test_twice_the_price_is_twice_the_cost_of_the_spot_hours():
    given = setting(three_zones(1), job(12))
    one, two = ours.run(given), ours.run(replace(given, price_ratio=0.60))
    assert two.spot_cost == pytest.approx(2 * one.spot_cost) and two.spot_hours == one.spot_hours


def test_an_hour_that_the_cloud_cuts_short_is_free_only_where_the_rule_holds():
    given = two_pools(0.5 * HOUR)
    free, paid = ours.run(replace(given, first_hour_free=True)), ours.run(given)
    assert free.free_hours == pytest.approx(0.5) and paid.free_hours == 0
    assert free.spot_hours + free.free_hours == pytest.approx(paid.spot_hours)


def test_a_deadline_is_met_even_where_no_spot_machine_is_to_be_had():
    nowhere = pool((0.0, FOREVER, 0))
    run = ours.run(setting((nowhere,), job(48, deadline_h=52), on_demand=True, boot_s=660.0))
    assert run.finished and not run.deadline_missed
    assert run.spot_hours == 0 and run.on_demand_hours == pytest.approx(48, abs=1)


@pytest.mark.parametrize("notice_s", [120.0, 0.0])
@pytest.mark.parametrize("hours", [52, 60, 70])
def test_no_deadline_is_missed_and_spot_hours_are_used(hours, notice_s):
    costs = []
    for seed in range(4):
        zone = three_zones(seed)[:1]
        run = ours.run(setting(zone, job(48, deadline_h=hours), on_demand=True, boot_s=660.0, notice_s=notice_s, seed=seed))
        assert run.finished and not run.deadline_missed and run.items_lost == 0
        costs.append(run.spot_cost + run.on_demand_hours)
    assert sum(costs) / len(costs) < 48


def test_no_deadline_is_missed_where_the_notice_is_too_short_for_a_step_and_a_save():
    for seed in range(6):
        work = job(48, write_s=20.0, restore_s=30.0, deadline_h=52)
        run = ours.run(setting(three_zones(seed)[:1], work, on_demand=True, boot_s=150.0, notice_s=30.0, seed=seed))
        assert run.finished and not run.deadline_missed
        assert run.lost_s < 0.015 * work.work_s


def test_a_notice_of_half_a_minute_is_enough_for_a_short_save():
    run = ours.run(replace(two_pools(5 * HOUR), workload=job(8, write_s=10.0), notice_s=30.0))
    assert (run.interruptions, run.items_twice, run.lost_s) == (1, 0, 0.0)


def test_a_run_that_cannot_end_counts_as_it_stands_at_the_horizon():
    run = ours.run(setting((pool((0.0, HOUR, 1), (HOUR, FOREVER, 0)),), job(8), horizon_s=10 * HOUR))
    assert not run.finished and run.makespan_s == 10 * HOUR
    assert 0 < run.useful_s < HOUR and run.waiting_s == pytest.approx(9 * HOUR, abs=600)


def test_work_done_again_counts_in_a_run_that_cannot_end_too():
    steps = [(hour * HOUR, (hour + 1) * HOUR, 1 - hour % 2) for hour in range(100)]
    run = ours.run(setting((pool(*steps),), Workload("long items", np.full(2, 2 * HOUR), resumable=False), horizon_s=20 * HOUR))
    assert not run.finished and run.useful_s == 0
    assert run.twice_s > 5 * HOUR
