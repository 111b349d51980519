"""Prints what the tests here found: the model's bounds, what kills which mutant, and the storms."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from tests.spotbatch.scheduled_machines import MEMORY

FOUND = ("bounds", "model", "code", "explained", "storm")
"""What a test may record: `record_property(one of these, (name, text))`."""


@pytest.fixture
def memory_path() -> Iterator[Path]:
    """A folder in memory where there is one: copies of the project that nobody keeps."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        yield Path(name)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """With xdist as well: properties travel with the reports, prints do not."""
    found: dict[str, dict[str, str]] = {what: {} for what in FOUND}
    for report in _reports(terminalreporter):
        for what, said in report.user_properties:
            if what in found and isinstance(said, list | tuple):
                found[what][said[0]] = said[1]
    console = Console(file=terminalreporter._tw._file, width=170)
    for name, text in sorted((found["bounds"] | found["storm"]).items()):
        console.print(f"{name}: {text}", highlight=False, markup=False)
    names = [*found["code"], *(name for name in found["model"] if name not in found["code"])]
    if names:
        table = Table("mutant", "killed in the model by", "killed in the code by", title="What kills a mutant", title_justify="left")
        for name in names:
            table.add_row(name, found["model"].get(name, ""), found["code"].get(name, ""))
        console.print(table)
    for name, why in sorted(found["explained"].items()):
        console.print(f"not killed: {name}: {why}", highlight=False, markup=False)


def _reports(reporter: pytest.TerminalReporter) -> Iterator[pytest.TestReport]:
    for outcome in ("passed", "failed"):
        yield from (report for report in reporter.getreports(outcome) if isinstance(report, pytest.TestReport) and report.when == "call")
