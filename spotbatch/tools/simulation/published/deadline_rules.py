"""The rules of "Can't Be Late" (NSDI'24), one machine in one pool: P0 to P5. Work is a fluid: an interruption costs a changeover, no work."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spotbatch.tools.simulation.outcome import Event, Outcome
from spotbatch.tools.simulation.pool import Pool
from spotbatch.tools.simulation.published.omniscient import cheapest
from spotbatch.tools.simulation.setting import Setting

State = Literal["idle", "spot", "on-demand"]

JOB_FRACTION = 0.8
"""Share of the deadline that the work takes where the workload has no deadline: the paper's Table 3."""
SLICES = 8
"""Of Time Sliced."""


@dataclass
class Progress:
    """What a rule sees at the beginning of a tick. Seconds."""

    state: State
    available: bool
    elapsed: float
    work: float
    left: float
    deadline: float
    changeover: float
    tick: float

    @property
    def must_run(self) -> bool:
        """The safety net: from here on only on-demand is sure to be in time."""
        return self.state != "spot" and self.deadline - self.elapsed < self.left + 2 * self.changeover + self.tick

    def expected(self, later: float = 0.0) -> float:
        """Work done by then at a uniform pace."""
        return (self.elapsed + later) * self.work / self.deadline


Choose = Callable[[Progress], State]


def spot_only(seen: Progress) -> State:
    """P1"""
    return "spot" if seen.available else "idle"


def greedy(seen: Progress) -> State:
    """P2"""
    if seen.state == "spot":
        return "spot"
    return "on-demand" if seen.must_run else "spot" if seen.available else "idle"


def uniform_progress(seen: Progress) -> State:
    """P3, as the authors coded it: on-demand when behind, and back to Spot only once ahead of the pace two changeovers from now."""
    if seen.state == "spot":
        return "spot"
    if seen.must_run:
        return "on-demand"
    done = seen.work - seen.left
    if seen.state == "on-demand":
        return "spot" if seen.available and done >= seen.expected(2 * seen.changeover) else "on-demand"
    return "spot" if seen.available else "on-demand" if done < seen.expected() else "idle"


def time_sliced(seen: Progress) -> State:
    """P4: each slice has its share of the work and is greedy; what is done ahead counts for the next ones."""
    if seen.state == "spot":
        return "spot"
    slot = min(SLICES - 1, int(seen.elapsed * SLICES / seen.deadline))
    end = (slot + 1) * seen.deadline / SLICES
    due = seen.left - seen.work * (SLICES - 1 - slot) / SLICES
    late = due > 0 and end - seen.elapsed < due + 2 * seen.changeover + seen.tick
    return "on-demand" if seen.must_run or late else "spot" if seen.available else "idle"


def on_demand(setting: Setting) -> Outcome:
    """P0, what every saving is measured against: each machine until nothing is left for it."""
    machines = min(setting.machines, len(setting.workload.items_s))
    boots = machines * setting.boot_s
    ideal, deadline = setting.ideal_s(), setting.workload.deadline_s
    hours = (boots + setting.workload.work_s) / 3600
    late = deadline is not None and ideal > deadline
    return Outcome(ideal, ideal, setting.workload.work_s, 0.0, 0.0, hours, boot_s=boots, deadline_missed=late)


def follow(setting: Setting, choose: Choose) -> Outcome:
    """One start under a rule; several machines share the work evenly, each in a pool of its own."""
    return _together(setting, [_one(setting, pool, choose) for pool in _homes(setting)])


def omniscient(setting: Setting) -> Outcome:
    """P5"""
    return _together(setting, [_best(setting, pool) for pool in _homes(setting)])


@dataclass
class _Part:
    """One machine's share. Ticks run are counted in seconds."""

    end: float = 0.0
    done: float = 0.0
    spot: float = 0.0
    spot_cost: float = 0.0
    free: float = 0.0
    on_demand: float = 0.0
    changeovers: float = 0.0
    idle: float = 0.0
    interruptions: int = 0
    finished: bool = True
    events: tuple[Event, ...] = ()


def _homes(setting: Setting) -> list[Pool]:
    return [setting.pools[(setting.seed + place) % len(setting.pools)] for place in range(min(setting.machines, len(setting.workload.items_s)))]


def _deadline(setting: Setting) -> float:
    given = setting.workload.deadline_s
    return setting.workload.work_s / setting.machines / JOB_FRACTION if given is None else given


def _changeover(setting: Setting) -> float:
    return setting.boot_s + setting.workload.restore_s


def _tick(setting: Setting) -> float:
    """The longest of a few that divides the changeover; shorter ones for short jobs."""
    longest = 120.0 if setting.workload.work_s / setting.machines >= 4 * 3600 else 60.0
    return next((tick for tick in (longest, 60.0) if _changeover(setting) % tick == 0), 60.0)


def _available(setting: Setting, pool: Pool, tick: float, until: float) -> NDArray[np.bool_]:
    """By tick: is it up from the tick's beginning to its end? A pool of lifetimes drops for one tick at each end."""
    moments = setting.start_s + tick * np.arange(int(np.ceil(until / tick)) + 1)
    if pool.lifetimes_s is not None:
        up = np.ones(len(moments) - 1, dtype=np.bool_)
        ends = np.cumsum(np.tile(pool.lifetimes_s, int(until // pool.lifetimes_s.sum()) + 1)) // tick
        up[ends[ends < len(up)].astype(np.int64)] = False
        return up
    steps = np.concatenate([[0], np.cumsum(pool.capacity < 1)])
    first = np.searchsorted(pool.end_s, moments[:-1], side="right")
    last = np.searchsorted(pool.start_s, moments[1:], side="left")
    inside = moments[1:] <= pool.end_s[-1]
    return inside & (steps[np.minimum(last, len(pool.capacity))] - steps[np.minimum(first, len(pool.capacity))] == 0)


def _one(setting: Setting, pool: Pool, choose: Choose) -> _Part:
    tick, changeover, deadline = _tick(setting), _changeover(setting), _deadline(setting)
    work = setting.workload.work_s / setting.machines
    horizon = setting.horizon_s if choose is spot_only else deadline
    up = _available(setting, pool, tick, horizon).tolist()
    seen = Progress("idle", False, 0.0, work, work, deadline, changeover, tick)
    part = _Part(finished=False)
    overhead, began = 0.0, 0.0
    stays: list[Event] = []

    def leave(state: State, until: float, taken: bool = False) -> None:
        if setting.keep_events and state != "idle" and until > began:
            stays.extend(_stay(pool.name if state == "spot" else state, began, until, changeover, taken))

    for number, seen.available in enumerate(up):
        seen.elapsed = number * tick
        before = seen.state
        if before == "spot" and not seen.available:
            leave("spot", seen.elapsed, taken=True)
            part.interruptions += 1
            if setting.first_hour_free and seen.elapsed - began < 3600:
                lived = seen.elapsed - began
                part.spot, part.free, part.spot_cost = part.spot - lived, part.free + lived, part.spot_cost - lived * setting.ratio(pool)
            seen.state = before = "idle"
        seen.state = choose(seen)
        if seen.state == "idle":
            leave(before, seen.elapsed)
            part.idle += tick
            continue
        if seen.state != before:
            leave(before, seen.elapsed)
            overhead, began = changeover, seen.elapsed
        paused = min(overhead, tick)
        overhead -= paused
        run = min(tick, paused + seen.left)
        seen.left -= run - paused
        part.changeovers += paused
        if seen.state == "spot":
            part.spot, part.spot_cost = part.spot + run, part.spot_cost + run * setting.ratio(pool)
        else:
            part.on_demand += run
        part.end = seen.elapsed + run
        if seen.left <= 1e-6:
            part.finished = True
            break
    part.end = part.end if part.finished else setting.horizon_s
    leave(seen.state, part.end)
    part.done, part.events = work - seen.left, tuple(stays)
    return part


def _stay(pool: str, begin: float, end: float, changeover: float, taken: bool) -> list[Event]:
    """For the picture: one machine's life."""
    name, ready = f"from {begin / 3600:.2f} h", min(end, begin + changeover)
    events = [Event(name, pool, "boot", begin, ready), Event(name, pool, "work", ready, end)]
    return [*events, Event(name, pool, "interruption" if taken else "end", end, end)]


def _best(setting: Setting, pool: Pool) -> _Part:
    tick, deadline = _tick(setting), _deadline(setting)
    work = setting.workload.work_s / setting.machines
    delay = int(np.ceil(_changeover(setting) / tick))
    up = _available(setting, pool, tick, deadline)[: int(deadline // tick)]
    found = cheapest(up, int(np.ceil(work / tick)), delay, setting.ratio(pool))
    if found is None:
        return _Part(end=setting.horizon_s, finished=False)
    end, spot, own = (ticks * tick for ticks in found)
    changeovers = max(0.0, spot + own - work)
    idle = end - spot - own
    return _Part(end=end, done=work, spot=spot, spot_cost=spot * setting.ratio(pool), on_demand=own, changeovers=changeovers, idle=idle)


def _together(setting: Setting, parts: list[_Part]) -> Outcome:
    end, finished = max(part.end for part in parts), all(part.finished for part in parts)
    deadline = setting.workload.deadline_s
    return Outcome(
        makespan_s=end,
        ideal_s=setting.ideal_s(),
        useful_s=sum(part.done for part in parts),
        spot_hours=sum(part.spot for part in parts) / 3600,
        spot_cost=sum(part.spot_cost for part in parts) / 3600,
        on_demand_hours=sum(part.on_demand for part in parts) / 3600,
        free_hours=sum(part.free for part in parts) / 3600,
        boot_s=sum(part.changeovers for part in parts),
        waiting_s=sum(part.idle for part in parts),
        interruptions=sum(part.interruptions for part in parts),
        deadline_missed=deadline is not None and (not finished or end > deadline),
        finished=finished,
        events=tuple(replace(event, machine=f"{place} {event.machine}") for place, part in enumerate(parts, start=1) for event in part.events),
    )
