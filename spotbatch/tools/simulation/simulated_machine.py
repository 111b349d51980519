"""One rented machine: boot, agent, notice, end, and what each of its seconds was paid for."""

import calendar
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from spotbatch.notice import Notice
from spotbatch.protocols import Backend, Identity
from spotbatch.tools.simulation.market import Grant
from spotbatch.tools.simulation.simulated_agent import SimulatedAgent, SimulatedHost
from spotbatch.tools.simulation.timeline import Timeline
from spotbatch.watcher import POLL_SECONDS
from spotbatch.worker import BatchWorker

EPOCH = float(calendar.timegm((2027, 1, 1, 0, 0, 0)))
"""The moment 0 of a trace, on the cloud's clock."""
STEP_SECONDS = 1.0
"""Between two looks of an agent that leads its worker out."""


def iso(moment: float) -> str:
    """A moment of the trace as events tell it: in whole seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(EPOCH + moment))


@dataclass
class Life:
    """When a machine was what."""

    granted_s: float
    booted_s: float | None = None
    gone_s: float | None = None
    taken: bool = False
    """The cloud ended it."""
    unwarned: bool = False
    """It did so before everything was given back."""
    spent: dict[str, float] = field(default_factory=dict)
    """Seconds by kind: work, restore, checkpoint."""
    stretches: list[tuple[str, float, float]] = field(default_factory=list)


class SimulatedMachine:
    """Begins to boot when it is made; `grant` is None for an on-demand machine, which nobody takes."""

    def __init__(
        self,
        name: str,
        grant: Grant | None,
        timeline: Timeline,
        backend: Backend,
        job: Callable[[Callable[[str, float], None]], BatchWorker],
        gone: Callable[["SimulatedMachine"], None],
        *,
        pool: str,
        boot_s: float,
        notice_s: float,
        ahead_s: float,
        chance: random.Random,
    ) -> None:
        self.name, self.grant, self.pool = name, grant, pool
        self.life = Life(timeline.now)
        self.detached = False
        """Its pool counts it no more: its replacement was started."""
        self.notice: Notice | None = None
        self.agent: SimulatedAgent | None = None
        self._timeline, self._backend, self._job, self._gone, self._ahead_s = timeline, backend, job, gone, ahead_s
        self._identity = Identity(name, f"boot of {name}", pool.rpartition("/")[2], "", grant is not None, notice_s if grant else 0.0)
        self.host = SimulatedHost(self._identity, self._leave)
        self._poll_phase = POLL_SECONDS * chance.random()
        timeline.at(timeline.now + boot_s, self._boot)

    @property
    def alive(self) -> bool:
        return self.life.gone_s is None

    @property
    def idle(self) -> bool:
        """Its worker waits for a bell."""
        return self.agent is not None and self.agent.actor is not None and self.agent.actor.parked

    def _boot(self) -> None:
        if self.alive:
            self.life.booted_s = began = self._timeline.now
            clock: Callable[[], float] = lambda: self._timeline.now - began + self._ahead_s  # noqa: E731
            self.agent = SimulatedAgent(self._timeline, self._backend, self.host, clock, self._job, self._spent)
            self.agent.watcher.look()
            self.agent.step()
            if self.host.standing:
                self._lead_out()

    def _spent(self, kind: str, began: float, ended: float) -> None:
        self.life.spent[kind] = self.life.spent.get(kind, 0.0) + ended - began
        stretches = self.life.stretches
        if stretches and stretches[-1][0] == kind and stretches[-1][2] == began:
            stretches[-1] = (kind, stretches[-1][1], ended)
        else:
            stretches.append((kind, began, ended))

    def tell(self, notice: Notice) -> None:
        """It stands in the machine's metadata from now on; the watcher sees it at its next look."""
        self.notice = notice
        self.host.standing.append(notice)
        self._timeline.at(self._timeline.now + self._poll_phase, self._lead_out)

    def _lead_out(self) -> None:
        """Look and step, and again until everything is given back."""
        if self.alive and self.agent is not None:
            if self.agent.notice is None:
                self.agent.watcher.look()
            self.agent.step()
            if self.agent.notice is not None and not self.agent.drained:
                self._timeline.at(self._timeline.now + STEP_SECONDS, self._lead_out)

    def beat(self) -> None:
        """What its agent would have done meanwhile, for somebody who is about to read its record."""
        if self.alive and self.agent is not None and self.agent.notice is None:
            self.agent.step()

    def _leave(self) -> None:
        """It has drained for a stop of ours, and goes."""
        self._timeline.at(self._timeline.now, lambda: self.end(taken=False))

    def end(self, *, taken: bool) -> None:
        """Gone, whatever it was doing."""
        if self.alive:
            self.life.gone_s, self.life.taken = self._timeline.now, taken
            self.life.unwarned = taken and self.agent is not None and not self.agent.drained
            if self.agent is not None:
                self.agent.end()
            self._gone(self)
