"""`python -m lab`: what runs in the lab, and what runs in the account of whoever calls."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.engine.cli import OLDEST
from lab.places import CHECKOUT

PULUMI = f"""#!/bin/sh
[ "$1" = version ] && echo v{".".join(map(str, OLDEST))} && exit
echo "arguments: $*; home: $PULUMI_HOME; account: $AWS_PROFILE; in $PWD"
exit 7
"""


def lab(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """One command of the lab, with a command line on PATH that only says how it was called."""
    pulumi = tmp_path / "bin" / "pulumi"
    pulumi.parent.mkdir(exist_ok=True)
    pulumi.write_text(PULUMI)
    pulumi.chmod(0o755)
    path = f"{pulumi.parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [sys.executable, "-m", "lab", *arguments],
        cwd=CHECKOUT,
        env={**os.environ, "PATH": path, "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(("command", "verb"), [("up", "up"), ("preview", "preview"), ("down", "destroy")])
def test_a_stack_other_than_local_goes_to_the_callers_own_account_with_the_callers_own_pulumi(tmp_path: Path, command: str, verb: str):
    result = lab(tmp_path, command, "prod", PULUMI_HOME="/mine", AWS_PROFILE="ours")
    assert f"arguments: {verb} --stack prod; home: /mine; account: ours; in {CHECKOUT}" in result.stdout
    assert result.returncode == 7


def test_help_says_which_account_is_touched(tmp_path: Path):
    told = " ".join(lab(tmp_path, "--help").stdout.split())
    assert "your own Pulumi, AWS and Kubernetes settings are neither read nor changed" in told
    assert "in your account; with --lab they run here too" in told


def test_a_command_that_does_not_exist_is_refused(tmp_path: Path):
    result = lab(tmp_path, "deploy")
    assert result.returncode == 2
    assert "No such command 'deploy'" in result.stderr


def test_asking_for_a_real_provider_where_there_is_none_says_where_it_was_looked_for(tmp_path: Path):
    program = f"from pathlib import Path; from lab.engine import Engine; Engine(Path('.'), Path({str(tmp_path / 'lab')!r}), {{}}, Path('/bin/true'))"
    environment = {"PATH": "", "HOME": str(tmp_path), "PYTHONPATH": str(CHECKOUT), "LAB_REAL_PROVIDER": "1"}
    result = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert "LAB_REAL_PROVIDER=1, but there is no pulumi-resource-aws" in result.stderr
    assert str(tmp_path / ".pulumi" / "plugins") in result.stderr
