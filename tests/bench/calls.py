"""What 10,000 queued tasks cost in calls: submit, status, claim, sweep. On the local store counted by method, on the lab's DynamoDB by request."""

import os
import tempfile
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from lab.cloud import LocalCloud
from spotbatch import clouds
from spotbatch.clouds import aws_client
from spotbatch.clouds.aws_store import _item
from spotbatch.clouds.local import LocalDoorbell, LocalPayloads, LocalStore
from spotbatch.ledger import Ledger
from spotbatch.owner import Owner
from spotbatch.protocols import Backend, Identity
from spotbatch.submit import Submission, submit
from spotbatch.sweep import Sweep
from spotbatch.task import Task
from spotbatch.tools.overview import overview
from tests.bench.figures import Figure
from tests.spotbatch.clouds.conftest import make_queue

TASKS = 10_000
SENT = 200
"""Tasks that are submitted to DynamoDB one by one; the others are put there in bulk, as only their number matters."""
FEW = 10
OWNER = Owner("m", "b", "a", "p")


class Counted:
    """Passes every call on, and counts it by name."""

    def __init__(self, inner: Any, counts: Counter[str]) -> None:
        self._inner, self._counts = inner, counts

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found) or name == "now":
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            self._counts[name] += 1
            return found(*arguments, **named)

        return call


def counted(backend: Backend, counts: Counter[str]) -> Ledger:
    parts = {name: Counted(getattr(backend, name), counts) for name in ("store", "payloads", "doorbell")}
    ledger = Ledger(replace(backend, **parts))
    ledger.machines.register(Identity(OWNER.machine, OWNER.boot), OWNER.agent)
    return ledger


def told(counts: Counter[str]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items())) or "none"


def spent(counts: Counter[str], act: Callable[[], Any]) -> Counter[str]:
    counts.clear()
    act()
    return Counter(counts)


def local(folder: Path) -> Backend:
    """Its time stands still, so that no bell grows old while all the tasks are submitted."""
    folder.mkdir()
    store = LocalStore(folder / "ledger.sqlite", lambda: 1_800_000_000.0)
    return Backend("bench", store, LocalPayloads(folder / "bucket"), LocalDoorbell(store))


def submission(tasks: int, run: str) -> Submission:
    return Submission.read([b"0"] * tasks, 1, run)


def on_the_local_store(folder: Path) -> list[Figure]:
    counts: Counter[str] = Counter()
    small = counted(local(folder / "small"), counts)
    list(submit(small, submission(FEW, "few")))
    few = spent(counts, lambda: small.claim("few", "000000", OWNER))
    ledger = counted(local(folder / "large"), counts)
    sent = spent(counts, lambda: list(submit(ledger, submission(TASKS, "many"))))
    per_task = sum(sent.values()) / TASKS
    claim = spent(counts, lambda: ledger.claim("many", "000000", OWNER))
    status, sweep = spent(counts, lambda: overview(ledger, "many")), spent(counts, lambda: Sweep(ledger).everything())
    return [
        Figure(f"submit {TASKS:,} tasks, local store", f"{per_task:.2f} calls a task: {told(sent)}", "<= 4 a task", per_task < 4.01),
        Figure(f"claim one of {FEW}, and one of {TASKS:,}", f"{told(few)}; {told(claim)}", "the same", few == claim),
        Figure(f"status of {TASKS:,}", told(status), "lists, and no call a task", sum(status.values()) <= 4),
        Figure(f"sweep over {TASKS:,}, one running", told(sweep), "lists, and one read a machine", sum(sweep.values()) <= 3),
    ]


def on_dynamodb(cloud: LocalCloud) -> list[Figure]:
    requests: Counter[str] = Counter()

    def seen(request: Any, **about: Any) -> None:
        requests[about["event_name"].removeprefix("before-send.").split(".", 1)[1]] += 1

    # Before the clients are made: they take the session's events over.
    aws_client._session().register("before-send", seen)
    backend = clouds.connect(queue := make_queue(cloud))
    ledger = Ledger(backend)
    ledger.machines.register(Identity(OWNER.machine, OWNER.boot), OWNER.agent)
    sent = spent(requests, lambda: list(submit(ledger, submission(SENT, "many"))))
    few = spent(requests, lambda: ledger.claim("many", "000000", OWNER))
    size = fill(cloud, queue.rsplit("/", 1)[-1], ledger)
    pages = -(-size // 1_000_000)
    claim = spent(requests, lambda: ledger.claim("many", "000001", OWNER))
    status, sweep = spent(requests, lambda: overview(ledger, "many")), spent(requests, lambda: Sweep(ledger).everything())
    in_pages = f"<= {pages + 4} ({size / 1e6:.1f} MB in pages of 1 MB)"
    per_task = sum(sent.values()) / SENT
    return [
        Figure("submit, DynamoDB, S3 and SQS", f"{per_task:.2f} requests a task: {told(sent)}", "<= 4 a task", per_task < 4.1),
        Figure(f"claim one of {SENT}, and one of {TASKS:,}", f"{told(few)}; {told(claim)}", "the same", few == claim),
        Figure(f"status of {TASKS:,}", told(status), in_pages, sum(status.values()) <= pages + 4),
        Figure(f"sweep over {TASKS:,}, two running", told(sweep), in_pages, sum(sweep.values()) <= pages + 4),
    ]


def fill(cloud: LocalCloud, table: str, ledger: Ledger) -> int:
    """The rest of the tasks; bytes of all of them together."""
    client, now, size = cloud.client("dynamodb"), ledger.store.now(), 0

    def records() -> Iterator[dict[str, Any]]:
        told = ({"what": "submitted", "at": round(now, 3), "epoch": 0, "items": 0},)
        for number in range(SENT, TASKS):
            task = Task("many", f"{number:06d}", "queued", 1, rung_at=now, history=told)
            yield {**task.to_record(), "version": 1, "nonce": uuid.uuid4().hex}

    rest = records()
    while items := [_item(record) for record in islice(rest, 25)]:
        size += sum(len(name) + len(next(iter(value.values()))) for item in items for name, value in item.items())
        client.batch_write_item(RequestItems={table: [{"PutRequest": {"Item": item}} for item in items]})
    return size


def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory() as name, LocalCloud(Path(name) / "cloud") as cloud:
        os.environ.update(cloud.environment)
        return on_the_local_store(Path(name)) + on_dynamodb(cloud)
