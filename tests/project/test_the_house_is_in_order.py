"""Small rules about files that a reviewer should not have to say."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "misc", "lib", "types", "manager", "core"}
REGISTRIES = re.compile(r"https?://(?:[a-z0-9.-]*\.)?(?:pypi|pythonhosted|npmjs|crates|maven)\.(?:org|io)\b")


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    return [ROOT / name for name in listed if name and (ROOT / name).is_file()]


def test_no_file_name_says_nothing():
    assert not [str(path.relative_to(ROOT)) for path in tracked() if path.suffix == ".py" and path.stem in EMPTY_NAMES]


def test_no_python_file_is_two_things():
    long = {str(path.relative_to(ROOT)): lines for path in tracked() if path.suffix == ".py" and (lines := path.read_text().count("\n")) > 420}
    assert not long


def test_no_file_names_a_machine_or_a_registry():
    faults = []
    for path in tracked():
        if path.suffix in {".gz", ".sum", ".png", ".zip"} or path == Path(__file__):
            continue
        text = path.read_text(errors="replace")
        faults += [f"{path.relative_to(ROOT)}: {found}" for found in re.findall(r"(?<![\w}])/(?:work|root)/[\w.]+|/tmp/bash_jobs", text)]
        faults += [f"{path.relative_to(ROOT)}: {found}" for found in REGISTRIES.findall(text)]
    assert not faults
