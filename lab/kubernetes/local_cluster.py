"""Start and stop a local Kubernetes cluster."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from functools import cached_property
from pathlib import Path
from typing import Any

from lab.kubernetes.api import KubernetesApi, has_condition, wait_until
from lab.kubernetes.karpenter import definitions
from lab.kubernetes.programs import CONTROL_PLANE, get_program
from lab.kubernetes.server import START_SECONDS
from lab.machine.processes import end_tree, send
from lab.places import CHECKOUT, python

STOP_SECONDS = 10.0


class LocalCluster:
    """The real Kubernetes control plane on 127.0.0.1, without machines: etcd, API server, controller manager and scheduler.

    As a context manager it lives as long as the block, and ends by itself if this process is killed. `start(background=True)` outlives
    this process; `LocalCluster.attach(folder)` finds it again, also to stop it.

    `folder` holds its data, keys and logs, and is emptied at the start. `plays_karpenter` makes pools ready in the controller's place (see
    `PlayedKarpenter`); it is off where the real one runs. Programs that are missing are built first, which takes minutes once.
    Raises `ToolError` where they cannot be built, RuntimeError with the log's end if one does not start.
    """

    def __init__(self, folder: Path, *, plays_karpenter: bool = True) -> None:
        self.folder = folder.absolute()
        self._plays_karpenter = plays_karpenter
        self._process: subprocess.Popen[bytes] | None = None
        self._address: dict[str, Any] = {}

    @classmethod
    def attach(cls, folder: Path) -> "LocalCluster | None":
        """The cluster that runs in a folder, or None."""
        cluster = cls(folder)
        with contextlib.suppress(OSError, ValueError):
            cluster._address = json.loads((cluster.folder / "cluster.json").read_text())
            if cluster._serves(cluster._address["pid"]):
                return cluster
        return None

    @property
    def server(self) -> str:
        """https://127.0.0.1:PORT"""
        return self._address["server"]

    @property
    def kubeconfig(self) -> Path:
        """A file for kubectl and every other client, with the rights of an administrator. Readable by its owner alone."""
        return self.folder / "kubeconfig"

    @property
    def environment(self) -> dict[str, str]:
        """What a Kubernetes client needs to talk to this cluster and to nothing else."""
        return {"KUBECONFIG": str(self.kubeconfig)}

    @cached_property
    def api(self) -> KubernetesApi:
        return KubernetesApi(self.kubeconfig.read_text())

    def define_karpenter(self) -> None:
        """Teach the API server Karpenter's objects, as the chart `karpenter-crd` does; returns when it takes them."""
        for definition in definitions():
            self.api.apply(definition)
        for definition in definitions():
            name = definition["metadata"]["name"]
            wait_until(lambda name=name: has_condition(self._definition(name), "Established"), f"definition of {name}", 30)

    def start(self, *, background: bool = False) -> "LocalCluster":
        """Start, and return when it takes objects."""
        programs = {name: str(get_program(name)) for name in CONTROL_PLANE}
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        settings = {"folder": str(self.folder), "programs": programs, "owner": None if background else os.getpid()}
        settings["plays_karpenter"] = self._plays_karpenter
        with (self.folder / "cluster.log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(python()), "-m", "lab.kubernetes.server", json.dumps(settings)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=CHECKOUT,
                start_new_session=True,
            )
        until = time.monotonic() + START_SECONDS * len(CONTROL_PLANE)
        address = self.folder / "cluster.json"
        while not address.exists():
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop()
                log_text = (self.folder / "cluster.log").read_text(errors="replace")
                raise RuntimeError(f"The local cluster did not start; {self.folder / 'cluster.log'} ends with\n{log_text[-2500:]}")
            time.sleep(0.05)
        self._address = json.loads(address.read_text())
        return self

    def stop(self) -> None:
        """End it; nothing of it runs on return. Logs stay in the folder."""
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
        (self.folder / "cluster.json").unlink(missing_ok=True)

    def _definition(self, name: str) -> dict[str, Any] | None:
        return self.api.read("apiextensions.k8s.io/v1", "CustomResourceDefinition", name)

    def _serves(self, pid: int) -> bool:
        """Whether that process still runs and is a server of this folder: a pid may have been given to somebody else."""
        if self._process is not None and self._process.poll() is not None:
            return False
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False
        return b"lab.kubernetes.server" in command and json.dumps(str(self.folder)).encode() in command

    def __enter__(self) -> "LocalCluster":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
