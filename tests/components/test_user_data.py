import functools
import http.server
import json
import shlex
import shutil
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest
from pulumi_spotbatch.aws.user_data import (
    LIMIT_BYTES,
    STOP_SECONDS,
    Archive,
    Container,
    OnImage,
    Requirement,
    Source,
    Start,
    UserDataTooLarge,
    user_data,
)

from spotbatch import agent, exit_status, notice

GOLDEN = Path(__file__).parent / "golden"

DIGEST = "5f" * 32
SECRETS = {
    "LICENCE": "arn:aws:ssm:us-east-1:123456789012:parameter/licence",
    "PIP_INDEX_URL": "arn:aws:secretsmanager:us-east-1:123456789012:secret:index-AbCdEf",
}


def start(code: Source, **changes: object) -> Start:
    queue = "https://sqs.us-east-1.amazonaws.com/123456789012/tasks"
    return Start("thumbnails:Thumbnails", queue, "m-logs-1a2b3c4", code, **changes)  # pyright: ignore[reportArgumentType]


SCRIPTS = {
    "archive": start(Archive("tasks-bucket", f"code/{DIGEST}.tar.gz", DIGEST)),
    "container": start(Container("123456789012.dkr.ecr.eu-west-1.amazonaws.com/job:1.4"), processes=4),
    "requirement": start(Requirement("my-job[fast]==1.4"), secrets=SECRETS),
    "index": start(Requirement("my-job==1.4", "https://index.example/simple/")),
    "on_image": start(OnImage("/opt/job/bin/python"), secrets=SECRETS),
}

each_script = pytest.mark.parametrize("name", sorted(SCRIPTS))


@each_script
def test_the_script_is_as_reviewed(name: str, request: pytest.FixtureRequest):
    """After a change on purpose: `python -m tests.components.test_user_data` writes the reviewed files anew."""
    assert user_data(SCRIPTS[name]) == (GOLDEN / f"user_data_{name}.sh").read_text()


@each_script
def test_shellcheck_has_nothing_to_say(name: str):
    shellcheck = shutil.which("shellcheck", path=str(Path(sys.executable).parent)) or "shellcheck"
    found = subprocess.run([shellcheck, "--norc", "-"], input=user_data(SCRIPTS[name]), capture_output=True, text=True)
    assert found.stdout + found.stderr == ""


@each_script
def test_the_script_fits_into_what_aws_takes(name: str):
    assert len(user_data(SCRIPTS[name]).encode()) < LIMIT_BYTES / 2


def test_a_script_that_is_too_large_is_refused_with_its_size():
    many = {f"SECRET_{index}": f"arn:aws:ssm:us-east-1:123456789012:parameter/{'x' * 100}" for index in range(200)}
    with pytest.raises(UserDataTooLarge, match=r"has \d+ bytes, AWS takes 16384"):
        user_data(start(OnImage("/opt/python"), secrets=many))


def unit(name: str) -> str:
    return user_data(SCRIPTS[name]).partition("spotbatch-worker.service")[2]


def test_without_a_number_of_processes_there_is_one_for_each_cpu():
    assert "--processes $(nproc)\n" in unit("archive")
    assert "--processes 4\n" in unit("container")


@each_script
def test_systemd_lets_the_worker_drain_and_starts_a_broken_one_again_but_not_for_ever(name: str):
    lines = unit(name).splitlines()
    assert {"KillMode=mixed", "TimeoutStopSec=110", "Restart=on-failure"} <= set(lines)
    assert {"StartLimitBurst=5", "StartLimitIntervalSec=300", "StartLimitAction=poweroff"} <= set(lines)


def test_systemd_waits_longer_than_a_draining_agent_takes():
    assert agent.STOP_SECONDS < STOP_SECONDS < notice.WARNING_SECONDS


@each_script
def test_the_worker_does_not_run_as_root(name: str):
    assert "\nUser=spotbatch\n" in unit(name)


def test_secrets_are_in_the_script_by_their_arn_alone():
    line = next(line for line in user_data(SCRIPTS["on_image"]).splitlines() if line.startswith("SPOTBATCH_SECRETS="))
    assert json.loads(line.partition("=")[2].strip("'")) == SECRETS


def run(script: str, tmp_path: Path, **stand_ins: str) -> subprocess.CompletedProcess[str]:
    """Run a script with these commands in place of the machine's own."""
    commands = {
        "curl": 'case "$*" in *region*) echo eu-west-1;; *instance-id*) echo i-0abc;; *) echo T;; esac',
        "dnf": "exit 0",
        "useradd": "exit 0",
        "chown": "exit 0",
        "sleep": "exit 0",
        "nproc": "echo 2",
        "systemctl": 'echo "systemctl $*" >>"$SPOTBATCH_ROOT/done"',
        "shutdown": 'echo "shutdown $*" >>"$SPOTBATCH_ROOT/done"',
        **stand_ins,
    }
    folder, root = tmp_path / "bin", tmp_path / "root"
    folder.mkdir()
    root.mkdir()
    for name, body in commands.items():
        (folder / name).write_text(f"#!/bin/bash\n{body}\n")
        (folder / name).chmod(0o755)
    for tool in ("bash", "cat", "chmod", "grep", "gzip", "id", "mkdir", "rm", "sha256sum", "tar"):
        (folder / tool).symlink_to(shutil.which(tool) or "")
    environment = {"PATH": str(folder), "SPOTBATCH_ROOT": str(root)}
    return subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=30)


def test_the_machine_knows_its_region_its_log_stream_and_its_unit(tmp_path: Path):
    result = run(user_data(start(OnImage("/opt/job/bin/python"))), tmp_path)
    assert result.returncode == 0, result.stderr
    environment = (tmp_path / "root/etc/spotbatch/worker.env").read_text().splitlines()
    assert "AWS_DEFAULT_REGION=eu-west-1" in environment
    assert "SPOTBATCH_LOG_STREAM=i-0abc" in environment
    service = (tmp_path / "root/etc/systemd/system/spotbatch-worker.service").read_text()
    assert "ExecStart=/opt/job/bin/python -m spotbatch.clouds.aws_service thumbnails:Thumbnails --processes 2\n" in service
    assert (tmp_path / "root/done").read_text().splitlines() == ["systemctl daemon-reload", "systemctl enable --now spotbatch-worker"]


def test_a_machine_that_cannot_get_its_code_says_so_tries_again_and_goes(tmp_path: Path):
    script = user_data(start(Archive("tasks-bucket", "code/x.tar.gz", DIGEST)))
    result = run(script, tmp_path, aws="echo 'fatal error: 403' >&2; exit 1", **{"python3.13": "exit 0"})
    assert result.returncode == 1
    assert result.stderr.count("fatal error: 403") == 6
    assert "start failed with status 1 at: " in result.stderr
    assert (tmp_path / "root/done").read_text() == "shutdown -h +1\n"


def test_code_that_was_tampered_with_is_not_started(tmp_path: Path):
    script = user_data(start(Archive("tasks-bucket", "code/x.tar.gz", DIGEST)))
    result = run(script, tmp_path, aws='for target; do :; done; echo other | gzip >"$target"', **{"python3.13": "exit 0"})
    assert result.returncode != 0
    assert (tmp_path / "root/done").read_text() == "shutdown -h +1\n"


def test_a_machine_whose_distribution_has_no_python_that_is_new_enough_goes(tmp_path: Path):
    script = user_data(start(Archive("tasks-bucket", "code/x.tar.gz", DIGEST)))
    result = run(script, tmp_path, dnf="echo 'No match for argument' >&2; exit 1")
    assert result.returncode == 1
    assert "trying again in 16 s: install_python" in result.stderr
    assert (tmp_path / "root/done").read_text() == "shutdown -h +1\n"


def wheel(folder: Path) -> None:
    """A package index with one package, `my-job` 1.4."""
    (folder / "my-job").mkdir(parents=True)
    record = "my_job-1.4.dist-info"
    with zipfile.ZipFile(folder / "my-job" / "my_job-1.4-py3-none-any.whl", "w") as archive:
        archive.writestr("my_job.py", "NAME = 'from the index'\n")
        archive.writestr(f"{record}/METADATA", "Metadata-Version: 2.1\nName: my-job\nVersion: 1.4\n")
        archive.writestr(f"{record}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{record}/RECORD", "")


def test_a_package_comes_from_the_owners_index_into_an_environment_of_its_own(tmp_path: Path):
    wheel(tmp_path / "index")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "index"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            index = f"http://127.0.0.1:{server.server_port}/"
            python = f'exec {Path(sys.executable).resolve()} "$@"'
            result = run(user_data(start(Requirement("my-job==1.4", index))), tmp_path, **{"python3.13": python})
        finally:
            server.shutdown()
            thread.join()
    assert result.returncode == 0, result.stderr
    service = (tmp_path / "root/etc/systemd/system/spotbatch-worker.service").read_text()
    interpreter = f"{tmp_path}/root/opt/spotbatch/venv/bin/python"
    assert f"ExecStart={interpreter} -m spotbatch.clouds.aws_service " in service
    found = subprocess.run([interpreter, "-c", "import my_job; print(my_job.NAME)"], capture_output=True, text=True)
    assert found.stdout == "from the index\n"


def test_a_container_goes_with_its_agent_drains_before_docker_stops_and_lets_the_machine_be_powered_off():
    lines = unit("container").splitlines()
    assert "After=network-online.target docker.service" in lines
    assert "ExecStartPre=-/usr/bin/docker rm --force spotbatch-worker" in lines
    assert next(line for line in lines if line.startswith("ExecStart=")).split()[:4] == ["ExecStart=/usr/bin/docker", "run", "--rm", "--name"]
    assert f"RestartPreventExitStatus={exit_status.CANNOT_POWER_OFF}" in lines
    assert "docker" not in unit("archive")


@pytest.mark.parametrize(("status", "off"), [("77", True), ("1", False), ("143", False)])
def test_whoever_cannot_power_off_from_inside_a_container_is_powered_off_from_outside(status: str, off: bool, tmp_path: Path):
    line = next(line for line in unit("container").splitlines() if line.startswith("ExecStopPost=+"))
    # What bash makes of the heredoc, and then systemd of `$$`.
    command = line.removeprefix("ExecStopPost=+").replace("\\$", "$").replace("$$", "$")
    (tmp_path / "systemctl").write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/called\n')
    (tmp_path / "systemctl").chmod(0o755)
    subprocess.run(shlex.split(command), env={"PATH": f"{tmp_path}:/usr/bin:/bin", "EXIT_STATUS": status}, check=True, timeout=10)
    assert (tmp_path / "called").exists() == off


if __name__ == "__main__":
    for name, settings in SCRIPTS.items():
        (GOLDEN / f"user_data_{name}.sh").write_text(user_data(settings))
