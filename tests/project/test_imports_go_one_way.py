"""Reads every import of the project and holds the directions of docs: programs -> components -> runtime; the lab stands beside."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = {"task", "notice", "checkpoint", "ledger", "worker", "agent", "handler", "protocols", "watcher"}
MAY_IMPORT = {
    "spotbatch": {"spotbatch"},
    "pulumi_spotbatch": {"pulumi_spotbatch", "spotbatch"},
    "stacks": {"stacks", "pulumi_spotbatch", "spotbatch"},
    "lab": {"lab", "spotbatch"},
}
OURS = {"spotbatch", "pulumi_spotbatch", "stacks", "lab", "policy", "components"}
FOLDERS = {"spotbatch": ROOT / "spotbatch", "pulumi_spotbatch": ROOT / "components/pulumi_spotbatch", "stacks": ROOT / "stacks", "lab": ROOT / "lab"}


def imports(path: Path) -> set[str]:
    """Dotted names of every absolute import in a file, at any depth."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_the_rooms_below_it(room):
    # The lab's own stand-in provider reads the SDK's type tables; nothing of ours is below it but the runtime.
    faults = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sorted(FOLDERS[room].rglob("*.py"))
        for name in sorted(imports(path))
        if (top := name.split(".")[0]) in OURS and top not in MAY_IMPORT[room]
    ]
    assert not faults


def test_the_runtime_never_imports_pulumi():
    faults = [str(path) for path in FOLDERS["spotbatch"].rglob("*.py") for name in imports(path) if name.split(".")[0].startswith("pulumi")]
    assert not faults


def test_the_core_of_the_runtime_imports_the_standard_library_only():
    allowed = set(sys.stdlib_module_names) | {"spotbatch"}
    faults = [
        f"{path.name} imports {name}" for path in FOLDERS["spotbatch"].glob("*.py") for name in imports(path) if name.split(".")[0] not in allowed
    ]
    assert not faults


def test_the_clouds_import_their_own_client_library_only():
    # Google's client lets faults of `requests` through, which it stands on.
    own = {"aws": {"boto3", "botocore"}, "gcp": {"google", "requests"}}
    faults = [
        f"{path.name} imports {name}"
        for path in (FOLDERS["spotbatch"] / "clouds").glob("*.py")
        for name in imports(path)
        if name.split(".")[0] not in {*sys.stdlib_module_names, "spotbatch", *own.get(path.stem.split("_")[0], ())}
    ]
    assert not faults


def test_the_core_loads_no_cloud():
    modules = [f"spotbatch.{path.stem}" for path in FOLDERS["spotbatch"].glob("*.py") if path.stem in CORE]
    heavy = ("boto3", "botocore", "typer", "rich", "pulumi")
    code = (
        f"import importlib, sys; [importlib.import_module(name) for name in {modules!r}]; "
        f"print([name for name in sys.modules if name.split('.')[0] in {heavy!r}])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert loaded.stdout.strip() == "[]"
