"""Start and stop a local cloud."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import boto3

from lab.cloud.market_client import MarketClient
from lab.cloud.ministack_environment import ministack_python
from lab.machine.processes import end_tree, marked, send
from lab.machine.toolbox import make_toolbox
from lab.places import CHECKOUT, python

REGION = "us-east-1"
START_SECONDS = 60.0
STOP_SECONDS = 10.0


class LocalCloud:
    """AWS on 127.0.0.1: MiniStack, with a Spot market whose machines are processes of this host.

    As a context manager it lives as long as the block, and ends by itself if this process is killed. `start(background=True)` outlives
    this process; `LocalCloud.attach(folder)` finds it again, also to stop it.

    `folder` holds its data, logs and machines, and is emptied at the start. `port` 0 takes a free one. `auth` lets MiniStack enforce
    IAM: the keys in `environment` are the account's root, machines and functions have their roles'. `pools` sets how many machines
    each (type, zone) gives; others hold 20 to 59. `notice_seconds` is the two-minute notice that drills (FIS) give,
    `minute_seconds` how long a minute lasts for alarms that scale: rehearsals shorten both.
    Raises RuntimeError, with the log's end, if it does not start.
    """

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
        self.folder = folder.absolute()
        self._port = port
        self._auth = auth
        self._pools = pools or {}
        self._notice_seconds = notice_seconds
        self._minute_seconds = minute_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._address: dict[str, Any] = {}

    @classmethod
    def attach(cls, folder: Path) -> "LocalCloud | None":
        """The cloud that runs in a folder, or None."""
        cloud = cls(folder)
        with contextlib.suppress(OSError, ValueError):
            cloud._address = json.loads((cloud.folder / "cloud.json").read_text())
            if cloud._serves(cloud._address["pid"]):
                return cloud
        return None

    @property
    def endpoint(self) -> str:
        """http://127.0.0.1:PORT"""
        return self._address["endpoint"]

    @property
    def pid(self) -> int:
        return self._address["pid"]

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

    def start(self, *, background: bool = False) -> "LocalCloud":
        """Start, and return when it answers."""
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "tmp").mkdir(parents=True)
        (self.folder / "machines").mkdir()
        settings = {
            "folder": str(self.folder),
            "port": self._port,
            "auth": self._auth,
            "owner": None if background else os.getpid(),
            "python": str(python()),
            "toolbox": str(make_toolbox(self.folder / "toolbox", python())),
            "notice_seconds": self._notice_seconds,
            "minute_seconds": self._minute_seconds,
            "pools": [[kind, zone, depth] for (kind, zone), depth in self._pools.items()],
        }
        # Functions inherit this environment: it must not lead them to the checkout's packages, nor to a real account.
        environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.folder), "TMPDIR": str(self.folder / "tmp"), "LANG": "C.UTF-8"}
        environment |= {"PYTHONDONTWRITEBYTECODE": "1", "AWS_EC2_METADATA_DISABLED": "true"}
        with (self.folder / "cloud.log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(ministack_python()), "-m", "lab.cloud.server", json.dumps(settings)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=CHECKOUT,
                env=environment,
                start_new_session=True,
            )
        until = time.monotonic() + START_SECONDS
        address = self.folder / "cloud.json"
        while not address.exists():
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise RuntimeError(f"The local cloud did not start; {self.folder / 'cloud.log'} ends with\n{self.log()[-2000:]}")
            time.sleep(0.05)
        self._address = json.loads(address.read_text())
        return self

    def stop(self) -> None:
        """End it and everything it started; nothing of it runs on return. Logs stay in the folder."""
        pid = self._process.pid if self._process is not None else self._address.get("pid")
        if pid is not None and self._serves(pid):
            send(pid, signal.SIGTERM)
            until = time.monotonic() + STOP_SECONDS
            while self._serves(pid) and time.monotonic() < until:
                time.sleep(0.02)
            if self._serves(pid):
                end_tree(pid)
        if self._process is not None:
            self._process.wait()
        for stray in marked("SPOTBATCH_ROOT", str(self.folder / "machines")):
            send(stray, signal.SIGKILL)
        for root in (self.folder / "machines").glob("i-*/"):
            shutil.rmtree(root, ignore_errors=True)
        (self.folder / "cloud.json").unlink(missing_ok=True)

    def log(self) -> str:
        """What MiniStack and the market have written."""
        return (self.folder / "cloud.log").read_text(errors="replace")

    def _serves(self, pid: int) -> bool:
        """Whether that process still runs and is a server of this folder: a pid may have been given to somebody else."""
        if self._process is not None and self._process.poll() is not None:
            return False
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False
        return b"lab.cloud.server" in command and json.dumps(str(self.folder)).encode() in command

    def __enter__(self) -> "LocalCloud":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
