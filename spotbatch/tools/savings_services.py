"""What storage and handler cost a run on AWS: counted from the ledger's records where they tell, reckoned where they do not."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass

from spotbatch.machine import Machine
from spotbatch.task import Task
from spotbatch.tools.prices.price_tables import PriceTables
from spotbatch.tools.savings_hours import Window

TASK_INDEXES, MACHINE_INDEXES = 2, 1
"""Indexes of the table that hold a record too: each costs a write of its own (`SqsTaskQueue`, `clouds/aws_store.py`)."""

WRITE_BYTES, READ_BYTES = 1024, 4096
"""https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html"""

CALLS_PER_BELL = 3
"""Send, receive, delete."""

POLL_SECONDS = 20.0
"""How long a worker without a task listens at a time (`clouds/aws_doorbell.py`)."""

SWEEP_SECONDS = 60.0
"""The handler's timer: `InterruptionHandler` makes it rate(1 minute)."""
CALLS_PER_NOTICE = 2
"""The event, and the reminder at the deadline."""
CALL_GB_SECONDS = 0.5
"""A call of a second in 512 MiB: longer than handler and sweep take with some hundred tasks."""

MONTH_SECONDS = 730 * 3600.0


@dataclass(frozen=True)
class ServiceUse:
    """Units of one service, and their price."""

    group: str
    """storage or handler."""
    service: str
    units: float
    usd: float
    table: str
    date: str


def service_uses(
    tables: PriceTables, region: str, run: Window, tasks: Iterable[Task], machines: Iterable[Machine], waiting_seconds: float
) -> list[ServiceUse]:
    """First-tier list prices without the free tier. Raises NoPrice where the tables have none for the region."""
    reads = writes = puts = stored = bells = 0.0
    for task in tasks:
        size = len(json.dumps(task.to_record()))
        writes += task.version * (1 + TASK_INDEXES) * math.ceil(size / WRITE_BYTES)
        reads += task.version * math.ceil(size / READ_BYTES)
        kept = [checkpoint for checkpoint in task.checkpoints if checkpoint.key]
        puts += 1 + len(kept)
        stored += sum(checkpoint.size for checkpoint in kept)
        bells += 1 + task.rings + sum(task.attempts.values())
    left = 0
    for machine in machines:
        size, lived = len(json.dumps(machine.to_record())), max(1.0, machine.beat - machine.registered)
        share = max(0.0, min(machine.beat, run.end) - max(machine.registered, run.begin)) / lived
        writes += share * machine.version * (1 + MACHINE_INDEXES) * math.ceil(size / WRITE_BYTES)
        reads += share * machine.version * math.ceil(size / READ_BYTES)
        left += machine.state == "draining"
    lasted = run.end - run.begin
    calls = lasted / SWEEP_SECONDS + CALLS_PER_NOTICE * left
    units = [
        ("storage", "dynamodb-write", writes),
        ("storage", "dynamodb-read", reads),
        ("storage", "s3-put", puts),
        ("storage", "s3-storage", stored / 1e9 * lasted / MONTH_SECONDS),
        ("storage", "sqs-request", CALLS_PER_BELL * bells + waiting_seconds / POLL_SECONDS),
        ("handler", "lambda-request", calls),
        ("handler", "lambda-memory", calls * CALL_GB_SECONDS),
    ]
    found = []
    for group, service, number in units:
        usd, table, _ = tables.service(service, region)
        found.append(ServiceUse(group, service, number, number * usd, table.what, table.date))
    return found
