"""The table is made by the product's own code: one rule taken out of the worker, and its row is another."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = """
import json
from dataclasses import asdict
from spotbatch.tools.simulation import ours
from tests.simulate.pools import job, queue, setting, three_zones

runs = [
    ours.run(setting(three_zones(seed), work, machines=machines, seed=seed, notice_s=notice, on_demand=bool(work.deadline_s)))
    for work, machines in ((job(20), 1), (queue(50, 6), 2), (job(20, deadline_h=24), 1))
    for notice in (120.0, 0.0)
    for seed in range(2)
]
print(json.dumps([asdict(run) for run in runs]))
"""
MUTANTS = {
    "a draining worker takes another item": ("drain.py", "return level < DRAIN and", "return"),
    "an item is cut short as soon as the notice comes": ("drain.py", "MARGIN_SECONDS = 15.0", "MARGIN_SECONDS = 1_000.0"),
    "the agent cuts nothing short": ("agent.py", "if notice_seconds < margin(self.notice)", "if False"),
    "checkpoints ten times as rare": ("strategies/spacing.py", "math.sqrt(2 * save * life)", "10 * math.sqrt(2 * save * life)"),
    "checkpoints forget what the last one took": ("runner.py", "self._save_seconds = self.clock() - began", "self._save_seconds = 0.0"),
    "the handler detaches no machine": ("handler.py", "self._pool.detach(machine.id)", "False"),
    "on-demand machines are bought as soon as Spot ones are missing": ("strategies/on_demand.py", 'else "wait"', 'else "bridge"'),
    "the first pool is always asked first": ("strategies/next_pool.py", "(1 + trouble[index] + around + young + pool.held)", "1"),
}


def table(folder: Path) -> list[dict]:
    environment = {**os.environ, "PYTHONPATH": f"{folder}:{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=folder, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def copy(folder: Path) -> Path:
    shutil.copytree(ROOT / "spotbatch", folder / "spotbatch", ignore=shutil.ignore_patterns("__pycache__", "data"))
    return folder


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    return table(copy(tmp_path_factory.mktemp("unchanged")))


def test_the_copy_gives_the_same_table_as_long_as_nothing_is_taken_out(unchanged: list[dict], tmp_path: Path):
    assert table(copy(tmp_path)) == unchanged


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_rule_taken_out_of_the_product_changes_the_table(mutant: str, unchanged: list[dict], tmp_path: Path):
    name, old, new = MUTANTS[mutant]
    path = copy(tmp_path) / "spotbatch" / name
    text = path.read_text()
    assert text.count(old) == 1, f"{name} has moved on: {old!r}"
    path.write_text(text.replace(old, new))
    assert table(tmp_path) != unchanged
