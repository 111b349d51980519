"""Start and stop a local Kubernetes cluster."""

import shutil
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from lab.kubernetes.api import KubernetesApi, has_condition, wait_until
from lab.kubernetes.karpenter import definitions
from lab.kubernetes.programs import CONTROL_PLANE, get_program
from lab.kubernetes.server import START_SECONDS
from lab.places import python
from lab.served_folder import ServedFolder


class LocalCluster(ServedFolder):
    """The real Kubernetes control plane on 127.0.0.1, without machines: etcd, API server, controller manager and scheduler.

    As a context manager it lives as long as the block, and ends by itself if this process is killed. `start(background=True)` outlives
    this process; `LocalCluster.attach(folder)` finds it again, also to stop it.

    `folder` holds its data, keys and logs, and is emptied at the start. `plays_karpenter` makes pools ready in the controller's place (see
    `PlayedKarpenter`); it is off where the real one runs. Programs that are missing are built first, which takes minutes once.
    Raises `ToolError` where they cannot be built, RuntimeError with the log's end if one does not start.
    """

    name = "cluster"
    module = "lab.kubernetes.server"
    start_seconds = START_SECONDS * len(CONTROL_PLANE)

    def __init__(self, folder: Path, *, plays_karpenter: bool = True) -> None:
        super().__init__(folder)
        self._plays_karpenter = plays_karpenter

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

    def start(self, *, background: bool = False) -> Self:
        """Start, and return when it takes objects."""
        programs = {name: str(get_program(name)) for name in CONTROL_PLANE}
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        settings = {"programs": programs, "plays_karpenter": self._plays_karpenter}
        return self._serve(python(), settings, background=background)

    def _definition(self, name: str) -> dict[str, Any] | None:
        return self.api.read("apiextensions.k8s.io/v1", "CustomResourceDefinition", name)
