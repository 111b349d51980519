"""The real Karpenter controller, run as its Deployment says."""

import contextlib
import os
import subprocess
import threading
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client

from lab.kubernetes import LocalCluster
from lab.kubernetes.api import Manifest, wait_until
from lab.kubernetes.programs import KARPENTER, find_program
from lab.machine.processes import end_with_parent

NAMESPACE, NAME = "kube-system", "karpenter"
_TOKEN_SECONDS = 6 * 3600


class KarpenterController:
    """Starts the controller once its Deployment is there, with the settings that the Deployment gives it and the rights of its service account.

    As a context manager: it ends with the block. What differs from a container: leader election is off, AWS is the rehearsal's, and the
    address of the API server is told instead of found. `settings` overrides single variables, to rehearse what is set wrong.
    """

    def __init__(self, folder: Path, cluster: LocalCluster, aws: Mapping[str, str], settings: Mapping[str, str] | None = None) -> None:
        self.log = folder / f"karpenter-{len(list(folder.glob('karpenter-*.log')))}.log"
        self._folder = folder
        self._cluster = cluster
        self._aws = aws
        self._settings = settings or {}
        self._process: subprocess.Popen[bytes] | None = None
        self._stop = threading.Event()
        self._starter = threading.Thread(target=self._start, daemon=True)
        self._port = ""

    def __enter__(self) -> "KarpenterController":
        self._starter.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._starter.join()
        if self._process:
            self._process.kill()
            self._process.wait()

    def wait_until_ready(self) -> None:
        """Return when it says that it is ready. Raises TimeoutError with the end of its log."""
        try:
            wait_until(self.is_ready, "Karpenter's /readyz", 60)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; its log ends with\n{self.log.read_text(errors='replace')[-3000:] if self.log.exists() else ''}") from error

    def is_ready(self) -> bool:
        """Whether `/readyz` answers 200."""
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self._port or 1}/readyz", timeout=2) as answer:
            return answer.status == 200
        return False

    def _start(self) -> None:
        api = self._cluster.api
        deployment = None
        while not self._stop.is_set() and not (deployment := api.read("apps/v1", "Deployment", NAME, NAMESPACE)):
            self._stop.wait(0.2)
        if not deployment:
            return
        settings = {**_container_settings(deployment), **self._settings}
        self._port = settings["HEALTH_PROBE_PORT"]
        kubeconfig = self._folder / "karpenter-kubeconfig"
        kubeconfig.touch(mode=0o600)
        kubeconfig.write_text(self._kubeconfig(deployment["spec"]["template"]["spec"]["serviceAccountName"]))
        environment = {"PATH": os.defpath, "HOME": str(self._folder), **self._aws, **settings}
        environment |= {"KUBECONFIG": str(kubeconfig), "DISABLE_LEADER_ELECTION": "true"}
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [find_program(KARPENTER)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, preexec_fn=end_with_parent
            )
        # It would end with this thread, which started it.
        self._stop.wait()

    def _kubeconfig(self, account: str) -> str:
        core = client.CoreV1Api(self._cluster.api.client)
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": [], "expirationSeconds": _TOKEN_SECONDS}}
        made: Any = core.create_namespaced_service_account_token(account, NAMESPACE, request)
        settings = yaml.safe_load(self._cluster.kubeconfig.read_text())
        settings["users"] = [{"name": entry["name"], "user": {"token": made.status.token}} for entry in settings["users"]]
        return yaml.safe_dump(settings)


def _container_settings(deployment: Manifest) -> dict[str, str]:
    """The container's environment; of references to fields only the namespace is followed, quotas of the container have no equal here."""
    entries = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    settings = {entry["name"]: entry["value"] for entry in entries if "value" in entry}
    fields = {entry["name"]: entry["valueFrom"].get("fieldRef", {}).get("fieldPath") for entry in entries if "valueFrom" in entry}
    return {**settings, **{name: NAMESPACE for name, path in fields.items() if path == "metadata.namespace"}}
