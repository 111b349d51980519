"""From outcomes to rows: nothing dropped, differences in pairs, everything against the same work on demand."""

import numpy as np
import pytest

from spotbatch.tools.simulation.experiment import Experiment
from spotbatch.tools.simulation.figures import figures
from spotbatch.tools.simulation.outcome import Outcome
from spotbatch.tools.simulation.plan import Plan
from spotbatch.tools.simulation.published.rows import BASELINES
from spotbatch.tools.simulation.trace import Trace
from tests.simulate.pools import always, job, three_zones


def outcome(makespan_h: float, spot_hours: float = 10.0, **more: float | bool) -> Outcome:
    given = {"ideal_s": 36_000.0, "useful_s": 36_000.0, "spot_cost": 0.3 * spot_hours, "on_demand_hours": 0.0} | more
    return Outcome(makespan_s=makespan_h * 3600, spot_hours=spot_hours, **given)  # pyright: ignore[reportArgumentType]


def test_percentages_are_against_on_demand_machines_doing_the_same_work():
    (row,) = figures({"L5": [outcome(11, 10.5), outcome(12, 11.5)]}, "L5", 10.0, 36_000.0, 0)
    assert row.mean("makespan_overhead_pct") == pytest.approx(15)
    assert row.mean("paid_overhead_pct") == pytest.approx(10)
    assert row.mean("saving_pct") == pytest.approx(67)
    assert row.quantile("makespan_overhead_pct", 0.9) == pytest.approx(19)


def test_an_unfinished_run_stays_in_with_the_horizon_and_its_rest_bought_on_demand():
    left = outcome(90, 6.0, useful_s=18_000.0, finished=False)
    (row,) = figures({"L5": [outcome(10), left]}, "L5", 10.0, 36_000.0, 0)
    assert row.unfinished == 1 and len(row.by_start["saving_pct"]) == 2
    assert row.by_start["makespan_overhead_pct"].tolist() == pytest.approx([0, 800])
    # 6 h at 0.3 and the 5 h that were left at 1.
    assert row.by_start["saving_pct"][1] == pytest.approx(100 * (1 - (1.8 + 5.0) / 10))


def test_the_interval_is_of_paired_differences_and_the_same_for_the_same_seed():
    random = np.random.default_rng(4)
    theirs = [outcome(float(hours)) for hours in random.uniform(10, 40, 60)]
    mine = [outcome(one.makespan_s / 3600 + float(more)) for one, more in zip(theirs, random.normal(1.0, 0.1, 60), strict=True)]
    rows = figures({"L5": theirs, "ours": mine}, "L5", 10.0, 36_000.0, 7)
    low, high = rows[1].ci95["makespan_overhead_pct"]
    # The runs differ by hours, the pairs by an hour: only pairing makes the interval this narrow.
    assert 9.5 < low < 10 < high < 10.5
    assert rows[0].ci95["makespan_overhead_pct"] == (0, 0)
    assert figures({"L5": theirs, "ours": mine}, "L5", 10.0, 36_000.0, 7)[1].ci95 == rows[1].ci95


def test_counts_are_sums_over_all_starts():
    found = [outcome(10, items_twice=2, twice_s=3600.0, interruptions=3, deadline_missed=True), outcome(10, items_lost=1)]
    (row,) = figures({"L5": found}, "L5", 10.0, 36_000.0, 0)
    assert (row.items_lost, row.items_twice, row.deadline_misses, row.unfinished) == (1, 2, 1, 0)
    assert row.twice_hours == 1 and row.twice_pct == 5 and row.interruptions_per_100h == 15


def test_every_policy_gets_the_same_starts_and_the_processes_change_nothing():
    experiment = Experiment(Trace("test", three_zones(), 40 * 86_400.0, ("availability",)), Plan(job(24)), starts=6, seed=3)
    alone, both = (experiment.run(["L5", "P0"], processes=count) for count in (1, 2))
    assert alone == both
    starts = [setting.start_s for setting in experiment.settings()]
    assert starts == [setting.start_s for setting in experiment.settings()] and len(set(starts)) == 6
    assert alone["L5"] == [BASELINES["L5"].run(setting) for setting in experiment.settings()]


def test_lifetimes_come_in_another_order_each_start_and_one_pool_of_the_trace_is_used_in_turn():
    pools = (always("gcp/a/n", np.arange(1.0, 50.0)), always("gcp/b/n", np.arange(1.0, 50.0)))
    trace = Trace("test", pools, None, ("lifetimes",))
    orders = [setting.pools[0].lifetimes_s for setting in Experiment(trace, Plan(job(24)), starts=3).settings()]
    assert all(order is not None and sorted(order) == list(range(1, 50)) for order in orders)
    assert len({tuple(order.tolist()) for order in orders if order is not None}) == 3
    one = Experiment(trace, Plan(job(24, deadline_h=30), one_pool=True), starts=4)
    assert [setting.pools[0].name for setting in one.settings()] == ["gcp/a/n", "gcp/b/n"] * 2
