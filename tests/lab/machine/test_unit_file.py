from pathlib import Path

import pytest

from lab.machine.unit_file import BadUnit, UnitFile, environment_lines, read_unit, seconds

WORKER = """
[Unit]
Description=a worker
StartLimitIntervalSec=5min
StartLimitBurst=3
StartLimitAction=poweroff

[Service]
Type=exec
User=spotbatch
Environment=A=1 "B=two words"
EnvironmentFile=-/etc/nowhere.env
WorkingDirectory=/var/lib/worker
ExecStart=/usr/bin/python3.11 -m job \\
  --processes 2
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=3 4
KillMode=mixed
TimeoutStopSec=1min 50s
ProtectHome=yes

[Install]
WantedBy=multi-user.target
"""


def unit(tmp_path: Path, text: str) -> UnitFile:
    path = tmp_path / "worker.service"
    path.write_text(text)
    return read_unit(path)


def test_a_worker_unit_is_read_as_systemd_reads_it(tmp_path: Path):
    assert unit(tmp_path, WORKER) == UnitFile(
        name="worker",
        command=("/usr/bin/python3.11", "-m", "job", "--processes", "2"),
        type="exec",
        environment={"A": "1", "B": "two words"},
        environment_files=("-/etc/nowhere.env",),
        working_directory="/var/lib/worker",
        restart="on-failure",
        restart_seconds=5,
        restart_prevented_by=frozenset({3, 4}),
        start_limit_seconds=300,
        start_limit_burst=3,
        start_limit_action="poweroff",
        stop_seconds=110,
        kill_mode="mixed",
        ignored=("[Service] ProtectHome",),
    )


def test_what_is_left_out_has_systemds_own_defaults(tmp_path: Path):
    bare = unit(tmp_path, "[Service]\nExecStart=/bin/true\n")
    assert (bare.restart, bare.stop_seconds, bare.kill_mode, bare.kill_signal) == ("no", 90, "control-group", "SIGTERM")


def test_every_fault_of_a_unit_is_named_with_its_value(tmp_path: Path):
    with pytest.raises(BadUnit) as caught:
        unit(tmp_path, "[Service]\nRestart=sometimes\nTimeoutStopSec=soon\nExecStartPre=/bin/true\n")
    for said in ("Restart=sometimes is none of no, on-failure", "'soon' is not a time span", "0 ExecStart= lines", "ExecStartPre="):
        assert said in str(caught.value)


def test_an_empty_assignment_forgets_what_came_before(tmp_path: Path):
    assert unit(tmp_path, "[Service]\nEnvironment=A=1\nEnvironment=\nEnvironment=B=2\nExecStart=/bin/true\n").environment == {"B": "2"}


@pytest.mark.parametrize(("text", "value"), [("90", 90), ("2min", 120), ("1min 30s", 90), ("500ms", 0.5), ("infinity", float("inf"))])
def test_time_spans(text: str, value: float):
    assert seconds(text, "here") == value


def test_environment_files_may_have_quotes_and_comments():
    assert environment_lines("# c\nA=1\n\nB='x y'\nC=\"z\"\nnonsense\n") == {"A": "1", "B": "x y", "C": "z"}
