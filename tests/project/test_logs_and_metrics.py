"""docs/logs-and-metrics.md names every event and every metric that the code writes, and no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from spotbatch.metrics import UNITS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/logs-and-metrics.md").read_text()
SAYERS = {"say", "log.say", "LOGGER.exception", "log.LOGGER.exception"}


def words(node: ast.expr) -> Iterator[str]:
    """The texts that an expression may be."""
    if isinstance(node, ast.IfExp):
        yield from words(node.body)
        yield from words(node.orelse)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def logs(code: ast.Module) -> bool:
    """Does it import the log, or its `say`?"""
    imports = [node for node in ast.walk(code) if isinstance(node, ast.ImportFrom)]
    return any(node.module == "spotbatch.log" or (node.module == "spotbatch" and "log" in {one.name for one in node.names}) for node in imports)


def said() -> dict[str, str]:
    """Every event in the code, and a file that says it."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / "spotbatch").rglob("*.py")):
        code = ast.parse(path.read_text())
        if path.name == "log.py" or not logs(code):
            continue
        for node in ast.walk(code):
            if isinstance(node, ast.Call) and node.args and ast.unparse(node.func) in SAYERS:
                told = list(words(node.args[0]))
                assert told, f"{path.name}, line {node.lineno}: the event is not a plain text"
                found |= dict.fromkeys(told, str(path.relative_to(ROOT)))
    return found


def table(title: str) -> set[str]:
    """First column of the table under a heading."""
    section = re.split(r"^## ", PAGE, flags=re.M)
    [body] = [part for part in section if part.startswith(title)]
    return {name for row in re.findall(r"^\| (`.*?) \|", body, re.M) for name in re.findall(r"`([^`]+)`", row)}


def test_every_event_of_the_code_has_a_row_and_every_row_is_said():
    code = said()
    assert {event: code[event] for event in set(code) - table("Events")} == {}
    assert table("Events") - set(code) == set()


def test_every_metric_has_a_row_and_every_row_is_measured():
    assert table("Metrics") == set(UNITS)


def test_a_metric_is_made_of_the_glossary_s_words():
    glossary = set(re.findall(r"[a-z]+", " ".join(re.findall(r"^\| ([^|]+) \|", (ROOT / "docs/glossary.md").read_text(), re.M)).lower()))
    plain = {"backlog", "done", "longest", "seconds", "lead", "not", "ours", "without", "back", "given"}
    for name in UNITS:
        parts = [part.lower() for part in re.findall(r"[A-Z][a-z]+", name)]
        assert all(part in plain or part in glossary or part.removesuffix("s") in glossary for part in parts), name
