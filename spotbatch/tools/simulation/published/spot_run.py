"""One start of a workload on Spot machines under a published rule: where to look for a machine, and when to save. Event by event."""

import heapq
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from spotbatch.tools.simulation.outcome import Event, EventKind, Outcome
from spotbatch.tools.simulation.published.cadence import MARGIN_S, Cadence
from spotbatch.tools.simulation.published.placement import Pause, Rule, Search
from spotbatch.tools.simulation.published.view import View
from spotbatch.tools.simulation.setting import Setting


@dataclass
class _Machine:
    """Moments are seconds after the start."""

    number: int
    place: int
    pool: int
    launched: float
    end: float
    phase: EventKind = "boot"
    since: float = 0.0
    item: int | None = None
    done_here: list[int] = field(default_factory=list)


class SpotRun:
    """Machines look for a pool, boot, take items from one queue, and are taken away; progress that was not saved is done again."""

    def __init__(self, setting: Setting, placement: Rule, cadence: Cadence, forgets: bool = False) -> None:
        """`forgets`: what a machine did is gone with it, finished items too (restart from zero)."""
        self.setting, self.placement, self.cadence, self.forgets = setting, placement, cadence, forgets
        work = setting.workload
        self.inside = work.resumable and (cadence.on_notice or cadence.every_s is not None)
        """Whether progress inside an item is ever kept."""
        self.items = work.items_s.tolist()
        self.kept = [0.0] * len(self.items)
        """Seconds of each item that are saved."""
        self.todo = deque(range(len(self.items)))
        self.left = len(self.items)
        self.view = View(setting)
        self.searches: dict[int, tuple[float, Search]] = {}
        """By place: since when it wants a machine, and how it looks for one."""
        self.machines: dict[int, _Machine] = {}
        self.queue: list[tuple[float, int, Callable[[], None]]] = []
        self.order = itertools.count()
        self.numbers = itertools.count(1)
        self.now = 0.0
        self.spent: dict[str, float] = dict.fromkeys(("boot", "restore", "checkpoint", "drain", "work", "lost", "wait"), 0.0)
        self.billed_s = self.free_s = self.cost_s = 0.0
        self.interruptions = 0
        self.twice: set[int] = set()
        self.events: list[Event] = []

    def outcome(self) -> Outcome:
        """Run to the end of the last item, or to the horizon."""
        for place in range(min(self.setting.machines, len(self.items))):
            self._want(place)
        horizon = self.setting.horizon_s
        while self.left and self.queue and self.queue[0][0] <= horizon:
            self.now, _, happen = heapq.heappop(self.queue)
            self.view.now = self.setting.start_s + self.now
            happen()
        finished = not self.left
        self.now = self.now if finished else horizon
        for machine in list(self.machines.values()):
            self._close_phase(machine, keep=True)
            self._bill(machine, taken=False)
        for place in list(self.searches):
            self._stop_searching(place)
        deadline = self.setting.workload.deadline_s
        return Outcome(
            makespan_s=self.now,
            ideal_s=self.setting.ideal_s(),
            useful_s=self.spent["work"] - self.spent["lost"],
            spot_hours=self.billed_s / 3600,
            spot_cost=self.cost_s / 3600,
            on_demand_hours=0.0,
            free_hours=self.free_s / 3600,
            boot_s=self.spent["boot"],
            restore_s=self.spent["restore"],
            checkpoint_s=self.spent["checkpoint"],
            lost_s=self.spent["lost"],
            waiting_s=self.spent["wait"],
            drain_s=self.spent["drain"],
            interruptions=self.interruptions,
            items_twice=len(self.twice),
            twice_s=self.spent["lost"],
            deadline_missed=deadline is not None and (not finished or self.now > deadline),
            finished=finished,
            events=tuple(self.events),
        )

    def _at(self, moment: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self.queue, (moment, next(self.order), happen))

    def _want(self, place: int) -> None:
        self.searches[place] = (self.now, self.placement(self.view, place))
        self._ask(place)

    def _ask(self, place: int) -> None:
        step = next(self.searches[place][1])
        if isinstance(step, Pause):
            self._at(self.now + step.seconds, lambda: self._ask(place))
        elif not self.view.gives(step):
            self._at(self.now + self.setting.launch_failure_s, lambda: self._ask(place))
        else:
            self._launch(place, step)

    def _stop_searching(self, place: int) -> None:
        since, _ = self.searches.pop(place)
        self.spent["wait"] += self.now - since
        self._note(f"place {place}", "-", "wait", since, self.now)

    def _launch(self, place: int, pool: int) -> None:
        self._stop_searching(place)
        end = self.view.end_of_next(pool) - self.setting.start_s
        self.view.grant(pool)
        machine = _Machine(next(self.numbers), place, pool, self.now, end, since=self.now)
        self.machines[machine.number] = machine
        if end <= self.now + self.setting.boot_s:
            self._at(end, lambda: self._taken(machine))
        else:
            self._at(self.now + self.setting.boot_s, lambda: self._next_item(machine))

    def _next_item(self, machine: _Machine) -> None:
        self._close_phase(machine)
        if self.cadence.on_notice and self.now >= machine.end - self.setting.notice_s:
            self._drain(machine)
            return
        if not self.todo:
            self._bill(machine, taken=False)
            return
        machine.item = self.todo.popleft()
        restore = self.setting.workload.restore_s if self.kept[machine.item] else 0.0
        if not restore:
            self._work(machine)
            return
        machine.phase = "restore"
        if self.now + restore < machine.end:
            self._at(self.now + restore, lambda: self._work(machine))
        else:
            self._at(machine.end, lambda: self._taken(machine))

    def _work(self, machine: _Machine) -> None:
        self._close_phase(machine)
        assert machine.item is not None
        machine.phase = "work"
        need = self.items[machine.item] - self.kept[machine.item]
        write = self.setting.workload.state_write_s
        ready = self.now + need
        if self.inside and self.cadence.every_s is not None:
            ready += write * max(0, int(np.ceil(need / self.cadence.every_s)) - 1)
        stop = machine.end - MARGIN_S - write
        if ready <= (stop if self.inside and self.cadence.on_notice else machine.end):
            self._at(ready, lambda: self._done(machine))
        elif not (self.inside and self.cadence.on_notice):
            self._at(machine.end, lambda: self._taken(machine))
        elif stop <= self.now:
            self._put_back(machine, 0.0)
            self._drain(machine)
        else:
            self._at(stop, lambda: self._save_last(machine))

    def _save_last(self, machine: _Machine) -> None:
        self._close_phase(machine, keep=True)
        machine.phase = "checkpoint"
        self._at(machine.end - MARGIN_S, lambda: self._drain(machine))

    def _drain(self, machine: _Machine) -> None:
        self._close_phase(machine)
        machine.phase = "drain"
        self._at(machine.end, lambda: self._taken(machine))

    def _done(self, machine: _Machine) -> None:
        item = machine.item
        assert item is not None
        self._spend_work(machine, self.items[item] - self.kept[item])
        self.kept[item] = self.items[item]
        machine.since, machine.item, machine.phase = self.now, None, "drain"
        machine.done_here.append(item)
        self.left -= 1
        if self.left:
            self._next_item(machine)

    def _taken(self, machine: _Machine) -> None:
        self._close_phase(machine)
        self.interruptions += 1
        if self.forgets:
            for item in machine.done_here:
                self.spent["lost"] += self.items[item]
                self.left += 1
                self._again(item, 0.0)
        self._note(f"machine {machine.number}", self.view.pool(machine.pool).name, "interruption", self.now, self.now)
        self._bill(machine, taken=True)
        self._want(machine.place)

    def _bill(self, machine: _Machine, taken: bool) -> None:
        """The machine is gone."""
        del self.machines[machine.number]
        lived = self.now - machine.launched
        self.view.give_up(machine.pool, machine.place, lived, taken)
        if taken and self.setting.first_hour_free and lived < 3600:
            self.free_s += lived
        else:
            self.billed_s += lived
            self.cost_s += lived * self.setting.ratio(self.view.pool(machine.pool))

    def _close_phase(self, machine: _Machine, keep: bool = False) -> None:
        """Count what the machine did since its last change. Work is lost but for its periodic saves, or kept whole."""
        lasted = self.now - machine.since
        if machine.phase == "work" and machine.item is not None:
            every, write = self.cadence.every_s, self.setting.workload.state_write_s
            saves, rest = (int(lasted // (every + write)), lasted % (every + write)) if self.inside and every is not None else (0, lasted)
            unsaved = rest if every is None or not self.inside else min(rest, every)
            worked = saves * (every or 0.0) + unsaved
            self._spend_work(machine, worked)
            self.spent["lost"] += 0.0 if keep else unsaved
            self._put_back(machine, worked if keep else worked - unsaved, lost=not keep and unsaved > 0)
        else:
            self._spend(machine, machine.phase, lasted)
            if machine.phase == "restore" and machine.item is not None and self.now >= machine.end:
                self._put_back(machine, 0.0)
        machine.since = self.now

    def _put_back(self, machine: _Machine, kept: float, lost: bool = False) -> None:
        assert machine.item is not None
        self._again(machine.item, self.kept[machine.item] + kept, lost)
        machine.item = None

    def _again(self, item: int, kept: float, lost: bool = True) -> None:
        self.kept[item] = kept
        self.todo.appendleft(item)
        if lost:
            self.twice.add(item)

    def _spend_work(self, machine: _Machine, worked: float) -> None:
        """So much work since the machine's last change; the rest of the time went into periodic saves."""
        saving = max(0.0, self.now - machine.since - worked)
        self.spent["work"] += worked
        self.spent["checkpoint"] += saving
        every, write, at = self.cadence.every_s or worked, self.setting.workload.state_write_s, machine.since
        while self.setting.keep_events and at < self.now:
            stop, saved = min(self.now, at + every), min(self.now, at + every + write)
            self._note_of(machine, "work", at, stop)
            self._note_of(machine, "checkpoint", stop, saved)
            at = saved

    def _spend(self, machine: _Machine, kind: EventKind, seconds: float) -> None:
        self.spent[kind] += seconds
        self._note_of(machine, kind, machine.since, machine.since + seconds)

    def _note_of(self, machine: _Machine, kind: EventKind, begin: float, end: float) -> None:
        if end > begin:
            self._note(f"machine {machine.number}", self.view.pool(machine.pool).name, kind, begin, end)

    def _note(self, machine: str, pool: str, kind: EventKind, begin: float, end: float) -> None:
        if self.setting.keep_events:
            self.events.append(Event(machine, pool, kind, begin, end))
