"""Read the five kinds of traces. The header tells the kind; a malformed file is refused with every line that is wrong."""

import csv
import gzip
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from spotbatch.tools.simulation.bad_trace import BadTrace
from spotbatch.tools.simulation.pool import Pool
from spotbatch.tools.simulation.trace import Trace

SHIPPED = Path(__file__).parent / "data"
ALWAYS = 1_000_000_000.0
"""A trace of lifetimes has no calendar: its pools are open for so many seconds."""
MOST_SEATS = 1_000
"""Places of a group: each becomes a pool."""
FEW = 10
"""Recorded lives below which a pool is no pool of its own, but joined with the others like it: one short life would repeat for ever."""
SHORTEST_GAP = 1.0
FIRST_POLL_S = 640.0
"""How far apart the instance logs' polls are: a first launch within it is from the beginning on."""
ROOM = 1_000
"""Machines that a pool of lifetimes gives at a time: the recording was not limited by capacity."""

Row = dict[str, str]
Rows = list[tuple[int, Row]]


def shipped() -> dict[str, Path]:
    """The traces that come with the package, by the name that `--trace` takes."""
    return {path.name.removesuffix(".csv.gz"): path for path in sorted(SHIPPED.glob("*.csv.gz"))}


def read(names: list[str]) -> Trace:
    """The pools of all files side by side. A name of a shipped trace stands for its file.

    Raises BadTrace naming file, line, column, value and what is allowed, for all files at once.
    """
    faults: list[str] = []
    found: list[Trace] = []
    for name in names:
        path = Path(name)
        try:
            found.append(_read(shipped().get(name, path) if not path.exists() else path))
        except BadTrace as bad:
            faults += bad.faults
    if faults:
        raise BadTrace(faults)
    spans = [trace.span_s for trace in found if trace.span_s is not None]
    span = min(spans) if spans else None
    pools = tuple(_cut(pool, span) for trace in found for pool in trace.pools)
    twice = sorted({pool.name for pool in pools if sum(other.name == pool.name for other in pools) > 1})
    if twice:
        raise BadTrace([f"--trace: pool {name!r} is in more than one file; give each pool once" for name in twice])
    return Trace(" + ".join(trace.name for trace in found), pools, span, tuple(kind for trace in found for kind in trace.kinds))


def _read(path: Path) -> Trace:
    header, rows = _rows(path)
    columns = tuple(header)
    if columns not in KINDS:
        known = "; ".join(",".join(known) for known in KINDS)
        raise BadTrace([f"{path}: line 1: header {','.join(header)!r} is none of: {known}"])
    if not rows:
        raise BadTrace([f"{path}: line 2: nothing; a trace has at least one row"])
    kind, make = KINDS[columns]
    short = [f"{path}: line {line}: {len(columns)} values are wanted, one for each of {','.join(columns)}" for line, row in rows if not _full(row)]
    if short:
        raise BadTrace(short)
    pools, span = make(path, rows)
    return Trace(path.name.removesuffix(".gz").removesuffix(".csv"), pools, span, (kind,))


def _rows(path: Path) -> tuple[list[str], Rows]:
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8")
    except FileNotFoundError:
        raise BadTrace([f"--trace: {str(path)!r} is neither a file nor one of the shipped traces {', '.join(shipped())}"]) from None
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as why:
        raise BadTrace([f"{path}: cannot be read as text or gzip: {why}"]) from None
    reader = csv.DictReader(text.splitlines())
    return list(reader.fieldnames or []), [(reader.line_num, row) for row in reader]


def _full(row: Row) -> bool:
    # DictReader files surplus values under None and fills missing ones with None.
    return None not in row and None not in row.values()


class _Checks:
    """Collects what is wrong with a file's values."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.faults: list[str] = []

    def fault(self, line: int, column: str, value: object, allowed: str) -> None:
        self.faults.append(f"{self.path}: line {line}: {column} is {value!r}; allowed is {allowed}")

    def number(self, line: int, row: Row, column: str, least: float = 0.0) -> float:
        try:
            value = float(row[column])
        except ValueError:
            value = float("nan")
        if not least <= value < ALWAYS:
            self.fault(line, column, row[column], f"a number of seconds, {least:g} or more")
            return least
        return value

    def whole(self, line: int, row: Row, column: str, most: int = 1_000_000) -> int:
        if not row[column].isascii() or not row[column].isdigit() or len(row[column]) > 9 or int(row[column]) > most:
            self.fault(line, column, row[column], f"a whole number of machines, 0 to {most:,}")
            return 0
        return int(row[column])

    def one_of(self, line: int, row: Row, column: str, allowed: tuple[str, ...]) -> str:
        if row[column] not in allowed:
            self.fault(line, column, row[column], " or ".join(allowed))
        return row[column]

    def text(self, line: int, row: Row, column: str) -> str:
        if not row[column].strip():
            self.fault(line, column, row[column], "a name")
        return row[column]

    def done(self) -> None:
        if self.faults:
            raise BadTrace(self.faults)


def _availability(path: Path, rows: Rows) -> tuple[tuple[Pool, ...], float]:
    """pool,start_s,end_s,capacity: what a probe saw, an interval a row."""
    checks = _Checks(path)
    pools: dict[str, list[tuple[float, float, int]]] = {}
    for line, row in rows:
        name = checks.text(line, row, "pool")
        begin, end, capacity = checks.number(line, row, "start_s"), checks.number(line, row, "end_s"), checks.whole(line, row, "capacity")
        before = pools.setdefault(name, [])
        if end <= begin:
            checks.fault(line, "end_s", row["end_s"], f"more than start_s, {row['start_s']}")
        if before and begin != before[-1][1]:
            checks.fault(line, "start_s", row["start_s"], f"{before[-1][1]:g}, where the interval before in pool {name} ended")
        before.append((begin, end, capacity))
    checks.done()
    first, span = max(steps[0][0] for steps in pools.values()), min(steps[-1][1] for steps in pools.values())
    if span <= first:
        raise BadTrace([f"{path}: end_s: no second is covered by every pool; allowed are pools that overlap"])
    return tuple(
        _steps(name, [(begin - first, end - first, capacity) for begin, end, capacity in steps]) for name, steps in pools.items()
    ), span - first


def _instance_log(path: Path, rows: Rows) -> tuple[tuple[Pool, ...], float]:
    """pool,launched_s,last_seen_s,found_gone_s,ended_by: real machines, launched again after each end, which is taken midway between two polls."""
    checks = _Checks(path)
    lives: dict[str, list[tuple[float, float]]] = {}
    still: set[str] = set()
    span = 0.0
    for line, row in rows:
        name = checks.text(line, row, "pool")
        launched, seen = checks.number(line, row, "launched_s"), checks.number(line, row, "last_seen_s")
        ended = checks.one_of(line, row, "ended_by", ("preempted", "censored"))
        gone = checks.number(line, row, "found_gone_s") if ended == "preempted" else seen
        if ended == "censored" and row["found_gone_s"]:
            checks.fault(line, "found_gone_s", row["found_gone_s"], "nothing, because ended_by is censored")
        if seen < launched:
            checks.fault(line, "last_seen_s", row["last_seen_s"], f"launched_s, {row['launched_s']}, or more")
        if gone < seen:
            checks.fault(line, "found_gone_s", row["found_gone_s"], f"last_seen_s, {row['last_seen_s']}, or more")
        before = lives.setdefault(name, [])
        if before and launched < before[-1][1]:
            checks.fault(line, "launched_s", row["launched_s"], f"{before[-1][1]:g} or more: the machine before it in pool {name} still ran")
        before.append((launched if before or launched > FIRST_POLL_S else 0.0, (seen + gone) / 2))
        span = max(span, gone)
        (still.add if ended == "censored" else still.discard)(name)
    checks.done()
    # The log begins and ends pool by pool: a machine that lived then did not end a few seconds before the others'.
    whole = {name: [*ups[:-1], (ups[-1][0], span)] if name in still else ups for name, ups in lives.items()}
    return tuple(_up(name, ups, span) for name, ups in whole.items()), span


def _fleet_events(path: Path, rows: Rows) -> tuple[tuple[Pool, ...], float]:
    """time_s,event,instance: one group's machines as they came and went. Each place of the group is a pool of one machine."""
    checks = _Checks(path)
    changes: list[tuple[float, int]] = []
    seat_of: dict[str, int] = {}
    free: list[int] = []
    ups: list[list[tuple[float, float]]] = []
    began: dict[int, float] = {}
    now = 0.0
    for line, row in rows:
        at, name = checks.number(line, row, "time_s"), checks.text(line, row, "instance")
        event = checks.one_of(line, row, "event", ("add", "remove"))
        if at < now:
            checks.fault(line, "time_s", row["time_s"], f"{now:g} or more, the time of the line before")
        now = max(now, at)
        if event == "add" and name in seat_of:
            checks.fault(line, "instance", name, "a machine that is not in the group already")
        elif event == "remove" and name not in seat_of:
            checks.fault(line, "instance", name, "a machine that was added and not yet removed")
        elif event == "add":
            free.sort(reverse=True)
            seat = free.pop() if free else len(ups)
            if seat == len(ups):
                ups.append([])
            seat_of[name], began[seat] = seat, now
        elif event == "remove":
            seat = seat_of.pop(name)
            ups[seat].append((began.pop(seat), now))
            free.append(seat)
        changes.append((now, len(seat_of)))
    for seat, begin in began.items():
        ups[seat].append((begin, now))
    if not checks.faults and now <= 0:
        checks.fault(rows[-1][0], "time_s", rows[-1][1]["time_s"], "more than 0 in the last row: the trace's end")
    checks.done()
    return tuple(_seat("aws", path, seat, lives, now) for seat, lives in enumerate(ups)), now


def _fleet_count(path: Path, rows: Rows) -> tuple[tuple[Pool, ...], float]:
    """time_s,running: how many ran after each change. Which ones fell is not recorded: drawn, the same at every reading."""
    checks = _Checks(path)
    random = np.random.default_rng(0)
    up: list[int] = []
    began: dict[int, float] = {}
    ups: list[list[tuple[float, float]]] = []
    now = 0.0
    for line, row in rows:
        at, running = checks.number(line, row, "time_s"), checks.whole(line, row, "running", MOST_SEATS)
        if at < now:
            checks.fault(line, "time_s", row["time_s"], f"{now:g} or more, the time of the line before")
            continue
        now = at
        while len(up) > running:
            seat = up.pop(int(random.integers(len(up))))
            ups[seat].append((began.pop(seat), now))
        while len(up) < running:
            seat = next((free for free in range(len(ups)) if free not in began), len(ups))
            if seat == len(ups):
                ups.append([])
            up.append(seat)
            began[seat] = now
    for seat, begin in began.items():
        ups[seat].append((begin, now))
    if not checks.faults and now <= 0:
        checks.fault(rows[-1][0], "time_s", rows[-1][1]["time_s"], "more than 0 in the last row: the trace's end")
    if not checks.faults and not ups:
        checks.fault(rows[-1][0], "running", rows[-1][1]["running"], "more than 0 in one row at least")
    checks.done()
    return tuple(_seat("gcp", path, seat, lives, now) for seat, lives in enumerate(ups)), now


def _lifetimes(path: Path, rows: Rows) -> tuple[tuple[Pool, ...], None]:
    """zone,machine_type,launched,lifetime_s,ended_by,load: a machine a row. One that its user stopped gets the life of one that outlived it."""
    checks = _Checks(path)
    lived: list[tuple[str, float, bool]] = []
    for line, row in rows:
        name = f"gcp/{checks.text(line, row, 'zone')}/{checks.text(line, row, 'machine_type')}"
        seconds = checks.number(line, row, "lifetime_s", least=1.0)
        lived.append((name, seconds, checks.one_of(line, row, "ended_by", ("preempted", "user_stop")) == "preempted"))
    checks.done()
    random = np.random.default_rng(0)
    preempted = np.sort([seconds for _, seconds, ended in lived if ended])
    lives: dict[str, list[float]] = {}
    for name, seconds, ended in lived:
        longer = preempted[np.searchsorted(preempted, seconds, side="right") :]
        lives.setdefault(name, []).append(seconds if ended or not len(longer) else float(random.choice(longer)))
    few = [name for name, found in lives.items() if len(found) < FEW]
    if len(few) < len(lives):
        rest = [seconds for name in few for seconds in lives.pop(name)]
        lives |= {"gcp/other/other": rest} if rest else {}
    return tuple(replace(_steps(name, [(0.0, ALWAYS, ROOM)]), lifetimes_s=np.array(found)) for name, found in lives.items()), None


def _seat(cloud: str, path: Path, seat: int, ups: list[tuple[float, float]], span: float) -> Pool:
    return replace(_up(f"{cloud}/{_short(path)}/seat-{seat:02d}", ups, span), is_seat=True)


def _short(path: Path) -> str:
    return path.name.split(".")[0]


def _steps(name: str, steps: list[tuple[float, float, int]]) -> Pool:
    begin, end, capacity = (np.array(column) for column in zip(*steps, strict=True))
    return Pool(name, begin.astype(np.float64), end.astype(np.float64), capacity.astype(np.int64))


def _up(name: str, ups: list[tuple[float, float]], span: float) -> Pool:
    """A pool that gives one machine in the stretches named, and none between them."""
    steps: list[tuple[float, float, int]] = []
    now = 0.0
    for begin, end in ups:
        if begin == now > 0:
            # Replaced within the clock's own step: still one machine that ended.
            begin += SHORTEST_GAP
        if end <= begin:
            continue
        if begin > now:
            steps.append((now, begin, 0))
        steps.append((begin, end, 1))
        now = end
    if now < span:
        steps.append((now, span, 0))
    return _steps(name, steps)


def _cut(pool: Pool, span: float | None) -> Pool:
    """No longer than the shortest file that has a calendar, so that all are read as one ring; none before their beginning."""
    if span is None or pool.lifetimes_s is not None:
        return pool
    kept = (pool.start_s < span) & (pool.end_s > 0)
    return replace(
        pool,
        start_s=np.maximum(pool.start_s[kept], 0.0),
        end_s=np.minimum(pool.end_s[kept], span),
        capacity=pool.capacity[kept],
    )


KINDS: dict[tuple[str, ...], tuple[str, Callable[[Path, Rows], tuple[tuple[Pool, ...], float | None]]]] = {
    ("pool", "start_s", "end_s", "capacity"): ("availability", _availability),
    ("pool", "launched_s", "last_seen_s", "found_gone_s", "ended_by"): ("instance_log", _instance_log),
    ("time_s", "event", "instance"): ("fleet_events", _fleet_events),
    ("time_s", "running"): ("fleet_count", _fleet_count),
    ("zone", "machine_type", "launched", "lifetime_s", "ended_by", "load"): ("lifetimes", _lifetimes),
}
