"""Keeps as many machines as are wanted, as a Spot group over several pools does: the strategies say where, and whether to pay for on-demand."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from spotbatch.strategies.next_pool import PoolSeen
from spotbatch.strategies.on_demand import Choice, Pace
from spotbatch.strategies.spacing import NOTICE_SLACK_SECONDS
from spotbatch.tools.simulation.pool import Pool
from spotbatch.tools.simulation.simulated_cloud import SimulatedCloud
from spotbatch.tools.simulation.simulated_machine import SimulatedMachine

HOUR = 3600.0
LOOK_SECONDS, LOOK_WORKING_SECONDS = 60.0, 300.0
"""How often a deadline is thought of while no Spot machine works, and while one does."""


class SimulatedFleet:
    """What the handler knows as a pool (`spotbatch.protocols.Pool`), and what replaces machines."""

    def __init__(
        self,
        cloud: SimulatedCloud,
        next_pool: Callable[[Sequence[PoolSeen]], int | None],
        on_demand: Callable[[Pace], Choice] | None = None,
        *,
        signal: bool,
    ) -> None:
        self._cloud, self._next_pool, self._on_demand, self._signal = cloud, next_pool, on_demand, signal
        self._stays = False
        """On-demand machines to the end: Spot is asked no more."""
        self._trying = 0
        self._refused = [-math.inf] * len(cloud.setting.pools)
        self._interrupted = [-math.inf] * len(cloud.setting.pools)
        self._short_since: float | None = None
        self.waiting_s = 0.0

    @property
    def _active(self) -> list[SimulatedMachine]:
        """Spot machines that count: neither gone nor replaced."""
        return [machine for machine in self._cloud.machines.values() if machine.alive and not machine.detached and machine.grant is not None]

    @property
    def _bought(self) -> list[SimulatedMachine]:
        """On-demand machines that work or boot."""
        return [machine for machine in self._cloud.machines.values() if machine.alive and not machine.detached and machine.grant is None]

    def begin(self) -> None:
        self.changed()
        if self._on_demand is not None:
            self._look()

    def changed(self) -> None:
        """A machine has gone or is about to, or a task is done: as many machines as there are tasks left, up to what is wanted."""
        surplus = len(self._active) - self._cloud.open_tasks
        for machine in [machine for machine in self._active if machine.idle][: max(0, surplus)]:
            self._cloud.stop(machine)
        while not self._stays and len(self._active) + self._trying < min(self._cloud.setting.machines, self._cloud.open_tasks):
            self._trying += 1
            self._launch(frozenset())
        self._count_waiting()

    def _launch(self, just_refused: frozenset[int]) -> None:
        cloud, setting = self._cloud, self._cloud.setting
        now = cloud.timeline.now
        if self._stays:
            self._trying -= 1
            return
        choice = self._next_pool(self._seen(just_refused))
        if choice is None:
            self._consider(refused=True)
            cloud.timeline.at(now + setting.retry_s, lambda: self._launch(frozenset()))
        elif (grant := cloud.market.launch(choice, now)) is None:
            self._refused[choice] = now
            cloud.timeline.at(now + setting.launch_failure_s, lambda: self._launch(just_refused | {choice}))
        else:
            self._trying -= 1
            machine = cloud.rent(grant)
            cloud.timeline.at(now + setting.boot_s, lambda: self._booted(machine))
        self._count_waiting()

    # -- on-demand ------------------------------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Again and again, more often while no Spot machine works."""
        self._consider(refused=False)
        pause = LOOK_WORKING_SECONDS if self._all_work() else LOOK_SECONDS
        self._cloud.timeline.at(self._cloud.timeline.now + pause, self._look)

    def _all_work(self) -> bool:
        return sum(machine.life.booted_s is not None and machine.notice is None for machine in self._active) >= self._cloud.setting.machines

    def _consider(self, *, refused: bool) -> None:
        """Buy what is missing where the strategy says so; `refused`: no pool gives a machine just now."""
        setting = self._cloud.setting
        if self._on_demand is None or self._stays:
            return
        choice = self._on_demand(self._pace())
        if choice == "stay":
            self._stays = True
            self._buy(setting.machines - len(self._bought))
        elif choice == "bridge" and (refused or (setting.workload.deadline_s is not None and not self._active)):
            self._buy(setting.machines - len(self._active) - len(self._bought))

    def _buy(self, machines: int) -> None:
        for _ in range(machines):
            self._cloud.rent(None)
        if self._stays:
            self._cloud.timeline.at(self._cloud.timeline.now + self._cloud.setting.boot_s, self._take_over)

    def _take_over(self) -> None:
        """On-demand machines to the end: what Spot ones still do is given back to them."""
        for machine in self._active:
            self._cloud.stop(machine)

    def _pace(self) -> Pace:
        cloud, setting = self._cloud, self._cloud.setting
        now, workload = cloud.timeline.now, setting.workload
        lives = [machine.life for machine in cloud.machines.values() if machine.grant is not None]
        lived = sum((now if life.gone_s is None else life.gone_s) - life.granted_s for life in lives)
        changeover = setting.boot_s + workload.restore_s + workload.state_write_s
        look = (LOOK_WORKING_SECONDS if self._all_work() else LOOK_SECONDS) + setting.launch_failure_s
        pace = Pace(0.0, None, changeover, lived, sum(life.taken for life in lives), look)
        if workload.deadline_s is None:
            return pace
        spent = [machine.life.spent for machine in cloud.machines.values()]
        saving = sum(one.get("checkpoint", 0.0) for one in spent) / max(HOUR, sum(one.get("work", 0.0) for one in spent))
        left = (workload.work_s - cloud.tally.done_s) * (1 + saving) / setting.machines
        leading_out = cloud.tally.step_s + workload.state_write_s
        warned = setting.notice_s - NOTICE_SLACK_SECONDS >= leading_out and not any(life.unwarned for life in lives)
        at_risk = 0.0 if warned or not self._active else cloud.tally.done_s - cloud.saved_s()
        return replace(pace, left=left, until_deadline=setting.start_s + workload.deadline_s - now, at_risk=at_risk)

    def _booted(self, machine: SimulatedMachine) -> None:
        """A Spot machine is there: an on-demand one gives back to it, unless there is no time for another interruption."""
        if machine.alive and machine.notice is None and not self._stays:
            for bridge in self._bought[:1]:
                self._cloud.stop(bridge)

    def _seen(self, just_refused: frozenset[int]) -> list[PoolSeen]:
        now, held = self._cloud.timeline.now, self._cloud.market.held
        return [
            PoolSeen(
                pool.name,
                pool.region,
                self._cloud.setting.ratio(pool),
                held[index],
                (now - self._refused[index]) / HOUR,
                (now - self._interrupted[index]) / HOUR,
                index in just_refused,
                self._standing(pool, now) if self._signal and not pool.is_seat else None,
            )
            for index, pool in enumerate(self._cloud.setting.pools)
        ]

    @staticmethod
    def _standing(pool: Pool, now: float) -> float:
        since = pool.stands_since(now)
        return 0.0 if since is None else (now - since) / HOUR

    def _count_waiting(self) -> None:
        alive = sum(machine.alive for machine in self._cloud.machines.values())
        now, short = self._cloud.timeline.now, max(0, min(self._cloud.setting.machines, self._cloud.open_tasks) - alive)
        if self._short_since is not None:
            self.waiting_s += (now - self._short_since) * self._short
        self._short_since, self._short = now, short

    def ended(self) -> None:
        """Nothing happens any more: what it waited until now counts."""
        self._count_waiting()

    # -- what the handler calls -----------------------------------------------------------------------------------------------------------

    def detach(self, machine: str) -> bool:
        """Its replacement starts now."""
        leaving = self._cloud.machines[machine]
        if not leaving.detached:
            leaving.detached = True
            self._note_interruption(leaving)
            self.changed()
        return True

    def complete(self, machine: str, hook: dict[str, str]) -> bool:
        return False

    def gone(self, machine: SimulatedMachine) -> None:
        """It has ended, announced or not."""
        if machine.life.taken and not machine.detached:
            self._note_interruption(machine)
        self.changed()

    def _note_interruption(self, machine: SimulatedMachine) -> None:
        if machine.grant is not None:
            self._interrupted[machine.grant.pool] = self._cloud.timeline.now
