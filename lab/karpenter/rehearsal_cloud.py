"""The AWS of a rehearsal: MiniStack and moto behind one address."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import boto3

from lab.cloud import LocalCloud
from lab.cloud.pinned_environment import PinnedEnvironment
from lab.loopback import free_ports, listens
from lab.machine.processes import end_with_parent
from lab.places import CHECKOUT

START_SECONDS = 60.0
_ACCOUNT = "123456789012"
"""moto's account; MiniStack takes it from the access key."""


class RehearsalCloud:
    """AWS for a stack and for the real Karpenter controller, as a context manager.

    moto plays EC2, IAM, SQS, EventBridge, STS and SSM, MiniStack everything else; prices and image aliases are made up by the front.
    Neither asks who may do what. Raises RuntimeError if one does not start.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ministack = LocalCloud(folder / "ministack")
        self._running: list[subprocess.Popen[bytes]] = []
        self.endpoint = ""

    @property
    def environment(self) -> dict[str, str]:
        """What an AWS client needs to talk to this cloud and to nothing else."""
        return {**self._ministack.environment, "AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": _ACCOUNT}

    def client(self, service: str) -> Any:
        """A boto3 client of the account."""
        return boto3.client(service, endpoint_url=self.endpoint, region_name="us-east-1", aws_access_key_id=_ACCOUNT, aws_secret_access_key="test")

    def __enter__(self) -> "RehearsalCloud":
        self._ministack.start()
        try:
            moto, front = free_ports(2)
            self._run("moto", [str(moto_python().with_name("moto_server")), "-H", "127.0.0.1", "-p", str(moto)], moto)
            arguments = [str(front), self._ministack.endpoint, f"http://127.0.0.1:{moto}"]
            self._run("front", [sys.executable, "-m", "lab.karpenter.front", *arguments], front)
        except BaseException:
            self.__exit__()
            raise
        self.endpoint = f"http://127.0.0.1:{front}"
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._running):
            process.kill()
            process.wait()
        self._ministack.stop()

    def _run(self, name: str, command: list[str], port: int) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            environment = {**os.environ, "MOTO_IAM_LOAD_MANAGED_POLICIES": "true"}
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=CHECKOUT, env=environment, preexec_fn=end_with_parent
            )
        self._running.append(process)
        until = time.monotonic() + START_SECONDS
        while not listens(port):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{name} did not start: {(self.folder / f'{name}.log').read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)


def moto_python() -> Path:
    """The interpreter that has moto, installed on first use: to be done before there is no network. Raises RuntimeError with pip's words."""
    return PinnedEnvironment("moto", CHECKOUT / "lab" / "tools" / "moto" / "requirements.txt").python()
