"""docs/simulate.md says what the command does."""

import re
from pathlib import Path

from typer.testing import CliRunner

from spotbatch.tools.cli import app
from spotbatch.tools.simulation.job import Job
from spotbatch.tools.simulation.policies import ALL
from spotbatch.tools.simulation.trace_files import KINDS, shipped
from spotbatch.tools.simulation.workloads import WORKLOADS

PAGE = (Path(__file__).parents[2] / "docs/simulate.md").read_text()


def test_its_job_can_be_read(tmp_path):
    (found,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
    (tmp_path / "render.yaml").write_text(found)
    assert len(found.splitlines()) <= 10
    assert Job.read(tmp_path / "render.yaml").plan("render").on_demand


def test_its_options_workloads_and_columns_exist():
    shown = CliRunner().invoke(app, ["simulate", "--help"], env={"COLUMNS": "200"}).output
    assert all(option in shown for option in set(re.findall(r"--[a-z][a-z-]+", PAGE)))
    named = set(re.findall(r"`(W\d[\w.-]*)`", PAGE)) | set(re.findall(r"--workload (W\d)", PAGE))
    assert named and named <= set(WORKLOADS)
    assert all(",".join(columns) in PAGE for columns in KINDS)
    assert set(re.findall(r"--trace ([\w-]+)", PAGE)) <= set(shipped())


def test_every_policy_is_in_its_table():
    rows = PAGE[PAGE.index("| policies | rule") :]
    told = set(re.findall(r"\b(?:[PLC]\d|ours(?:-\w+)?|restart)\b", rows))
    for first, last in re.findall(r"\b([PLC]\d) to ([PLC]\d)\b", rows):
        told |= {f"{first[0]}{number}" for number in range(int(first[1]), int(last[1]) + 1)}
    assert set(ALL) <= told
