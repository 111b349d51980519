import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.machine.stand_ins.dnf import interpreter
from lab.machine.stand_ins.ownership import without
from lab.machine.stand_ins.poweroff import seconds
from lab.machine.toolbox import make_toolbox

HERE = f"python{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_toolbox(tmp_path / "toolbox", Path(sys.executable))
    (tmp_path / "usr/bin").mkdir(parents=True)
    return tmp_path


def on_machine(root: Path, command: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{root}/usr/bin:{root}/toolbox", "SPOTBATCH_ROOT": str(root)}
    return subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, check=False)


def test_a_machine_has_python_only_after_dnf_has_installed_it(root: Path):
    assert on_machine(root, f"command -v {HERE}").returncode != 0
    assert on_machine(root, f"dnf install -y -q {HERE}").returncode == 0
    assert on_machine(root, f"{HERE} -c 'import sys; print(sys.version_info[:2])'").stdout == f"{sys.version_info[:2]}\n"


def test_the_machines_python_has_none_of_this_hosts_packages(root: Path):
    on_machine(root, f"dnf install -y {HERE}")
    told = on_machine(root, f"{HERE} -c 'import boto3'")
    assert "No module named 'boto3'" in told.stderr


def test_the_systems_own_python_is_too_old_and_says_so(root: Path):
    assert on_machine(root, "python3 --version").stdout.startswith("Python 3.9")
    assert "too old" in on_machine(root, "python3 -m anything").stderr


def test_dnf_refuses_what_amazon_linux_does_not_call_a_package(root: Path):
    told = on_machine(root, "dnf install -y python3-boto3-nightly")
    assert told.returncode == 1
    assert told.stdout == "No match for argument: python3-boto3-nightly\n"
    assert told.stderr == "Error: Unable to find a match: python3-boto3-nightly\n"


def test_a_python_that_this_host_lacks_is_no_match_so_that_scripts_try_the_next(root: Path):
    lacking = [version for version in ("3.11", "3.12", "3.13", "3.14") if interpreter(version) is None]
    for version in lacking:
        assert on_machine(root, f"dnf install -y python{version}").returncode == 1


def test_packages_of_the_image_are_there_already(root: Path):
    assert on_machine(root, "dnf install -y tar gzip awscli-2").returncode == 0


def test_users_and_owners_change_nothing_and_succeed(root: Path):
    done = on_machine(
        root, f"useradd --system job && chown job {root} && install -d -o job -g job -m 0700 {root}/home && runuser -u job -- echo as job"
    )
    assert done.returncode == 0 and done.stdout == "as job\n" and (root / "home").is_dir()


def test_sudo_runs_the_machines_own_command_and_not_the_hosts(root: Path):
    (root / "usr/bin/shutdown").write_text("#!/bin/sh\necho mine $*\n")
    os.chmod(root / "usr/bin/shutdown", 0o755)  # noqa: PTH101
    assert on_machine(root, "sudo -n /usr/sbin/shutdown -h now").stdout == "mine -h now\n"


def test_a_command_that_amazon_linux_lacks_is_not_found(root: Path):
    assert on_machine(root, "git --version").returncode == 127


@pytest.mark.parametrize(
    ("command", "words", "when"),
    [("poweroff", [], 0), ("shutdown", ["-h", "now"], 0), ("shutdown", ["-h", "+1"], 60), ("shutdown", [], 60), ("shutdown", ["-c"], None)],
)
def test_shutdown_takes_systemds_times(command: str, words: list[str], when: float | None):
    assert seconds(command, words) == when


def test_a_time_that_shutdown_does_not_know_is_named():
    with pytest.raises(ValueError, match="tea"):
        seconds("shutdown", ["-h", "tea"])


def test_owner_options_are_left_out_in_every_spelling():
    assert without(["-d", "-o", "job", "-gjob", "--owner=job", "-m", "0700", "x"], "-o", "-g", "--owner", "--group") == ["-d", "-m", "0700", "x"]
