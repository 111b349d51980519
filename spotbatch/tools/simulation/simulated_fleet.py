"""Keeps as many machines as are wanted, as a Spot group over several pools does: the strategies say where, and whether to pay for on-demand."""

import math
from collections.abc import Callable, Sequence

from spotbatch.strategies.next_pool import PoolSeen
from spotbatch.tools.simulation.simulated_cloud import SimulatedCloud
from spotbatch.tools.simulation.simulated_machine import SimulatedMachine

HOUR = 3600.0


class SimulatedFleet:
    """What the handler knows as a pool (`spotbatch.protocols.Pool`), and what replaces machines."""

    def __init__(self, cloud: SimulatedCloud, next_pool: Callable[[Sequence[PoolSeen]], int | None]) -> None:
        self._cloud, self._next_pool = cloud, next_pool
        self._trying = 0
        self._refused = [-math.inf] * len(cloud.setting.pools)
        self._interrupted = [-math.inf] * len(cloud.setting.pools)
        self._short_since: float | None = None
        self.waiting_s = 0.0

    @property
    def _active(self) -> list[SimulatedMachine]:
        return [machine for machine in self._cloud.machines.values() if machine.alive and not machine.detached]

    def begin(self) -> None:
        self.changed()

    def changed(self) -> None:
        """A machine has gone, or is about to: fill up. No more than there are tasks left."""
        while len(self._active) + self._trying < min(self._cloud.setting.machines, self._cloud.open_tasks):
            self._trying += 1
            self._launch(frozenset())
        self._count_waiting()

    def _launch(self, just_refused: frozenset[int]) -> None:
        cloud, setting = self._cloud, self._cloud.setting
        now = cloud.timeline.now
        choice = self._next_pool(self._seen(just_refused))
        if choice is None:
            cloud.timeline.at(now + setting.retry_s, lambda: self._launch(frozenset()))
        elif (grant := cloud.market.launch(choice, now)) is None:
            self._refused[choice] = now
            cloud.timeline.at(now + setting.launch_failure_s, lambda: self._launch(just_refused | {choice}))
        else:
            self._trying -= 1
            cloud.rent(grant)
        self._count_waiting()

    def _seen(self, just_refused: frozenset[int]) -> list[PoolSeen]:
        now, held = self._cloud.timeline.now, [0] * len(self._cloud.setting.pools)
        for machine in self._cloud.machines.values():
            if machine.alive and machine.grant is not None:
                held[machine.grant.pool] += 1
        return [
            PoolSeen(
                pool.name,
                pool.region,
                self._cloud.setting.ratio(pool),
                held[index],
                (now - self._refused[index]) / HOUR,
                (now - self._interrupted[index]) / HOUR,
                index in just_refused,
            )
            for index, pool in enumerate(self._cloud.setting.pools)
        ]

    def _count_waiting(self) -> None:
        alive = sum(machine.alive for machine in self._cloud.machines.values())
        now, short = self._cloud.timeline.now, max(0, self._cloud.setting.machines - alive)
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
