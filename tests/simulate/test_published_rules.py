"""The published rules against what is known of them: formulas, the paper's own table, exhaustive search, conservation."""

import itertools
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spotbatch.tools.simulation.published.cadence import Cadence, daly, mean_up_s, young
from spotbatch.tools.simulation.published.deadline_rules import Progress, State, greedy, time_sliced, uniform_progress
from spotbatch.tools.simulation.published.omniscient import cheapest
from spotbatch.tools.simulation.published.placement import Pause, eager_next_region, failover, longest_lived, lowest_price, spot_hedge
from spotbatch.tools.simulation.published.rows import BASELINES
from spotbatch.tools.simulation.published.view import View
from spotbatch.tools.simulation.setting import Setting
from tests.simulate import table_3
from tests.simulate.pools import always, changing, job, pool, queue, setting, three_zones

HOUR = 3600.0
ON_SPOT = ("L1", "L2", "L3", "L4", "L5", "L6", "L8", "C0", "C1", "C2", "C3", "C4", "restart")


def settings() -> list[Setting]:
    zones = three_zones()
    lifetimes = (always("gcp/us-central1-c/n", np.random.default_rng(1).exponential(4 * HOUR, 200)),)
    return [
        setting(zones, job(24), seed=1),
        setting(zones, job(24), notice_s=0.0, start_s=40_000.0),
        setting(zones, queue(200, 10), machines=3, seed=2),
        setting(zones, queue(40, 90), machines=2, notice_s=30.0),
        setting(lifetimes, job(24, write_s=100.0), notice_s=30.0),
        setting(zones, job(24), horizon_s=10 * HOUR, seed=3),
    ]


@pytest.mark.parametrize("name", ON_SPOT)
def test_every_paid_second_is_accounted_for_and_work_is_conserved(name):
    for given in settings():
        run = BASELINES[name].run(given)
        paid = (run.spot_hours + run.free_hours + run.on_demand_hours) * HOUR
        spent = run.useful_s + run.lost_s + run.boot_s + run.restore_s + run.checkpoint_s + run.drain_s
        assert paid == pytest.approx(spent, abs=1e-3)
        assert run.items_lost == 0 and run.makespan_s <= given.horizon_s
        if run.finished:
            assert run.useful_s == pytest.approx(given.workload.work_s)
            assert run.makespan_s >= given.ideal_s() - 1e-6
        if given.machines == 1 and run.finished:
            assert run.makespan_s == pytest.approx(paid + run.waiting_s)


@pytest.mark.parametrize("name", [*ON_SPOT, "P1", "P2", "P3", "P4"])
def test_the_picture_shows_what_the_figures_count(name):
    for given in settings():
        run = BASELINES[name].run(replace(given, keep_events=True))
        lasted = {
            kind: sum(event.end_s - event.begin_s for event in run.events if event.kind == kind)
            for kind in ("boot", "restore", "checkpoint", "drain")
        }
        counted = {"boot": run.boot_s, "restore": run.restore_s, "checkpoint": run.checkpoint_s, "drain": run.drain_s}
        assert lasted == pytest.approx(counted, abs=0.01)
        work = sum(event.end_s - event.begin_s for event in run.events if event.kind == "work")
        assert work == pytest.approx(run.useful_s + run.lost_s, abs=0.01)
        assert sum(event.kind == "interruption" for event in run.events) == run.interruptions
        assert run == replace(BASELINES[name].run(given), events=run.events)


@pytest.mark.parametrize("name", ["P1", "P2", "P3", "P4", "P5"])
def test_a_rule_of_one_pool_pays_for_its_work_and_its_changeovers(name):
    for seed in range(5):
        run = BASELINES[name].run(setting(three_zones(seed), job(24, deadline_h=30), seed=seed))
        assert run.finished and (name == "P1" or not run.deadline_missed)
        assert run.useful_s == pytest.approx(24 * HOUR)
        assert (run.spot_hours + run.on_demand_hours) * HOUR == pytest.approx(run.useful_s + run.boot_s)


def test_on_demand_saves_exactly_nothing_and_takes_exactly_the_ideal_time():
    given = setting(three_zones(), queue(200, 10), machines=3)
    run = BASELINES["P0"].run(given)
    assert run.makespan_s == run.ideal_s == given.ideal_s()
    assert run.spot_hours == run.spot_cost == 0.0
    assert run.on_demand_hours == (3 * given.boot_s + given.workload.work_s) / HOUR


@pytest.mark.parametrize("name", [*ON_SPOT, "P1", "P2", "P3", "P4"])
def test_twice_the_price_is_exactly_twice_the_spot_cost(name):
    for given in settings()[:4]:
        cheap, dear = BASELINES[name].run(given), BASELINES[name].run(replace(given, price_ratio=0.6))
        assert dear.spot_cost == 2 * cheap.spot_cost > 0
        assert dear.makespan_s == cheap.makespan_s


@pytest.mark.parametrize("name", BASELINES)
def test_the_same_setting_comes_to_the_same(name):
    given = settings()[0]
    assert BASELINES[name].run(given) == BASELINES[name].run(given)


@pytest.mark.parametrize("mean_hours", [2.5, 9, 72])
def test_periodic_checkpoints_on_exponential_lives_cost_what_dalys_formula_says(mean_hours):
    lives = np.random.default_rng(11).exponential(mean_hours * HOUR, 30_000)
    mean = float(lives.mean())
    given = setting((always(lifetimes=lives),), job(2_000 * mean_hours), notice_s=0.0, horizon_s=1e9)
    run = BASELINES["C2"].run(given)
    boot_restore, write = given.boot_s + 60.0, 30.0
    every = daly(write, mean)
    expected = mean / every * np.exp(boot_restore / mean) * np.expm1((every + write) / mean) - 1
    measured = run.makespan_s / given.workload.work_s - 1
    assert run.finished and run.interruptions > 1_000
    assert abs(measured - expected) < 0.005


def test_a_usable_notice_leaves_boot_restore_and_one_save_for_each_interruption():
    lives = np.random.default_rng(12).exponential(9 * HOUR, 5_000)
    given = setting((always(lifetimes=lives),), job(10_000), horizon_s=1e9)
    run = BASELINES["C4"].run(given)
    assert run.lost_s == 0 and run.items_twice == 0
    assert run.makespan_s / given.workload.work_s - 1 == pytest.approx((300 + 60 + 30 + 10) / lives.mean(), abs=0.001)


def test_a_save_that_does_not_fit_into_the_notice_is_made_periodically_instead():
    fits, too_long = (setting((always(),), job(24, write_s=write)) for write in (110.0, 111.0))
    assert Cadence.of("C4", fits) == Cadence(on_notice=True) and Cadence.of("C3", too_long) == Cadence()
    assert Cadence.of("C4", too_long) == Cadence.of("C2", too_long)
    assert Cadence.of("C4", replace(fits, notice_s=0.0)).every_s is not None


def test_young_and_daly_are_those_of_their_papers():
    assert young(30, 9 * HOUR) == pytest.approx(1394.27, abs=0.01)
    assert daly(30, 9 * HOUR) == pytest.approx(1374.35, abs=0.01)
    assert daly(7_200, HOUR) == HOUR
    assert mean_up_s(setting((pool((0, 100, 1), (100, 150, 0), (150, 350, 1), (350, 400, 0)),), job(1))) == 150


def test_the_omniscient_bound_is_the_least_of_all_ways_there_are():
    random = np.random.default_rng(5)
    for _ in range(30):
        available = random.random(7) < 0.6
        work, delay = int(random.integers(1, 4)), int(random.integers(0, 3))
        price = float(random.uniform(0.1, 0.9))
        best = min(
            (cost for way in itertools.product("isd", repeat=7) if (cost := _cost(way, available, work, delay, price)) is not None), default=None
        )
        found = cheapest(available, work, delay, round(price, 6))
        assert (found is None) == (best is None)
        if found is not None and best is not None:
            assert found[1] * price + found[2] == pytest.approx(best, abs=1e-4)


def _cost(way: tuple[str, ...], available: np.ndarray, work: int, delay: int, price: float) -> float | None:
    if any(state == "s" and not up for state, up in zip(way, available, strict=True)):
        return None
    starts = sum(state != "i" and (tick == 0 or way[tick - 1] != state) for tick, state in enumerate(way))
    run = sum(state != "i" for state in way)
    return way.count("s") * price + way.count("d") if run - delay * starts >= work else None


def test_no_rule_of_one_pool_is_cheaper_than_the_bound_and_none_misses_a_deadline():
    for seed in range(20):
        given = setting((changing("aws/us-west-2a/t", seed, 2.0, 2.0),), job(48, deadline_h=60), boot_s=660.0)
        cost = {name: (run := BASELINES[name].run(given)).spot_cost + run.on_demand_hours for name in ("P2", "P3", "P4", "P5")}
        assert all(cost["P5"] <= cost[name] + 1e-6 for name in ("P2", "P3", "P4"))
        assert not any(BASELINES[name].run(given).deadline_missed for name in ("P2", "P3", "P4", "P5"))


def test_a_closed_pool_leaves_the_safety_net_alone_to_finish_in_time():
    given = setting((pool((0, 1e7, 0)),), job(10, deadline_h=15))
    greedy, uniform = BASELINES["P2"].run(given), BASELINES["P3"].run(given)
    assert greedy.on_demand_hours == pytest.approx(10 + 360 / HOUR) and 14 * HOUR < greedy.makespan_s <= 15 * HOUR
    # Behind from the first moment on, Uniform Progress does not wait.
    assert uniform.makespan_s < greedy.makespan_s


def seen(state: State, available: bool, elapsed_h: float, done_h: float) -> Progress:
    """Of 48 h of work in 60 h, changeover 0.2 h: the uniform pace is 0.8."""
    return Progress(state, available, elapsed_h * HOUR, 48 * HOUR, (48 - done_h) * HOUR, 60 * HOUR, 720.0, 120.0)


def test_uniform_progress_pays_when_behind_and_goes_back_to_spot_only_once_ahead_of_the_pace_two_changeovers_on():
    assert uniform_progress(seen("idle", True, 10, 0)) == "spot"
    assert uniform_progress(seen("idle", False, 10, 7.9)) == "on-demand" and uniform_progress(seen("idle", False, 10, 8.1)) == "idle"
    assert uniform_progress(seen("on-demand", True, 10, 8.31)) == "on-demand" and uniform_progress(seen("on-demand", True, 10, 8.33)) == "spot"
    assert uniform_progress(seen("on-demand", False, 10, 20)) == "on-demand"
    assert uniform_progress(seen("spot", True, 10, 0)) == "spot"


def test_time_sliced_is_greedy_in_each_slice_and_what_is_done_ahead_counts_for_the_next():
    # Each of eight slices is 7.5 h with 6 h of work.
    assert time_sliced(seen("idle", False, 1.0, 0)) == "idle" and time_sliced(seen("idle", False, 1.2, 0)) == "on-demand"
    assert time_sliced(seen("idle", True, 1.0, 0)) == "spot" and time_sliced(seen("idle", True, 1.2, 0)) == "on-demand"
    assert time_sliced(seen("on-demand", False, 5, 6.1)) == "idle"
    assert time_sliced(seen("idle", False, 9.5, 8)) == "idle"


def test_greedy_pays_at_the_last_moment_and_stays():
    assert greedy(seen("idle", False, 11.5, 0)) == "idle" and greedy(seen("idle", True, 11.5, 0)) == "spot"
    assert greedy(seen("idle", True, 11.6, 0)) == "on-demand" and greedy(seen("on-demand", True, 11.8, 0.2)) == "on-demand"
    assert greedy(seen("spot", True, 12, 0)) == "spot"


def asked(rule, view: View, count: int, place: int = 0) -> list[int | float]:
    return [step.seconds if isinstance(step, Pause) else step for step in itertools.islice(rule(view, place), count)]


def view_of_two_regions() -> View:
    names = ("aws/us-east-1a/t", "aws/us-east-1b/t", "aws/us-west-2a/t")
    return View(setting(tuple(always(name) for name in names), job(1)))


def test_eager_next_region_asks_the_region_that_took_the_machine_last_and_forgets_it_after_one_pass():
    view = view_of_two_regions()
    view.last_lost[0] = 0
    assert asked(eager_next_region, view, 8) == [2, 0, 1, 300.0, 0, 1, 2, 300.0]


def test_failover_asks_the_zone_then_the_region_then_all_three_times_then_backs_off():
    view = view_of_two_regions()
    view.last_lost[0] = 1
    steps = asked(failover, view, 14)
    assert steps[:9] == [1, 0, 2] * 3
    assert 36 <= steps[9] <= 84 and steps[10:13] == [1, 0, 2] and 57 <= steps[13] <= 135


def test_spot_hedge_sets_pools_aside_until_fewer_than_two_others_are_left():
    view = view_of_two_regions()
    view.last_lost[0] = 0
    assert asked(spot_hedge, view, 3) == [1, 0, 1]
    view.held[1] = 1
    view.set_aside.clear()
    view.last_lost.clear()
    assert asked(spot_hedge, view, 2) == [0, 2]


def test_lowest_price_and_longest_lived_order_pools_by_what_their_names_say():
    pools = tuple(replace(always(f"aws/us-west-2{zone}/t"), price_ratio=ratio) for zone, ratio in zip("abc", (0.3, 0.2, 0.4), strict=True))
    view = View(setting(pools, job(1)))
    assert asked(lowest_price, view, 4) == [1, 0, 2, 300.0]
    view.grant(2)
    view.give_up(2, 0, 50 * HOUR, taken=False)
    view.grant(1)
    view.give_up(1, 0, HOUR, taken=True)
    assert asked(longest_lived, view, 3) == [2, 0, 1]


def test_the_oracle_never_waits_where_a_pool_is_open_and_picks_the_longest_life():
    pools = (pool((0, 1_000, 1), (1_000, 9e6, 0)), pool((0, 500, 1), (500, 600, 0), (600, 9e6, 1), name="aws/us-west-2b/t"))
    run = BASELINES["L8"].run(setting(pools, job(5), keep_events=True))
    assert [event.pool for event in run.events if event.kind == "boot"] == ["aws/us-west-2a/t", "aws/us-west-2b/t"]
    assert run.waiting_s == 0


def test_a_machine_that_the_cloud_takes_in_its_first_hour_is_free_only_under_that_rule():
    pools = (pool((0, 1_800, 1), (1_800, 2_000, 0), (2_000, 6_000, 1), (6_000, 6_100, 0), (6_100, 9e6, 1)),)
    billed, free = (BASELINES["L1"].run(setting(pools, job(2), first_hour_free=rule)) for rule in (False, True))
    assert billed.interruptions == free.interruptions == 2
    # The second one lived for more than an hour.
    assert free.free_hours == 0.5 and billed.free_hours == 0
    assert billed.spot_hours == pytest.approx(free.spot_hours + 0.5)
    assert billed.makespan_s == free.makespan_s


def test_a_job_that_nobody_interrupts_takes_its_work_and_one_save_between_each_two_stretches():
    lives = np.full(3, 100 * HOUR)
    run = BASELINES["C1"].run(setting((always(lifetimes=lives),), job(24), notice_s=0.0))
    saves = int(np.ceil(24 * HOUR / young(30, 100 * HOUR))) - 1
    assert run.makespan_s == pytest.approx(300 + 24 * HOUR + 30 * saves) and run.checkpoint_s == pytest.approx(30 * saves)


def test_a_capacity_of_two_is_two_machines_and_no_more():
    run = BASELINES["L1"].run(setting((pool((0, 9e6, 2)),), queue(60, 10), machines=3, horizon_s=3 * 86_400.0, keep_events=True))
    assert len({event.machine for event in run.events if event.kind == "work"}) == 2 and run.waiting_s > 0


def test_restart_from_zero_does_again_what_a_lost_machine_had_finished():
    pools = (pool((0, 2_000, 1), (2_000, 2_100, 0), (2_100, 9e6, 1)),)
    items = queue(20, 5)
    kept, forgotten = (BASELINES[name].run(setting(pools, items, boot_s=100.0)) for name in ("C0", "restart"))
    assert 0 < kept.lost_s < 500 and forgotten.lost_s == pytest.approx(1_900, abs=1)
    assert kept.items_twice == 1 < forgotten.items_twice


@pytest.mark.skipif(
    not os.environ.get("TRACES"), reason="NOT RUN: the paper's Table 3 needs TRACES=DIR with availability/aws_gpu_usw2_2022-10-26.csv.gz"
)
def test_greedy_and_uniform_progress_come_to_table_3_of_the_paper():
    hours = table_3.hours_on_demand(Path(os.environ["TRACES"]))
    greedy, uniform = hours["P2"], hours["P3"]
    assert abs(greedy.mean() - table_3.GREEDY) < table_3.TOLERANCE
    assert abs(uniform.mean() - table_3.UNIFORM) < table_3.TOLERANCE
    assert abs((greedy - uniform).mean() - table_3.APART) < table_3.APART_TOLERANCE
