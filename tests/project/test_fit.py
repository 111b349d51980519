"""docs/fit.md answers for the questions that `spotbatch check` asks, and shows what it prints."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/fit.md").read_text()
NAMES = ["starts", "ends", "results", "repeats", "resumes", "longest", "saves"]


def test_its_table_has_every_question_in_order():
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.M) == NAMES


def test_its_command_prints_what_it_shows_but_for_the_times(tmp_path):
    folder = ROOT / "examples/etl"
    items = subprocess.run([sys.executable, "make_items.py"], cwd=folder, capture_output=True, check=True).stdout
    (tmp_path / "items.jsonl").write_bytes(items)
    [command] = re.findall(r"^spotbatch (check .*)$", PAGE, re.M)
    done = subprocess.run(
        [str(Path(sys.executable).with_name("spotbatch")), *command.split(), "--queue", f"local:{tmp_path}/queue"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(folder), "COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    [shown] = re.findall(r"<!-- check -->\n```\n(.*?)```\n<!-- /check -->", PAGE, re.S)

    def words(text: str) -> str:
        """Without times and speeds, which are this computer's, and the line that took longest."""
        return " ".join(re.sub(r"[\d.]+ (ms|s|KB/s|MB/s|GB/s)\b|line \d+", "", text).split())

    assert words(done.stdout) == words(shown)
