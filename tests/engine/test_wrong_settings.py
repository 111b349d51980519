"""A wrong key, type or value in a stack file ends the real preview with one readable message per fault, before anything is declared."""

import shutil
from pathlib import Path

import pytest

from lab.cloud import LocalCloud
from lab.engine import Engine
from lab.engine.cli import find_cli
from lab.engine.stack import EngineError
from lab.places import CHECKOUT

LOCAL = (CHECKOUT / "stacks" / "Pulumi.local.yaml").read_text()

FAULTS = {
    "a key that does not exist": (
        "      targetCapacity: 8",
        "      targetCapasity: 8",
        ["spotbatch:aws.fleet.targetCapasity: no such key", "targetCapacity"],
    ),
    "a value of another type": (
        "targetCapacity: 8",
        "targetCapacity: many",
        ["spotbatch:aws.fleet.targetCapacity: 'many' is not allowed", "a whole number"],
    ),
    "a value out of range": ("targetCapacity: 8", "targetCapacity: -1", ["spotbatch:aws.fleet.targetCapacity", "-1"]),
    "a value that is none of those allowed": (
        "targetCapacity: 8",
        "targetCapacity: 8\n      allocationStrategy: cheapest",
        ["spotbatch:aws.fleet.allocationStrategy", "'cheapest'", "capacityOptimized"],
    ),
    "a section that lacks the one it needs": ("    queue:\n", "    queu:\n", ["spotbatch:aws.queu: no such key"]),
    "a key of another project's making": ("  spotbatch:aws:", "  spotbatch:gcpp: {}\n  spotbatch:aws:", ["spotbatch:gcpp: no such key"]),
}


def preview_of(configuration: str, cloud: LocalCloud, folder: Path):
    """A preview of a copy of the project with another `Pulumi.local.yaml`."""
    project = folder / "project"
    shutil.copytree(CHECKOUT / "stacks", project / "stacks", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(CHECKOUT / "examples", project / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(CHECKOUT / name, project / name)
    (project / "stacks" / "Pulumi.local.yaml").write_text(configuration)
    return Engine(project, folder / "engine", cloud.environment, find_cli()).stack("local").preview()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_by_its_dotted_path_without_a_traceback(cloud: LocalCloud, tmp_path: Path, fault: str):
    right, wrong, told = FAULTS[fault]
    assert right in LOCAL
    preview = preview_of(LOCAL.replace(right, wrong, 1), cloud, tmp_path)
    assert not preview.ok
    for part in told:
        assert part in preview.text
    assert "Traceback" not in preview.text
    assert preview.changes.get("create", 0) <= 1, "nothing but the stack itself"


def test_all_faults_are_told_at_once(cloud: LocalCloud, tmp_path: Path):
    faulty = LOCAL.replace("targetCapacity: 8", "targetCapacity: -1\n      fleetType: forever").replace("zones: 3", "zones: none")
    preview = preview_of(faulty, cloud, tmp_path)
    assert not preview.ok
    for path in ("fleet.targetCapacity", "fleet.fleetType", "network.zones"):
        assert f"spotbatch:aws.{path}: " in preview.text


def test_a_file_that_is_no_yaml_is_told_by_its_line(cloud: LocalCloud, tmp_path: Path):
    with pytest.raises(EngineError, match="line") as raised:
        preview_of(LOCAL + "\n  - [unfinished\n", cloud, tmp_path)
    assert "Traceback" not in str(raised.value)
