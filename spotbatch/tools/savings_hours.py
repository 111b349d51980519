"""Where the time of a run's machines went, from the ledger's records: work, work done again, boots, waiting, leaving."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from spotbatch.agent import BEATS_PER_LEASE
from spotbatch.claim_story import ClaimStory, claims
from spotbatch.machine import Machine
from spotbatch.notice import UNANNOUNCED
from spotbatch.task import CAUSES, Task

KINDS = ("useful", "redone", "boot", "waiting", "leaving")
"""useful: under a claim whose work lasted. redone: under a claim that ended early, after its last checkpoint. boot: from launch to
registration. waiting: no task of anybody. leaving: everything given back, and not gone yet."""

FREE_SECONDS = 3600.0
"""AWS does not bill a Linux machine that it takes back itself within its first hour.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/billing-for-interrupted-spot-instances.html"""

TAKEN_BACK = "spot interruption"
"""How the reason of a notice begins when it is the cloud that takes the machine."""


_PLACE = re.compile(r"\.\d{1,2}$")


@dataclass(frozen=True)
class Window:
    """A run's time: from its submit to its last change, or until now."""

    begin: float
    end: float


@dataclass(frozen=True)
class MachineTime:
    """One machine's time within one run's window, in seconds; what other runs' tasks used of it is theirs."""

    machine: Machine | None
    """None: its record has expired, and only its claims tell of it."""
    id: str
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(KINDS, 0.0))
    free: bool = False
    """Taken back by the cloud in its first hour, as far as the record tells."""

    @property
    def all_seconds(self) -> float:
        return sum(self.seconds.values())


def itself(machine: str) -> str:
    """The machine of a place on it: i-0123.1 is a place of i-0123 (`shared_machine.py`)."""
    return _PLACE.sub("", machine)


def window(submitted: float, tasks: Iterable[Task], now: float) -> Window:
    """Of a run whose tasks these are."""
    tasks = list(tasks)
    if any(task.state in ("queued", "running") for task in tasks):
        return Window(submitted, now)
    return Window(submitted, max((float(task.history[-1].get("at", now)) for task in tasks if task.history), default=now))


def lived_until(machine: Machine, now: float) -> float:
    """When a machine ended, at the latest that its record allows; now, if it seems to live."""
    silent = now - machine.beat > machine.lease
    if machine.state == "active":
        # It went before its next beat was due.
        return machine.beat + machine.lease / BEATS_PER_LEASE if silent else now
    if machine.kind == "interruption" or machine.reason.startswith(UNANNOUNCED):
        # It may outlive its deadline a little, and then says so.
        return min(now, max(machine.deadline or 0.0, machine.beat))
    return max(machine.beat, machine.drained or 0.0) if silent else now


def free_hour(machine: Machine, now: float) -> bool:
    """Was it a Spot machine that the cloud took back in its first hour? Where the launch is not known, its registration stands for it."""
    if not machine.spot or machine.kind != "interruption" or not machine.reason.startswith(TAKEN_BACK) or (machine.deadline or now) >= now:
        return False
    return lived_until(machine, now) - _launched(machine) < FREE_SECONDS


def machine_times(
    run: Window, own: Iterable[Task], others: Iterable[tuple[Window, Sequence[Task]]], machines: Iterable[Machine], now: float
) -> list[MachineTime]:
    """The time of every machine that served the queue within the run's window.

    A moment at which a machine holds several tasks is split evenly among them, one at which it holds none among the runs that were on.
    """
    others = [(other, tasks) for other, tasks in others if other.begin < run.end and other.end > run.begin]
    windows = [run, *(other for other, _ in others)]
    ours = _by_machine(own)
    theirs = _by_machine(task for _, tasks in others for task in tasks)
    known = _whole(machines)
    found = []
    for name in sorted(known.keys() | ours.keys()):
        machine = known.get(name)
        before = now if machine is None else machine.registered
        # Claims of an earlier boot, or without a record, tell of work but not of what lay around it.
        early = [claim for claim in ours.get(name, []) if claim.began < before]
        if early:
            spans = [_span(claim, before) for claim in early]
            first, last = max(run.begin, min(span[0] for span in spans)), min(run.end, before)
            told = _split(first, last, last, last, spans, [_span(claim, before) for claim in theirs.get(name, [])], windows)
            found.append(MachineTime(machine, name, told | {"boot": 0.0, "waiting": 0.0, "leaving": 0.0}))
        if machine is None:
            continue
        # Whoever finished or saved was alive then, whatever its last beat.
        everybodys = [*ours.get(name, []), *theirs.get(name, [])]
        end = max([lived_until(machine, now), *(_alive_at(claim) for claim in everybodys)])
        first, last = max(run.begin, _launched(machine)), min(run.end, end)
        if last <= first:
            continue
        mine = [_span(claim, end) for claim in ours.get(name, []) if claim.began >= before]
        foreign = [_span(claim, end) for claim in theirs.get(name, []) if claim.began >= before]
        told = _split(first, last, machine.registered, machine.drained or last, mine, foreign, windows)
        found.append(MachineTime(machine, name, told, free_hour(machine, now)))
    return [time for time in found if time.all_seconds > 0]


def _alive_at(claim: ClaimStory) -> float:
    return claim.ended if claim.ended and claim.how == "done" else max(claim.began, claim.saved)


def _launched(machine: Machine) -> float:
    return machine.registered if machine.launched is None else min(machine.launched, machine.registered)


def _by_machine(tasks: Iterable[Task]) -> dict[str, list[ClaimStory]]:
    found: dict[str, list[ClaimStory]] = {}
    for task in tasks:
        for claim in claims(task):
            found.setdefault(itself(claim.machine), []).append(claim)
    return found


def _whole(machines: Iterable[Machine]) -> dict[str, Machine]:
    """Each machine once, by its id: it was there from the first registration of its places to the last beat of them."""
    found: dict[str, Machine] = {}
    for machine in sorted(machines, key=lambda machine: machine.id):
        name = itself(machine.id)
        first = found.get(name)
        if first is None or first.boot != machine.boot:
            if first is None or machine.registered > first.registered:
                found[name] = machine
            continue
        drained = None if first.drained is None or machine.drained is None else max(first.drained, machine.drained)
        found[name] = replace(first, registered=min(first.registered, machine.registered), beat=max(first.beat, machine.beat), drained=drained)
    return found


def _span(claim: ClaimStory, machine_end: float) -> tuple[float, float, float]:
    """Begin of a claim, from when on its work was lost, and its end: at the latest its machine's, whenever that was noticed."""
    end = machine_end if claim.ended is None else min(claim.ended, machine_end)
    lost = min(end, max(claim.began, claim.saved)) if claim.how in CAUSES else end
    return claim.began, lost, end


def _split(
    first: float,
    last: float,
    registered: float,
    drained: float,
    own: Iterable[tuple[float, float, float]],
    others: Iterable[tuple[float, float, float]],
    windows: Iterable[Window],
) -> dict[str, float]:
    """The seconds from `first` to `last` by kind."""
    changes: list[tuple[float, str, int]] = [(min(max(moment, first), last), "", 0) for moment in (first, last, registered, drained)]

    def during(kind: str, begin: float, end: float) -> None:
        begin, end = min(max(begin, first), last), min(max(end, first), last)
        if end > begin:
            changes.extend([(begin, kind, 1), (end, kind, -1)])

    for begin, lost, end in own:
        during("useful", begin, lost)
        during("redone", lost, end)
    for begin, _, end in others:
        during("theirs", begin, end)
    for one in windows:
        during("runs", one.begin, one.end)
    changes.sort(key=lambda change: change[0])
    active = {"": 0, "useful": 0, "redone": 0, "theirs": 0, "runs": 0}
    seconds: dict[str, float] = dict.fromkeys(KINDS, 0.0)
    reached = first
    for moment, kind, change in changes:
        busy, length = active["useful"] + active["redone"] + active["theirs"], moment - reached
        if busy:
            for work in ("useful", "redone"):
                seconds[work] += length * active[work] / busy
        else:
            idle = "boot" if reached < registered else "leaving" if reached >= drained else "waiting"
            seconds[idle] += length / max(1, active["runs"])
        active[kind] += change
        reached = moment
    return seconds
