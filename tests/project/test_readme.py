"""What the README shows works as shown."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.components.recorder import deploy

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PROGRAM, JOB = re.findall(r"```python\n(.*?)```", README, re.S)


def test_its_pulumi_program_deploys_a_fleet_that_handles_interruptions(monkeypatch):
    monkeypatch.chdir(ROOT)
    recorded = deploy(lambda: exec(PROGRAM, {}))
    types = {request.type for request in recorded.requests}
    assert {"aws:ec2/spotFleetRequest:SpotFleetRequest", "aws:lambda/function:Function", "aws:dynamodb/table:Table"} <= types


def test_its_job_and_commands_run(tmp_path):
    (tmp_path / "words.py").write_text(JOB)
    (tmp_path / "items.jsonl").write_text('{"text": "one two"}\n{"text": "three"}\n')
    spotbatch = str(Path(sys.executable).with_name("spotbatch"))

    def run(*arguments: str) -> str:
        return subprocess.run([spotbatch, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60).stdout

    name = run("submit", "--items", "items.jsonl", "--items-per-task", "100").splitlines()[0]
    run("worker", "words:WordCount", "--until-empty")
    assert run("results", name).split() == ["2", "1"]


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"\]\(([\w./-]+)\)|`((?:docs|stacks|spotbatch|components|examples|lab)/[\w./-]+\.\w+)`", README)))
)
def test_the_files_it_names_are_there(path):
    assert (ROOT / (path[0] or path[1])).is_file()


def test_its_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"`?make ([a-z-]+)", README)):
        assert re.search(rf"^[a-z ]*\b{target}\b[a-z -]*:", makefile, re.M), target
