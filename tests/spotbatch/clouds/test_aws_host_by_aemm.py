"""AWS's own metadata mock as an independent judge: it was not written by whoever wrote the reader."""

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from lab.engine.go_tool import GoTool, ToolError
from spotbatch.clouds.aws import AwsHost
from spotbatch.clouds.aws_metadata import Metadata
from spotbatch.notice import timestamp

Start = Callable[..., AwsHost]


@pytest.fixture(scope="session")
def mock() -> Path:
    try:
        return GoTool("aemm").build()
    except ToolError as why:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"NOT RUN: AWS's metadata mock: {why}")


@pytest.fixture
def start(mock: Path, tmp_path: Path) -> Iterator[Start]:
    """Start the mock with arguments; the machine that it makes of this one."""
    with ExitStack() as running:
        yield lambda *arguments: AwsHost(Metadata(running.enter_context(serving(mock, tmp_path, *arguments))))


@contextmanager
def serving(mock: Path, home: Path, *arguments: str) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}"
    command = [str(mock), *arguments, "--hostname", "127.0.0.1", "--port", str(port), "--imdsv2"]
    with (home / "mock.log").open("wb") as log:
        process = subprocess.Popen(command, env={"HOME": str(home), "PATH": os.defpath}, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 10
        while not answers(endpoint):
            assert process.poll() is None and time.monotonic() < until, (home / "mock.log").read_text()
            time.sleep(0.05)
        yield endpoint
    finally:
        process.terminate()
        process.wait()


def answers(endpoint: str) -> bool:
    try:
        with urllib.request.urlopen(f"{endpoint}/latest/meta-data/", timeout=1):
            return True
    except urllib.error.HTTPError as fault:
        fault.close()
        return fault.code == 401
    except OSError:
        return False


@pytest.mark.parametrize("action", ["terminate", "stop", "hibernate"])
def test_an_interruption_is_read_as_aws_writes_it(start: Start, action: str):
    host = start("spot", "--action", action, "--time", "2027-01-07T01:03:47Z")
    assert host.identity().machine.startswith("i-")
    [notice, *_] = host.notices()
    assert (notice.kind, notice.deadline, notice.reason) == ("interruption", timestamp("2027-01-07T01:03:47Z", ""), f"spot interruption: {action}")
    assert next(host.notices()) == notice


def test_before_the_notice_there_is_nothing_and_then_it_is_there(start: Start):
    host = start("spot", "--mock-delay-sec", "2", "--rebalance-delay-sec", "1000", "--time", "2027-01-07T01:03:47Z")
    assert list(host.notices()) == []
    until = time.monotonic() + 10
    while not (found := list(host.notices())) and time.monotonic() < until:
        time.sleep(0.1)
    assert [notice.kind for notice in found] == ["interruption"]


def test_a_rebalance_recommendation_is_read_as_aws_writes_it(start: Start):
    host = start("spot", "--mock-delay-sec", "1000", "--rebalance-rec-time", "2027-01-07T01:03:47Z")
    [notice] = host.notices()
    assert (notice.kind, notice.sent) == ("rebalance", timestamp("2027-01-07T01:03:47Z", ""))


def test_maintenance_that_is_due_is_read_as_aws_writes_it(start: Start):
    host = start("events", "--code", "instance-stop", "--state", "active", "--not-before", "2026-01-07T01:03:47Z")
    [notice] = [notice for notice in host.notices() if notice.kind == "interruption"]
    assert (notice.deadline, notice.reason) == (timestamp("2026-01-07T01:03:47Z", ""), "scheduled event: instance-stop")


@pytest.mark.parametrize("state", ["completed", "canceled"])
def test_maintenance_that_is_over_is_no_notice(start: Start, state: str):
    host = start("events", "--code", "instance-stop", "--state", state, "--not-before", "2026-01-07T01:03:47Z")
    assert list(host.notices()) == []


def test_the_groups_wish_to_end_a_machine_is_read_as_aws_writes_it(start: Start):
    host = start("asglifecycle")
    until = time.monotonic() + 10
    while not (found := list(host.notices())) and time.monotonic() < until:
        time.sleep(0.1)
    assert [notice.kind for notice in found] == ["stop"]
