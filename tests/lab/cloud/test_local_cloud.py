import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.cloud import LocalCloud
from lab.cloud.ministack_environment import ministack_python
from lab.machine.processes import descendants
from lab.places import CHECKOUT
from tests.lab.cloud.fleets import eventually, fleet_config, make_template, members, request_fleet

JOB = "#!/bin/bash\n(setsid sleep 300 &)\nsleep 300\n"

FUNCTION = """import boto3, os
def handle(event, context):
    return {'boto3': boto3.__version__, 'spotbatch': os.path.exists('spotbatch'), 'pid': os.getpid()}
"""

OWNER = """
import sys, time
from pathlib import Path
from lab.cloud import LocalCloud
from tests.lab.cloud.fleets import fleet_config, make_template, request_fleet
cloud = LocalCloud(Path(sys.argv[1])).start()
request_fleet(cloud, fleet_config(make_template(cloud, sys.argv[2]), [("m5.xlarge", "a")], target=2))
print(cloud.pid, flush=True)
time.sleep(300)
"""


def invoke_function(cloud: LocalCloud) -> dict:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("job.py", FUNCTION)
    client = cloud.client("lambda")
    client.create_function(
        FunctionName="f", Runtime="python3.12", Handler="job.handle", Role="arn:aws:iam::000000000000:role/r", Code={"ZipFile": archive.getvalue()}
    )
    return json.load(client.invoke(FunctionName="f")["Payload"])


def everything(cloud: LocalCloud) -> list[int]:
    """Server, machines with all their processes, and a function's worker."""
    return [cloud.pid, *descendants(cloud.pid)]


def alive(pids: list[int]) -> list[int]:
    def runs(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
        except OSError:
            return False

    return [pid for pid in pids if runs(pid)]


def busy(cloud: LocalCloud) -> list[int]:
    fleet = request_fleet(cloud, fleet_config(make_template(cloud, JOB), [("m5.xlarge", "a")], target=2))
    assert eventually(lambda: all(len(descendants(one.pid or 0)) >= 3 for one in members(cloud, fleet)))
    invoke_function(cloud)
    pids = everything(cloud)
    assert len(pids) >= 1 + 2 * 4 + 1
    return pids


def test_only_loopback_listens(tmp_path: Path):
    with LocalCloud(tmp_path / "cloud") as cloud:
        pids = {str(pid) for pid in busy(cloud)}
        listening = subprocess.run(["ss", "-Hltnup"], capture_output=True, text=True, check=True).stdout.splitlines()
        ours = [line for line in listening if any(f"pid={pid}," in line for pid in pids)]
        assert len(ours) == 3, "the cloud, and a metadata service for each machine"
        assert all(line.split()[4].startswith("127.0.0.1:") for line in ours), ours


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda cloud: cloud.stop(), id="stopped"),
        pytest.param(lambda cloud: os.kill(cloud.pid, signal.SIGTERM), id="terminated"),
        pytest.param(lambda cloud: os.kill(cloud.pid, signal.SIGKILL), id="killed"),
    ],
)
def test_nothing_is_left_when_the_cloud_ends(tmp_path: Path, end: Callable[[LocalCloud], None]):
    cloud = LocalCloud(tmp_path / "cloud").start()
    try:
        pids = busy(cloud)
        end(cloud)
        assert eventually(lambda: not alive(pids), seconds=5), alive(pids)
    finally:
        cloud.stop()


def test_nothing_is_left_when_the_owner_is_killed(tmp_path: Path):
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path / "cloud"), JOB], stdout=subprocess.PIPE, cwd=CHECKOUT)
    assert owner.stdout is not None
    server = int(owner.stdout.readline())
    pids = [server, *descendants(server)]
    assert len(pids) >= 3
    owner.kill()
    owner.wait()
    owner.stdout.close()
    assert eventually(lambda: not alive(pids), seconds=5), alive(pids)


def test_a_cloud_in_the_background_outlives_its_starter_and_is_found_again(tmp_path: Path):
    code = "import sys; from pathlib import Path; from lab.cloud import LocalCloud; LocalCloud(Path(sys.argv[1])).start(background=True)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "cloud")], check=True, cwd=CHECKOUT)
    time.sleep(0.6)
    cloud = LocalCloud.attach(tmp_path / "cloud")
    assert cloud is not None and cloud.client("sqs").list_queues()["ResponseMetadata"]["HTTPStatusCode"] == 200
    pids = everything(cloud)
    cloud.stop()
    assert not alive(pids)
    assert LocalCloud.attach(tmp_path / "cloud") is None


def test_a_stranger_with_the_pid_of_an_old_cloud_is_left_alone(tmp_path: Path):
    (tmp_path / "cloud.json").write_text(json.dumps({"pid": os.getpid(), "endpoint": "http://127.0.0.1:1", "auth": False}))
    assert LocalCloud.attach(tmp_path) is None


def test_a_port_that_is_taken_is_said(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(RuntimeError, match="Address already in use"):
        LocalCloud(tmp_path / "cloud", port=taken.getsockname()[1]).start()


def test_functions_have_boto3_and_not_the_checkout(tmp_path: Path):
    with LocalCloud(tmp_path / "cloud") as cloud:
        answer = invoke_function(cloud)
    assert answer["boto3"].startswith("1.") and answer["spotbatch"] is False


def test_the_environment_leads_every_client_to_this_cloud(tmp_path: Path):
    code = "import boto3; print(boto3.client('sqs').create_queue(QueueName='q')['QueueUrl'])"
    with LocalCloud(tmp_path / "cloud") as cloud:
        queue = subprocess.run([sys.executable, "-c", code], env=cloud.environment, capture_output=True, text=True, check=True).stdout
        assert queue.strip() == f"{cloud.endpoint}/000000000000/q"


def test_installing_ministack_again_changes_nothing():
    python = ministack_python()
    before = (python.parents[1] / "installed").stat().st_mtime
    assert ministack_python() == python and (python.parents[1] / "installed").stat().st_mtime == before
