"""The front door for other languages: components behind `pulumi package add`."""

import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pulumi
import pytest

from tests.components.recorder import Deployment, deploy
from tests.components.samples import SAMPLES, component

FOLDER = Path(__file__).parents[2] / "components"
SCHEMA = Path(__file__).parent / "golden" / "schema.json"


def host() -> Any:
    return runpy.run_path(str(FOLDER / "__main__.py"))["Host"]()


def construct(kind: str, inputs: dict[str, Any]) -> Deployment:
    """Declare a component as the engine does for a program in another language: camelCase keys, every number a float."""
    return deploy(lambda: host().construct("first", f"spotbatch:index:{kind}", inputs))


def camel(value: Any, keys: bool = True) -> Any:
    if isinstance(value, dict):
        return {
            (key.split("_")[0] + "".join(word.capitalize() for word in key.split("_")[1:])) if keys else key: camel(v, key != "tags")
            for key, v in value.items()
        }
    if isinstance(value, list):
        return [camel(entry) for entry in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _camel_key(key: str) -> str:
    first, *rest = key.split("_")
    return first + "".join(word.capitalize() for word in rest)


@pytest.mark.parametrize("kind", sorted(SAMPLES))
def test_a_program_in_another_language_gets_the_same_resources(kind: str):
    ours = deploy(lambda: component(kind)("first", SAMPLES[kind]))
    theirs = construct(kind, camel(SAMPLES[kind]))
    assert {request.urn: request.inputs for request in theirs.requests} == {request.urn: request.inputs for request in ours.requests}


def test_faults_arrive_as_they_are_without_a_traceback():
    with pytest.raises(pulumi.RunError, match=r"Network 'first': 1 fault in its arguments, nothing of it was declared\n  - zones: 9 is not allowed"):
        construct("Network", {"zones": 9.0})


def test_the_names_and_types_that_other_languages_see_are_as_reviewed():
    """After a change on purpose: `python -m tests.components.test_component_host` writes the reviewed file anew."""
    assert schema() == SCHEMA.read_text()


def test_the_plugin_starts_and_tells_its_port():
    process = subprocess.Popen([sys.executable, str(FOLDER), "127.0.0.1:1"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        with process.stdout as lines:
            assert lines.readline().strip().isdigit()
    finally:
        process.kill()
        process.wait()


def schema() -> str:
    return json.dumps(_without_prose(json.loads(host().schema)), indent=1, sort_keys=True) + "\n"


def _without_prose(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_prose(entry) for key, entry in value.items() if key != "description" or not isinstance(entry, str)}
    return [_without_prose(entry) for entry in value] if isinstance(value, list) else value


if __name__ == "__main__":
    SCHEMA.write_text(schema())
