"""Bells in this process: a worker that waits for one waits as long as it takes, as looking again every few seconds would find nothing new."""

import random
from collections import deque

from spotbatch.protocols import Bell
from spotbatch.tools.simulation.actor import Actor
from spotbatch.tools.simulation.timeline import Timeline

TWICE_WITHIN_SECONDS = 60.0


class SimulatedDoorbell:
    """First come, first served; a share of the bells comes twice."""

    def __init__(self, timeline: Timeline, twice: float, chance: random.Random) -> None:
        self._timeline, self._twice, self._chance = timeline, twice, chance
        self._bells: deque[Bell] = deque()
        self._waiting: deque[Actor] = deque()

    def ring(self, run: str, task: str) -> None:
        self._add(Bell(run, task))
        if self._twice and self._chance.random() < self._twice:
            later = self._timeline.now + TWICE_WITHIN_SECONDS * self._chance.random()
            self._timeline.at(later, lambda: self._add(Bell(run, task)))

    def _add(self, bell: Bell) -> None:
        self._bells.append(bell)
        while self._waiting:
            actor = self._waiting.popleft()
            if actor.parked:
                actor.wake()
                return

    def wait(self, seconds: float) -> Bell | None:
        """None only to a worker that was woken for something else."""
        actor = self._timeline.running
        assert actor is not None
        if not self._bells:
            self._waiting.append(actor)
            actor.park()
        return self._bells.popleft() if self._bells else None

    def silence(self, bell: Bell) -> None:
        """It was taken out when it was heard."""

    def leave(self, bell: Bell) -> None:
        self._add(bell)
