"""The local cluster's process: starts the control plane, says when it answers, and ends all of it when it is told to or its owner is gone.

`python -m lab.kubernetes.server SETTINGS` where SETTINGS is a JSON object; see `main`. Only `LocalCluster` starts it.
"""

import base64
import contextlib
import json
import os
import secrets
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from urllib3.exceptions import HTTPError

from lab.kubernetes.api import KubernetesApi
from lab.kubernetes.played_karpenter import PlayedKarpenter
from lab.kubernetes.refused import Refused
from lab.loopback import free_ports, listens
from lab.machine.processes import end_with_parent

START_SECONDS = 90.0
OWNER_CHECK_SECONDS = 0.25
_NOWHERE = "192.0.2.1"
"""What the API server calls itself towards pods: it refuses a loopback address here, and nothing listens on this one (RFC 5737)."""
_CONTROLLERS = (
    "job-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "serviceaccount-controller",
    "root-ca-certificate-publisher-controller",
    "disruption-controller",
    "clusterrole-aggregation-controller",
    "node-lifecycle-controller",
    "pod-garbage-collector-controller",
)
"""Those that decide what becomes of a Job, of deleted objects, of namespaces, and of pods whose node is gone. Others have nothing to do here."""
_HEARTBEAT = "24h"
"""A played node reports once; without this it would count as lost after 50 s."""


class ControlPlane:
    """etcd, the API server, the controller manager and the scheduler, all on 127.0.0.1 and none of them reachable without the token."""

    def __init__(self, folder: Path, programs: dict[str, str]) -> None:
        self.folder = folder
        self._programs = programs
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._etcd, self._peer, self._api = free_ports(3)
        self._token = secrets.token_hex(16)

    @property
    def server(self) -> str:
        """https://127.0.0.1:PORT"""
        return f"https://127.0.0.1:{self._api}"

    def start(self) -> None:
        """Start all and return when the API server takes objects. Raises RuntimeError that says which program ended, or did not answer."""
        keys = self.folder / "keys"
        keys.mkdir(mode=0o700)
        (keys / "tokens.csv").write_text(f"{self._token},admin,admin,system:masters\n")
        client, peer = f"https://127.0.0.1:{self._etcd}", f"http://127.0.0.1:{self._peer}"
        self._run(
            "etcd",
            *("--data-dir", str(self.folder / "etcd"), "--listen-client-urls", client, "--advertise-client-urls", client),
            *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}"),
            *("--auto-tls", "--unsafe-no-fsync", "--log-level", "error"),
        )
        etcd_keys = self.folder / "etcd" / "fixtures" / "client"
        self._wait(lambda: (etcd_keys / "cert.pem").exists() and listens(self._etcd), "etcd")
        # The key that etcd made for itself also signs the tokens of service accounts: it is as good as any other.
        signing = str(etcd_keys / "key.pem")
        self._run(
            "kube-apiserver",
            *("--etcd-servers", client, "--etcd-cafile", str(etcd_keys / "cert.pem"), "--bind-address", "127.0.0.1"),
            *("--advertise-address", _NOWHERE, "--secure-port", str(self._api), "--cert-dir", str(keys / "server")),
            *("--service-account-issuer", "https://kubernetes.default.svc", "--service-account-signing-key-file", signing),
            *("--service-account-key-file", signing, "--service-cluster-ip-range", "10.96.0.0/24", "--authorization-mode", "RBAC"),
            *("--token-auth-file", str(keys / "tokens.csv"), "--profiling=false"),
        )
        certificate = keys / "server" / "apiserver.crt"
        self._wait(lambda: certificate.exists() and self._answers("/readyz", certificate), "kube-apiserver")
        kubeconfig = self.folder / "kubeconfig"
        _write_private(kubeconfig, json.dumps(self._kubeconfig(certificate.read_text()), indent=1))
        shared = ("--kubeconfig", str(kubeconfig), "--leader-elect=false", "--secure-port", "0", "--bind-address", "127.0.0.1", "--profiling=false")
        self._run(
            "kube-controller-manager",
            *shared,
            *("--controllers", ",".join(_CONTROLLERS), "--service-account-private-key-file", signing, "--root-ca-file", str(certificate)),
            *("--node-monitor-grace-period", _HEARTBEAT),
        )
        self._run("kube-scheduler", *shared)
        # The controllers work once a namespace has what they give it.
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        self._wait(lambda: self._answers(account, certificate), "kube-controller-manager")

    def fault(self) -> str:
        """Which program ended by itself and how, or nothing."""
        ended = [f"{name} ended with {process.returncode}" for name, process in self._running.items() if process.poll() is not None]
        return "; ".join(ended)

    def end(self) -> None:
        """End what runs: its data are thrown away, so nothing is waited for."""
        for process in reversed(self._running.values()):
            process.kill()
        for process in self._running.values():
            process.wait()

    def _run(self, name: str, *arguments: str) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            environment = {"PATH": os.defpath, "HOME": str(self.folder), "TMPDIR": str(self.folder)}
            self._running[name] = subprocess.Popen(
                [self._programs[name], *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, preexec_fn=end_with_parent
            )

    def _wait(self, ready: Any, name: str) -> None:
        until = time.monotonic() + START_SECONDS
        while not ready():
            if self.fault() or time.monotonic() > until:
                log = (self.folder / f"{name}.log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{self.fault() or f'{name} did not answer within {START_SECONDS:.0f} s'}; {name}.log ends with\n{log}")
            time.sleep(0.05)

    def _answers(self, path: str, certificate: Path) -> bool:
        request = urllib.request.Request(self.server + path, headers={"Authorization": f"Bearer {self._token}"})
        try:
            with urllib.request.urlopen(request, timeout=2, context=ssl.create_default_context(cafile=str(certificate))) as answer:
                return answer.status == 200
        except OSError:
            return False

    def _kubeconfig(self, certificate: str) -> dict[str, Any]:
        encoded = base64.b64encode(certificate.encode()).decode()
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "lab", "cluster": {"server": self.server, "certificate-authority-data": encoded}}],
            "users": [{"name": "admin", "user": {"token": self._token}}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "admin"}}],
            "current-context": "lab",
        }


def main(settings: dict[str, Any]) -> None:
    """`settings`: folder, programs (name to path), owner (pid, or null), plays_karpenter."""
    folder, owner = Path(settings["folder"]), settings["owner"]
    plane = ControlPlane(folder, settings["programs"])
    told: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: told.append(number))
    try:
        plane.start()
        address = {"pid": os.getpid(), "server": plane.server}
        (folder / "cluster.json.new").write_text(json.dumps(address))
        (folder / "cluster.json.new").replace(folder / "cluster.json")
        played = PlayedKarpenter(KubernetesApi((folder / "kubeconfig").read_text())) if settings["plays_karpenter"] else None
        while not told and not plane.fault() and (owner is None or os.getppid() == owner):
            if played:
                # Its objects are not known before their definitions are, and may change or go while it looks.
                with contextlib.suppress(Refused, HTTPError):
                    played.look()
            time.sleep(OWNER_CHECK_SECONDS)
        if plane.fault():
            sys.exit(plane.fault())
    finally:
        plane.end()
        with contextlib.suppress(OSError):
            (folder / "cluster.json").unlink()


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
