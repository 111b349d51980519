"""Every figure of docs/what-does-it-cost.md comes from a command that stands there, and is run here."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/what-does-it-cost.md").read_text()
SHOWN = re.findall(r"```sh\n(spotbatch savings --types [^\n]+)\n```\n\n```\n(.*?)\n```", TEXT, re.S)
PROSE = re.sub(r"```.*?```", "", TEXT, flags=re.S)


@pytest.mark.parametrize(("command", "output"), SHOWN)
def test_a_command_prints_what_the_page_shows(command, output):
    spotbatch = str(Path(sys.executable).with_name("spotbatch"))
    ran = subprocess.run([spotbatch, *command.split()[1:]], capture_output=True, text=True, check=True, timeout=60)
    printed = [line.rstrip() for line in ran.stdout.splitlines()]
    assert output.splitlines() == printed[: len(output.splitlines())]


def test_every_figure_in_the_text_is_printed_by_one_of_them():
    printed = " ".join(output for _, output in SHOWN)
    figures = re.findall(r"\$[\d.]+|[\d.]+(?: to [\d.]+)? %", PROSE)
    assert len(SHOWN) == 2 and len(figures) >= 5
    assert not [figure for figure in figures if figure not in printed]


def test_it_names_every_line_of_a_report():
    told = (ROOT / "spotbatch/tools/savings_after.py").read_text()
    names = re.findall(r'\("([a-z ]+)", "(?:redone|boot|waiting|leaving)"\)|Line\("([a-z -]+)"|^FREE = "([a-z ]+)"', told, re.M)
    assert len(names) == 7
    for name in {one for found in names for one in found if one}:
        assert f"| {name} |" in PROSE, name
