"""The rows that are not ours: rules of papers and of other systems, and the bounds. Nothing in production follows them."""

from collections.abc import Callable
from functools import partial

from spotbatch.tools.simulation.outcome import Outcome
from spotbatch.tools.simulation.policy import Policy
from spotbatch.tools.simulation.published import deadline_rules, placement
from spotbatch.tools.simulation.published.cadence import Cadence, Rule
from spotbatch.tools.simulation.published.spot_run import SpotRun
from spotbatch.tools.simulation.setting import Setting

LATE = "Can't Be Late, NSDI'24"


def _placed(rule: placement.Rule, setting: Setting) -> Outcome:
    return SpotRun(setting, rule, Cadence.of("C4", setting)).outcome()


def _saved(rule: Rule, setting: Setting) -> Outcome:
    return SpotRun(setting, placement.spot_hedge, Cadence.of(rule, setting)).outcome()


def _from_zero(setting: Setting) -> Outcome:
    return SpotRun(setting, placement.spot_hedge, Cadence(), forgets=True).outcome()


def _row(name: str, summary: str, source: str, run: Callable[[Setting], Outcome]) -> Policy:
    return Policy(name, summary, "nothing", run, source)


BASELINES: dict[str, Policy] = {
    policy.name: policy
    for policy in (
        _row("P0", "on-demand", "", deadline_rules.on_demand),
        _row("P1", "one pool, wait for it", LATE, partial(deadline_rules.follow, choose=deadline_rules.spot_only)),
        _row("P2", "one pool, greedy", LATE, partial(deadline_rules.follow, choose=deadline_rules.greedy)),
        _row("P3", "one pool, Uniform Progress", LATE, partial(deadline_rules.follow, choose=deadline_rules.uniform_progress)),
        _row("P4", "one pool, Time Sliced (8)", LATE, partial(deadline_rules.follow, choose=deadline_rules.time_sliced)),
        _row("P5", "bound: omniscient, one pool", LATE, deadline_rules.omniscient),
        _row("L1", "one pool", "", partial(_placed, placement.single_pool)),
        _row("L2", "lowest price", "", partial(_placed, placement.lowest_price)),
        _row("L3", "SkyPilot FAILOVER", "skypilot, recovery_strategy", partial(_placed, placement.failover)),
        _row("L4", "SkyPilot EAGER_NEXT_REGION", "skypilot, recovery_strategy", partial(_placed, placement.eager_next_region)),
        _row("L5", "SkyServe SpotHedge", "EuroSys'25", partial(_placed, placement.spot_hedge)),
        _row("L6", "best mean up-time so far", "", partial(_placed, placement.longest_lived)),
        _row("L8", "bound: knows each lifetime", "", partial(_placed, placement.oracle)),
        _row("C0", "L5, no checkpoint", "", partial(_saved, "C0")),
        _row("C1", "L5, periodic (Young)", "Young 1974", partial(_saved, "C1")),
        _row("C2", "L5, periodic (Daly)", "Daly 2006", partial(_saved, "C2")),
        _row("C3", "L5, at the notice only", "", partial(_saved, "C3")),
        _row("C4", "L5, at the notice or Daly", "", partial(_saved, "C4")),
        _row("restart", "L5, from zero", "", _from_zero),
    )
}
