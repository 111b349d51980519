"""Start and stop a local cloud."""

import os
import shutil
import signal
from pathlib import Path
from typing import Any, Self

import boto3

from lab.cloud.market_client import MarketClient
from lab.cloud.ministack_environment import ministack_python
from lab.machine.processes import marked, send
from lab.machine.toolbox import make_toolbox
from lab.places import python
from lab.served_folder import ServedFolder

REGION = "us-east-1"


class LocalCloud(ServedFolder):
    """AWS on 127.0.0.1: MiniStack, with a Spot market whose machines are processes of this host.

    As a context manager it lives as long as the block, and ends by itself if this process is killed. `start(background=True)` outlives
    this process; `LocalCloud.attach(folder)` finds it again, also to stop it.

    `folder` holds its data, logs and machines, and is emptied at the start. `port` 0 takes a free one. `auth` lets MiniStack enforce
    IAM: the keys in `environment` are the account's root, machines and functions have their roles'. `pools` sets how many machines
    each (type, zone) gives; others hold 20 to 59. `notice_seconds` is the two-minute notice that drills (FIS) give,
    `minute_seconds` how long a minute lasts for alarms that scale: rehearsals shorten both.
    Raises RuntimeError, with the log's end, if it does not start.
    """

    name = "cloud"
    module = "lab.cloud.server"
    start_seconds = 60.0

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        auth: bool = False,
        pools: dict[tuple[str, str], int] | None = None,
        notice_seconds: float = 120.0,
        minute_seconds: float = 60.0,
    ) -> None:
        super().__init__(folder)
        self._port = port
        self._auth = auth
        self._pools = pools or {}
        self._notice_seconds = notice_seconds
        self._minute_seconds = minute_seconds

    @property
    def endpoint(self) -> str:
        """http://127.0.0.1:PORT"""
        return self._address["endpoint"]

    @property
    def market(self) -> MarketClient:
        """Take machines away, look at them."""
        return MarketClient(self.endpoint)

    @property
    def environment(self) -> dict[str, str]:
        """What an AWS client needs to talk to this cloud and to nothing else."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str) -> Any:
        """A boto3 client of the account's root."""
        return boto3.client(service, endpoint_url=self.endpoint, region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test")

    def start(self, *, background: bool = False) -> Self:
        """Start, and return when it answers."""
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "tmp").mkdir(parents=True)
        (self.folder / "machines").mkdir()
        settings = {
            "port": self._port,
            "auth": self._auth,
            "python": str(python()),
            "toolbox": str(make_toolbox(self.folder / "toolbox", python())),
            "notice_seconds": self._notice_seconds,
            "minute_seconds": self._minute_seconds,
            "pools": [[kind, zone, depth] for (kind, zone), depth in self._pools.items()],
        }
        # Functions inherit this environment: it must not lead them to the checkout's packages, nor to a real account.
        environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.folder), "TMPDIR": str(self.folder / "tmp"), "LANG": "C.UTF-8"}
        environment |= {"PYTHONDONTWRITEBYTECODE": "1", "AWS_EC2_METADATA_DISABLED": "true"}
        return self._serve(ministack_python(), settings, background=background, environment=environment)

    def stop(self) -> None:
        """End it and everything it started; nothing of it runs on return. Logs stay in the folder."""
        super().stop()
        for stray in marked("SPOTBATCH_ROOT", str(self.folder / "machines")):
            send(stray, signal.SIGKILL)
        for root in (self.folder / "machines").glob("i-*/"):
            shutil.rmtree(root, ignore_errors=True)
