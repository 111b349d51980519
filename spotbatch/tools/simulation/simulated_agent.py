"""The product's own agent, watcher, worker process and runner, on a machine of the simulated cloud."""

import math
import os
import signal
from collections.abc import Callable, Iterator

from spotbatch.agent import Agent
from spotbatch.child import Process
from spotbatch.notice import Notice
from spotbatch.process import WorkerProcess
from spotbatch.protocols import Backend, Identity
from spotbatch.runner import OutOfTime
from spotbatch.start import Start
from spotbatch.tools.simulation.actor import Actor
from spotbatch.tools.simulation.timeline import Timeline
from spotbatch.worker import BatchWorker


class SimulatedHost:
    """The machine as its agent sees it. Notices stand here until the machine is gone."""

    def __init__(self, identity: Identity, completed: Callable[[], None]) -> None:
        self._identity, self._completed = identity, completed
        self.standing: list[Notice] = []

    def identity(self) -> Identity:
        return self._identity

    def notices(self) -> Iterator[Notice]:
        return iter(self.standing)

    def complete_hook(self) -> None:
        self._completed()

    def shut_down(self) -> None:
        self._completed()


class SimulatedProcess:
    """A worker process that is an actor: SIGUSR1 cuts its item short, SIGKILL ends it wherever it is."""

    def __init__(self, actor: Actor, runner_in_item: Callable[[], bool]) -> None:
        self.actor = actor
        self._in_item = runner_in_item
        self._cut = False
        actor.interrupt = self._interrupt

    def poll(self) -> int | None:
        return 0 if self.actor.ended else None

    def kill(self) -> None:
        self.actor.kill()

    def wait(self) -> int:
        return 0

    def send_signal(self, sig: int) -> None:
        self._cut = sig == signal.SIGUSR1
        self.actor.wake()

    def _interrupt(self) -> None:
        if self._cut:
            self._cut = False
            if self._in_item():
                raise OutOfTime


class SimulatedAgent(Agent):
    """An agent whose clock is the timeline's and whose one worker process is an actor. Its beats, which nobody reads, are left out while it works.

    `job(passes)` makes the user's job; `passes(kind, seconds)` is what lets time pass.
    """

    def __init__(
        self,
        timeline: Timeline,
        backend: Backend,
        host: SimulatedHost,
        clock: Callable[[], float],
        job: Callable[[Callable[[str, float], None]], BatchWorker],
        spent: Callable[[str, float, float], None],
    ) -> None:
        self._timeline, self._backend, self._make_job, self._spent = timeline, backend, job, spent
        self.actor: Actor | None = None
        super().__init__("simulated", "job", host, connect=lambda queue: backend, clock=clock)
        # The kernel's memory behind the board is held by its mapping.
        os.close(self.board.descriptor)

    def hold(self) -> None:
        """Nobody else starts agents here."""

    def step(self) -> None:
        super().step()
        # The beats in between would move this on.
        self.board.board.alive_until = math.inf

    @property
    def drained(self) -> bool:
        return self._told_drained

    def passes(self, kind: str, seconds: float) -> None:
        """Let the worker spend so many seconds on a kind of thing; what it is cut short at counts up to there."""
        assert self.actor is not None
        began = self._timeline.now
        try:
            self.actor.wait_until(began + seconds)
        finally:
            self._spent(kind, began, self._timeline.now)

    def spawn(self, start: Start) -> Process:
        worker = WorkerProcess(start, self._make_job(self.passes), self.board, lambda queue: self._backend, self.clock, self._pause)
        self.actor = Actor(self._timeline, worker.work)
        return SimulatedProcess(self.actor, lambda: worker.runner.in_item)

    def _pause(self, seconds: float) -> None:
        assert self.actor is not None
        self.actor.wait_until(self._timeline.now + seconds)

    def end(self) -> None:
        """The machine is gone."""
        if self.actor is not None:
            self.actor.kill()
