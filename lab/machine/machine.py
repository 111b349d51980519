"""A machine from power-on to power-off."""

import asyncio
import base64
import binascii
import contextlib
import gzip
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from lab.machine.metadata_service import Local, MetadataService
from lab.machine.processes import adopt_orphans, end_below, ended, send, zombie_children
from lab.machine.systemd import Systemd

_FOLDERS = ("etc/systemd/system", "opt", "root", "run", "tmp", "usr/bin", "usr/local/bin", "var/lib/cloud/instance", "var/log")


class Machine:
    """Boots user data as cloud-init does, runs what it starts, and goes when told, when it powers itself off, or when its cloud has died.

    Everything below this process is the machine: it adopts what double forks leave behind, and ends it all with itself.
    Does not prove: kernels, users, disks that fill, memory limits, clocks that disagree, networks that part.
    """

    def __init__(self, order: dict[str, Any], orders: asyncio.StreamReader, listener: socket.socket) -> None:
        self.root = Path(order["root"])
        self._user_data = order["user_data"]
        self._boot_id = order["boot"]
        port = listener.getsockname()[1]
        self._environment = {
            "PATH": f"{self.root}/usr/local/bin:{self.root}/usr/bin:{order['toolbox']}",
            "HOME": str(self.root / "root"),
            "TMPDIR": str(self.root / "tmp"),
            "LANG": "C.UTF-8",
            "SPOTBATCH_ROOT": str(self.root),
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{port}",
            "AWS_ENDPOINT_URL": order["endpoint"],
            # Nothing but loopback can be reached by programs that honour proxies: port 9 discards.
            "http_proxy": "http://127.0.0.1:9",
            "https_proxy": "http://127.0.0.1:9",
            "no_proxy": "127.0.0.1,localhost",
        }
        self._orders = orders
        self._listener = listener
        self._started = time.monotonic()
        self._off = asyncio.Event()
        self._shutdown: asyncio.TimerHandle | None = None
        self._booting: set[int] = set()
        self._systemd = Systemd(self.root, self._environment, self.log, self._off.set)
        local: dict[str, Local] = {"/_machine/systemctl": self._systemctl, "/_machine/poweroff": self._poweroff}
        self._metadata = MetadataService(order["metadata"], tokens_required=order["tokens_required"], local=local)

    def log(self, text: str) -> None:
        """A line in the console log, with the seconds since power-on."""
        print(f"[{time.monotonic() - self._started:9.3f}] {text}", flush=True)

    async def run(self) -> None:
        """Live until power-off; nothing of the machine is left when this returns."""
        adopt_orphans()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        loop.add_signal_handler(signal.SIGTERM, self._off.set)
        for folder in _FOLDERS:
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        boot_id = self.root / "proc/sys/kernel/random/boot_id"
        boot_id.parent.mkdir(parents=True, exist_ok=True)
        boot_id.write_text(self._boot_id + "\n")
        server = await self._metadata.serve(self._listener)
        cloud = asyncio.create_task(self._obey())
        boot = asyncio.create_task(self._boot())
        await self._off.wait()
        self.log("systemd: Powering off")
        cloud.cancel()
        boot.cancel()
        await self._systemd.stop_all()
        server.close()
        end_below(os.getpid())
        self.log("Power down")

    async def _boot(self) -> None:
        script = self._script()
        if script is None:
            return
        self.log("cloud-init: running user data")
        try:
            process = subprocess.Popen([str(script)], env=self._environment, cwd=self.root, stdin=subprocess.DEVNULL, start_new_session=True)
        except OSError as fault:
            self.log(f"cloud-init: Failed running user-data: {fault}")
            return
        self._booting.add(process.pid)
        try:
            status = await ended(process)
        except asyncio.CancelledError:
            send(process.pid, signal.SIGTERM)
            raise
        self.log("cloud-init: finished" if status == 0 else f"cloud-init: Failed running user-data [{status}]")

    def _script(self) -> Path | None:
        try:
            content = base64.b64decode(self._user_data, validate=True)
        except (binascii.Error, ValueError):
            self.log("cloud-init: user data is not base64; ignored")
            return None
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        if not content.startswith(b"#!"):
            if content:
                self.log(f"cloud-init: the lab runs scripts only, and user data starts with {content[:20]!r}, not #!; ignored")
            return None
        script = self.root / "var/lib/cloud/instance/user-data.txt"
        script.write_bytes(content)
        script.chmod(0o700)
        return script

    async def _obey(self) -> None:
        """Act on the cloud's lines: `{"metadata": {...}}` changes texts, `{"power": "off"}` shuts down. End of file: the cloud has died."""
        while line := await self._orders.readline():
            command = json.loads(line)
            self._metadata.change(command.get("metadata", {}))
            if command.get("power") == "off":
                self._off.set()
        self.log("The cloud has gone: power cut")
        end_below(os.getpid())
        os._exit(1)

    async def _systemctl(self, body: bytes) -> bytes:
        code, text = await self._systemd.command(json.loads(body))
        return json.dumps({"code": code, "text": text}).encode()

    async def _poweroff(self, body: bytes) -> bytes:
        when = json.loads(body)["seconds"]
        if self._shutdown is not None:
            self._shutdown.cancel()
            self._shutdown = None
        if when is not None:
            self.log(f"systemd: Power-off in {when:g} s")
            self._shutdown = asyncio.get_running_loop().call_later(when, self._off.set)
        return b"{}"

    def _reap(self) -> None:
        """Wait for adopted orphans; those who start a child here wait for it themselves."""
        own = self._systemd.main_pids() | self._booting
        for pid in zombie_children(os.getpid()):
            if pid not in own:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
