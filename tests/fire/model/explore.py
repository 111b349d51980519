"""Breadth-first through every reachable state, holding the invariants in each."""

import gc
import time
from collections import deque
from dataclasses import dataclass

from .protocol import steps
from .rules import Rules
from .state import ITEMS, Faults, State, progress, readable, start


@dataclass(frozen=True)
class Exploration:
    states: int
    seconds: float
    broken: str = ""
    """The invariant that failed, or nothing."""
    trace: tuple[str, ...] = ()
    """The shortest story that breaks it."""


def broken(state: State) -> str:
    """Which invariant this state breaks; empty: none."""
    if state.fault:
        return state.fault
    if state.completed > 1:
        return "the task completed twice"
    if any(payload not in state.payloads for payload in state.task.list):
        return "the record names a payload that is gone"
    end = 0
    for _, _, first, last in state.task.list:
        if first != end:
            return "a result appears twice, or is missing"
        end = last
    if state.task.state == "done" and (progress(state.task.list) != ITEMS or readable(state, state.task.list) != state.task.list):
        return "done, and an item is lost"
    return ""


def explore(faults: Faults, rules: Rules | None = None, limit: int = 3_000_000) -> Exploration:
    """Visit every state within the fault bounds. Raises MemoryError past `limit` states: exhaustive, or not at all."""
    # Millions of tuples without a cycle among them: looking for cycles takes a third of the time.
    gc.disable()
    try:
        return _explore(faults, rules or Rules(), limit)
    finally:
        gc.enable()


def _explore(faults: Faults, rules: Rules, limit: int) -> Exploration:
    begun = time.monotonic()
    first = start(faults)
    came: dict[State, tuple[State, str] | None] = {first: None}
    order: list[State] = []
    before: dict[State, list[State]] = {}
    queue = deque([first])

    def story(state: State) -> tuple[str, ...]:
        told: list[str] = []
        while (step := came[state]) is not None:
            state, what = step
            told.append(what)
        return tuple(reversed(told))

    while queue:
        state = queue.popleft()
        order.append(state)
        if why := broken(state):
            return Exploration(len(came), time.monotonic() - begun, why, story(state))
        for what, fault, after in steps(state, rules):
            if not fault:
                before.setdefault(after, []).append(state)
            if after not in came:
                if len(came) >= limit:
                    raise MemoryError(f"more than {limit} states")
                came[after] = (state, what)
                queue.append(after)
    # From every state the task can still be done without another fault: nothing is stuck for ever.
    hopeful = {state for state in order if state.task.state == "done"}
    queue = deque(hopeful)
    while queue:
        for earlier in before.get(queue.popleft(), ()):
            if earlier not in hopeful:
                hopeful.add(earlier)
                queue.append(earlier)
    stuck = next((state for state in order if state not in hopeful), None)
    if stuck is not None:
        return Exploration(len(came), time.monotonic() - begun, "an unfinished task that nobody will ever run", story(stuck))
    return Exploration(len(came), time.monotonic() - begun)
