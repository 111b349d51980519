"""What a run saved: the same work on demand, less what its machines, their waste and the services around them cost."""

import datetime
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from spotbatch.bad_record import BadRecord
from spotbatch.ledger import Ledger
from spotbatch.machine import Machine
from spotbatch.task import Task
from spotbatch.tools.options import run_record
from spotbatch.tools.prices.price import Price
from spotbatch.tools.prices.price_tables import NoPrice, PriceTables
from spotbatch.tools.savings_hours import MachineTime, Window, itself, machine_times, window
from spotbatch.tools.savings_services import ServiceUse, service_uses

FARTHEST_DAYS = 180
"""A price from further away than this from the run is remarked on."""


FREE = "first hour not billed"
"""The line of machines that AWS took back in their first hour."""


class Prices(Protocol):
    """Who can say what a machine costs: `PriceTables` or `LivePrices`."""

    def on_demand(self, instance_type: str, region: str, wanted: datetime.date) -> Price: ...

    def spot(self, instance_type: str, region: str, wanted: datetime.date) -> Price: ...


@dataclass(frozen=True)
class Line:
    """A step from gross to net. Negative: a cost."""

    name: str
    usd: float
    hours: float | None = None
    """Machine hours behind it, where it has any."""


@dataclass(frozen=True)
class Account:
    """A run's savings, from gross to net."""

    run: str
    ended: bool
    window: Window
    times: list[MachineTime]
    on_demand_usd: float
    """The useful work alone, at the on-demand price of the types that did it: no boot, no waiting, nothing twice."""
    lines: list[Line]
    """Gross saving first; their sum is the net saving."""
    prices: list[Price]
    uses: list[ServiceUse]
    remarks: list[str] = field(default_factory=list)
    """What the records cannot tell, and what was assumed instead."""

    @property
    def title(self) -> str:
        return f"run {self.run}" if self.ended else f"run {self.run} so far"

    @property
    def gross_usd(self) -> float:
        return self.lines[0].usd

    @property
    def net_usd(self) -> float:
        return sum(line.usd for line in self.lines)

    @property
    def free_usd(self) -> float:
        """What the free first hour gives; without it, the net saving is so much less."""
        return sum(line.usd for line in self.lines if line.name == FREE)

    def percent(self, usd: float) -> float:
        """Of what the same work costs on demand."""
        return 100 * usd / self.on_demand_usd if self.on_demand_usd else 0.0

    def hours(self, *kinds: str) -> float:
        return sum(time.seconds[kind] for time in self.times for kind in kinds) / 3600

    def to_json(self) -> dict[str, Any]:
        useful = self.hours("useful")
        waste = self.hours("redone", "boot", "waiting", "leaving")
        return {
            "run": self.run,
            "ended": self.ended,
            "from": _moment(self.window.begin),
            "to": _moment(self.window.end),
            "machines": len({time.id for time in self.times}),
            "machines_free_first_hour": sum(time.free for time in self.times),
            "on_demand_usd": round(self.on_demand_usd, 6),
            "lines": [
                {"name": line.name, "usd": round(line.usd, 6), **({} if line.hours is None else {"hours": round(line.hours, 5)})}
                for line in self.lines
            ],
            "gross_percent": round(self.percent(self.gross_usd), 2),
            "net_usd": round(self.net_usd, 6),
            "net_percent": round(self.percent(self.net_usd), 2),
            "net_percent_all_billed": round(self.percent(self.net_usd - self.free_usd), 2),
            "useful_hours": round(useful, 5),
            "waste_hours": round(waste, 5),
            "waste_percent": round(100 * waste / useful, 2) if useful else 0.0,
            "prices": [price.to_json() for price in self.prices],
            "services": [
                {"service": use.service, "units": round(use.units, 6), "usd": round(use.usd, 9), "date": use.date, "source": use.table}
                for use in self.uses
            ],
            "not_known": self.remarks,
        }


def _moment(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def dollars(usd: float) -> str:
    """With as many digits as tell something."""
    digits = 2 if abs(usd) >= 100 else 4 if abs(usd) >= 0.1 else 6
    return f"{'-' if round(usd, digits) < 0 else ''}${abs(usd):.{digits}f}"


@dataclass(frozen=True)
class AssumedMachine:
    """What stands in where a machine's record has no type or no zone, as on a laptop."""

    instance_type: str = ""
    region: str = ""


def account(ledger: Ledger, queue: str, run: str, prices: Prices, assumed: AssumedMachine) -> Account:
    """One run's savings. Raises LookupError for an unknown run or price, all prices that are missing in one; StoreError."""
    now, remarks = ledger.store.now(), list[str]()
    record = run_record(ledger, run)
    tasks = _tasks(ledger, run, remarks)
    own = window(float(record.get("submitted") or now), tasks, now)
    others = []
    for other in ledger.store.runs():
        if other["run"] != run and float(other.get("submitted") or 0.0) < own.end:
            found = _tasks(ledger, other["run"], remarks)
            others.append((window(float(other.get("submitted") or 0.0), found, now), found))
    machines = list(_machines(ledger, remarks))
    times = machine_times(own, tasks, others, machines, now)
    paid = _PaidTimes(times, prices, assumed, _day(own.begin))
    ended = all(task.state in ("done", "dead") for task in tasks)
    uses: list[ServiceUse] = []
    if not queue.startswith("local:"):
        served = [machine for machine in machines if itself(machine.id) in {time.id for time in times}]
        waiting = sum(time.seconds["waiting"] for time in times)
        try:
            uses = service_uses(PriceTables(), paid.region or assumed.region, own, tasks, served, waiting)
        except NoPrice as fault:
            remarks.append(f"storage and handler are not in the sum: {fault}")
    lines = paid.lines() + [Line(group, -usd) for group in ("storage", "handler") if (usd := sum(use.usd for use in uses if use.group == group))]
    remarks += _remarks(ended, tasks, times, paid, own)
    return Account(run, ended, own, times, paid.on_demand_usd, lines, paid.all_prices, uses, remarks)


class _PaidTimes:
    """Machine times with their prices. Raises NoPrice naming every one that is missing."""

    def __init__(self, times: list[MachineTime], prices: Prices, assumed: AssumedMachine, wanted: datetime.date) -> None:
        self._times: list[tuple[MachineTime, Price, Price, bool]] = []
        self.assumed = 0
        known: dict[tuple[str, str], tuple[Price, Price]] = {}
        asked: set[tuple[str, str]] = set()
        faults: list[str] = []
        for time in times:
            machine = time.machine
            own_type = machine.instance_type if machine else ""
            instance_type, where = own_type or assumed.instance_type, _region(machine.zone if machine else "") or assumed.region
            self.assumed += not own_type
            if not instance_type or not where:
                faults.append("the records of this run's machines name no instance type or zone: say --types TYPE --region REGION")
                continue
            if (instance_type, where) not in asked:
                asked.add((instance_type, where))
                try:
                    known[instance_type, where] = prices.on_demand(instance_type, where, wanted), prices.spot(instance_type, where, wanted)
                except NoPrice as fault:
                    faults.append(str(fault))
            if (instance_type, where) in known:
                # Without a type it is no machine of a cloud, and is priced as the Spot machine that was named.
                spot = machine is None or machine.spot or not own_type
                self._times.append((time, *known[instance_type, where], spot))
        if faults:
            raise NoPrice("\n".join(dict.fromkeys(faults)))
        self.all_prices = [price for pair in known.values() for price in pair]
        self.region = next(iter(known))[1] if known else ""
        self.on_demand_usd = sum(self._usd(time, full, "useful") for time, full, _, _ in self._times)

    def lines(self) -> list[Line]:
        gross = self.on_demand_usd - sum(self._usd(time, spot, "useful") for time, _, spot, _ in self._times)
        found = [Line("gross saving", gross, self._hours("useful"))]
        for name, kind in (("work done again", "redone"), ("boots", "boot"), ("waiting", "waiting"), ("double running", "leaving")):
            usd = sum(self._usd(time, spot if is_spot else full, kind) for time, full, spot, is_spot in self._times)
            found.append(Line(name, 0.0 - usd, self._hours(kind)))
        lane = [(time, full, spot) for time, full, spot, is_spot in self._times if not is_spot]
        if lane:
            usd = sum(self._usd(time, full, "useful") - self._usd(time, spot, "useful") for time, full, spot in lane)
            found.append(Line("on-demand machines", -usd, sum(time.seconds["useful"] for time, _, _ in lane) / 3600))
        free = [(time, spot) for time, _, spot, is_spot in self._times if time.free and is_spot]
        if free:
            usd = sum(spot.usd_per_hour * time.all_seconds / 3600 for time, spot in free)
            found.append(Line(FREE, usd, sum(time.all_seconds for time, _ in free) / 3600))
        return found

    def _hours(self, kind: str) -> float:
        return sum(time.seconds[kind] for time, _, _, _ in self._times) / 3600

    @staticmethod
    def _usd(time: MachineTime, price: Price, kind: str) -> float:
        return price.usd_per_hour * time.seconds[kind] / 3600


def _day(at: float) -> datetime.date:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).date()


def _region(zone: str) -> str:
    """us-east-1a: us-east-1; us-central1-a: us-central1."""
    return zone[:-2] if zone[-2:-1] == "-" else zone[:-1]


def _tasks(ledger: Ledger, run: str, remarks: list[str]) -> list[Task]:
    found = []
    for record in ledger.store.run_tasks(run):
        try:
            found.append(Task.from_record(record))
        except BadRecord as fault:
            remarks.append(f"a task cannot be read and is left out: {fault}")
    return found


def _machines(ledger: Ledger, remarks: list[str]) -> Iterable[Machine]:
    for record in ledger.store.machines():
        try:
            yield Machine.from_record(record)
        except BadRecord as fault:
            remarks.append(f"a machine cannot be read and is left out: {fault}")


def _remarks(ended: bool, tasks: list[Task], times: list[MachineTime], paid: _PaidTimes, run: Window) -> list[str]:
    told = []
    if not ended:
        told.append("the run has not ended: this is its account so far, and work since the last checkpoints counts as done")
    if paid.assumed:
        told.append(f"{paid.assumed} machines have no instance type in their records, and are priced as the Spot machine named on the command line")
    if any(not any(entry.get("what") == "submitted" for entry in task.history) for task in tasks):
        told.append("some tasks changed more often than the 40 times that a record keeps: their earliest claims count as waiting")
    if dead := sum(task.state == "dead" for task in tasks):
        told.append(f"{dead} tasks are dead: what was done for them counts as useful")
    unknown = {time.id for time in times if time.machine is not None and time.machine.launched is None and time.machine.instance_type}
    if unknown:
        told.append(f"{len(unknown)} machines do not say when they were launched: their boots are not in the sum")
    if any(time.machine is None for time in times):
        told.append("records of machines expire after 30 days: of some only the claims are left, so their boots and waiting are not in the sum")
    if any(time.free for time in times):
        told.append("whether AWS or somebody in its name (a drill, an experiment) took a machine, its record does not say: each counts as AWS")
    days = {(price.kind, price.date): abs((_day(run.begin) - price.day).days) for price in paid.all_prices}
    told += [f"{kind} prices are of {date}, {far} days from the run" for (kind, date), far in days.items() if far > FARTHEST_DAYS]
    told.append("work done again is what was done since the last checkpoint, at most: a record has no time between checkpoints")
    told.append(
        "not in the records, so not in the sum: machines that never registered, time before the submit and after the last task, "
        "volumes, addresses, traffic, logs; the time that checkpoints and restores take counts as work"
    )
    return told
