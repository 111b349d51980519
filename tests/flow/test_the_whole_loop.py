"""Stack `local` by the real engine with IAM enforced; a real job; machines that are taken away in every way; then the same with a rule misspelt."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.cloud import LocalCloud
from lab.demo.count import count
from lab.engine import Engine
from lab.places import CHECKOUT
from spotbatch import clouds
from spotbatch.ledger import Ledger
from spotbatch.registry import CLOCK_MARGIN
from spotbatch.tools.prices.price_tables import PriceTables
from spotbatch.tools.savings_after import AssumedMachine, account
from tests.spotbatch.clock import wait_until

ETL = CHECKOUT / "examples/etl"
ITEMS, ITEM_SECONDS = 400, 0.25


@dataclass
class Loop:
    cloud: LocalCloud
    outputs: dict[str, Any]
    ledger: Ledger

    def state(self, machine: str) -> str:
        found = self.ledger.machines.read(machine)
        return found.state if found else "absent"

    def busy(self) -> list[str]:
        """Machines that run a task, and registered long enough ago to be told from a later boot."""
        settled = self.ledger.store.now() - CLOCK_MARGIN - 2
        held = {record["machine"] for record in self.ledger.store.tasks_in("running")}
        living = {machine.id for machine in self.cloud.market.living()}
        machines = [self.ledger.machines.read(machine) for machine in sorted(held & living)]
        return [machine.id for machine in machines if machine and machine.state == "active" and machine.registered < settled]


@pytest.fixture
def loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loop]:
    with LocalCloud(tmp_path / "cloud", auth=True) as cloud:
        for name, value in cloud.environment.items():
            monkeypatch.setenv(name, value)
        stack = Engine(CHECKOUT, tmp_path / "engine", cloud.environment).stack("local")
        up = stack.up()
        assert up.ok, up.text
        outputs = stack.outputs()
        yield Loop(cloud, outputs, Ledger(clouds.connect(outputs["queue_url"])))


def spotbatch(*arguments: str) -> str:
    command = [str(Path(sys.executable).with_name("spotbatch")), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


@pytest.mark.timeout(600)
def test_no_item_is_lost_however_machines_go_and_a_misspelt_rule_is_noticed(loop: Loop, tmp_path: Path):
    made = subprocess.run([sys.executable, "make_items.py", str(ITEM_SECONDS)], cwd=ETL, capture_output=True, text=True, check=True).stdout
    items = tmp_path / "items.jsonl"
    items.write_text("".join(made.splitlines(keepends=True)[:ITEMS]))
    queue = loop.outputs["queue_url"]
    spotbatch("submit", "--queue", queue, "--items", str(items), "--items-per-task", "50", "--run", "flow")
    wait_until(lambda: len(loop.busy()) >= 4, 150, "four machines at work")
    told_by_event, told_by_metadata, told_nothing, killed = loop.busy()[:4]
    market = loop.cloud.market
    market.interrupt(told_by_event, notice_seconds=12, metadata=False)
    market.interrupt(told_by_metadata, notice_seconds=12, event=False)
    market.interrupt(told_nothing, notice_seconds=1, metadata=False, event=False)
    market.kill(killed)
    wait_until(lambda: loop.state(told_by_event) == "draining", 12, "rule -> queue -> function -> the machine marked")
    wait_until(lambda: loop.ledger.backlog() == 0, 240, "every task done")

    tasks = [loop.ledger.task("flow", record["task"]) for record in loop.ledger.store.run_tasks("flow")]
    taken = {entry.get("machine"): entry["what"] for task in tasks if task for entry in task.history if entry["what"] in ("interrupted", "lost")}
    assert {told_by_event, told_by_metadata, told_nothing, killed} <= taken.keys()
    assert taken[told_by_event] == taken[told_by_metadata] == "interrupted"
    results = spotbatch("results", "flow", "--queue", queue).splitlines()
    time.sleep(1)
    folder = loop.cloud.folder / "machines"
    logs = [*folder.glob("i-*-items.log"), *folder.glob("i-*/var/lib/spotbatch/items.log")]
    counted = count(items.read_text().splitlines(), results, logs)
    assert counted.items == ITEMS
    assert counted.lossless, counted
    saved = account(loop.ledger, queue, "flow", PriceTables(), AssumedMachine())
    again = saved.hours("redone") * 3600
    # What the ledger calls work done again, at most, against the job's own log; each machine taken may have cut an item and a save short.
    assert ITEM_SECONDS * counted.done_twice * 0.9 <= again <= ITEM_SECONDS * counted.done_twice + 4 * 4, (again, counted, saved.to_json())
    assert saved.hours("boot") > 0 and saved.to_json()["machines_free_first_hour"] >= 2

    # The negative control: one letter in the pattern, and the handler hears nothing.
    events = loop.cloud.client("events")
    (rule,) = [
        rule for rule in events.list_rules()["Rules"] if "Interruption Warning" in rule.get("EventPattern", "") and "aws.ec2" in rule["EventPattern"]
    ]
    pattern = json.loads(rule["EventPattern"])
    pattern["detail-type"] = ["EC2 Spot Instance Interuption Warning"]
    events.put_rule(Name=rule["Name"], EventPattern=json.dumps(pattern))
    living = [machine.id for machine in market.living() if loop.state(machine.id) == "active"]
    market.interrupt(living[0], notice_seconds=60, metadata=False)
    time.sleep(8)
    assert loop.state(living[0]) == "active"
    events.put_rule(Name=rule["Name"], EventPattern=rule["EventPattern"])
    market.interrupt(living[1], notice_seconds=60, metadata=False)
    wait_until(lambda: loop.state(living[1]) == "draining", 15, "the rule spelt right again")
