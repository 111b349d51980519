"""The ledger, the machines and the messages, as the explorer sees them at one moment."""

from typing import NamedTuple


class Task(NamedTuple):
    """The ledger's record. `list` names payloads (epoch, sequence, first item, end)."""

    state: str
    epoch: int
    owner: tuple[int, int, int, int] | None  # machine, boot, agent, process
    list: tuple[tuple[int, int, int, int], ...]
    version: int


class Record(NamedTuple):
    """The ledger's record of a machine."""

    boot: int
    agent: int
    draining: bool
    past: bool


class Machine(NamedTuple):
    """A machine as it is, whatever the ledger says."""

    alive: bool
    boot: int
    agent: int
    process: int
    asleep: bool
    told: int  # boot that was told it will be taken, or -1


class Worker(NamedTuple):
    phase: str  # idle, bell, checked, running, saved (payload written), settling
    claim: Task | None = None
    at: int = 0  # items finished
    base: int = 0  # items that its last checkpoint covers
    wrote: tuple[int, int, int, int] | None = None
    unsure: tuple[Task, int] | None = None  # the write without an answer


class Faults(NamedTuple):
    """How many of each may still happen."""

    crash: int = 0
    sleep: int = 0
    restart: int = 0  # agent restarted, same boot
    process: int = 0  # a worker process dies
    late: int = 0  # a write without an answer that lands later, or never
    notice: int = 0
    survive: int = 0  # deadline without a death
    lose: int = 0
    double: int = 0
    damage: int = 0
    resubmit: int = 0
    clean: int = 0
    forget: int = 0  # a machine's record is tidied away
    handler: int = 0  # the handler dies between two steps
    reboot: int = 0  # a dead machine comes back under its old id


class State(NamedTuple):
    task: Task
    records: tuple[Record | None, ...]
    machines: tuple[Machine, ...]
    workers: tuple[Worker, ...]
    bells: int
    ether: tuple[tuple[Task, int], ...]  # writes under way, and the version each expects
    events: frozenset[tuple[int, int]]  # notices on their way to the handler: machine, boot
    handler: tuple[str, Task | None, str]
    payloads: frozenset[tuple[int, int, int, int]]
    damaged: frozenset[tuple[int, int, int, int]]
    faults: Faults
    completed: int
    fault: str  # what an invariant that speaks of a step found


ITEMS = 2


def start(faults: Faults) -> State:
    machine = Machine(True, 0, 0, 0, False, -1)
    return State(
        Task("queued", 0, None, (), 1),
        (Record(0, 0, False, False),) * 2,
        (machine,) * 2,
        (Worker("idle"),) * 2,
        1,
        (),
        frozenset(),
        ("idle", None, ""),
        frozenset(),
        frozenset(),
        faults,
        0,
        "",
    )


def put(items: tuple, index: int, value: object) -> tuple:
    return (*items[:index], value, *items[index + 1 :])


def spend(state: State, name: str) -> State:
    return state._replace(faults=state.faults._replace(**{name: getattr(state.faults, name) - 1}))


def readable(state: State, names: tuple) -> tuple:
    """The part of a list before its first damaged payload."""
    for index, payload in enumerate(names):
        if payload in state.damaged or payload not in state.payloads:
            return names[:index]
    return names


def progress(names: tuple) -> int:
    return names[-1][3] if names else 0


def owner_of(state: State, m: int) -> tuple[int, int, int, int]:
    machine = state.machines[m]
    return (m, machine.boot, machine.agent, machine.process)
