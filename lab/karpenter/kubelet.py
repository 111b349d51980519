"""Machines that are played: each launched claim becomes a node, and each pod that is bound to it a process of this host."""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from urllib3.exceptions import HTTPError

from lab.kubernetes.api import KubernetesApi, Manifest, has_condition
from lab.kubernetes.refused import Refused
from lab.places import python

CLAIM, NODE, POD = ("karpenter.sh/v1", "NodeClaim"), ("v1", "Node"), ("v1", "Pod")
_UNREGISTERED = {"key": "karpenter.sh/unregistered", "effect": "NoExecute"}
_LOOK_SECONDS = 0.1


@dataclass
class RunningPod:
    """A container that runs as a process in a folder of its own."""

    manifest: Manifest
    process: subprocess.Popen[bytes]
    folder: Path
    killed_at: float | None = field(default=None)


class PlayedKubelet:
    """Registers a node for each claim that Karpenter has launched, and runs the pods that the scheduler binds there.

    As a context manager. A pod's command runs in a copy of `code`, with the environment that its manifest gives it and `more`; it gets
    SIGTERM when it is deleted and SIGKILL at the end of its grace. Images, volumes, limits and security contexts are not heeded.
    """

    def __init__(self, folder: Path, api: KubernetesApi, code: Path, more: Mapping[str, str]) -> None:
        self.folder = folder
        self.pods: dict[str, RunningPod] = {}
        """Every pod that ever ran here, by its name."""
        self._api = api
        self._code = code
        self._more = more
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> "PlayedKubelet":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for pod in self.pods.values():
            pod.process.kill()
            pod.process.wait()

    def _work(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            # What changes or goes while we look is there at the next look.
            for step in (self._register, self._run_pods):
                try:
                    step()
                except (Refused, HTTPError, KeyError):
                    continue

    def _register(self) -> None:
        there = {node["spec"].get("providerID") for node in self._api.entries(*NODE)}
        for claim in self._api.entries(*CLAIM):
            identity = claim.get("status", {}).get("providerID")
            if has_condition(claim, "Launched") and identity not in there and not claim["metadata"].get("deletionTimestamp"):
                self._join(claim, identity)

    def _join(self, claim: Manifest, identity: str) -> None:
        name = f"node-{claim['metadata']['name']}"
        given = claim["metadata"]["labels"]
        labels = {key: given[key] for key in ("node.kubernetes.io/instance-type", "topology.kubernetes.io/zone")}
        labels |= {"kubernetes.io/hostname": name, "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux"}
        node: Manifest = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}
        self._api.create({**node, "spec": {"providerID": identity, "taints": [_UNREGISTERED]}})
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": _now(), "lastTransitionTime": _now()}
        sizes = {key: claim["status"][key] for key in ("capacity", "allocatable")}
        self._api.merge(node, {"status": {**sizes, "conditions": [ready]}}, part="status")

    def _run_pods(self) -> None:
        for manifest in self._api.entries(*POD):
            name = manifest["metadata"]["name"]
            if not manifest["spec"].get("nodeName"):
                continue
            if name not in self.pods:
                if not manifest["metadata"].get("deletionTimestamp"):
                    self._start(manifest)
                continue
            self._look_after(self.pods[name], manifest)

    def _start(self, manifest: Manifest) -> None:
        metadata, container = manifest["metadata"], manifest["spec"]["containers"][0]
        folder = self.folder / metadata["name"]
        shutil.copytree(self._code, folder)
        program, *arguments = container["command"]
        command = [str(python()) if program == "python" else program, *arguments]
        environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), **self._more, **_environment(manifest)}
        with (folder / "pod.log").open("wb") as log:
            process = subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.pods[metadata["name"]] = RunningPod(manifest, process, folder)
        self._report(manifest, "Running", {"running": {"startedAt": _now()}})

    def _look_after(self, pod: RunningPod, manifest: Manifest) -> None:
        status = pod.process.poll()
        if status is None and manifest["metadata"].get("deletionTimestamp"):
            if pod.killed_at is None:
                os.killpg(pod.process.pid, signal.SIGTERM)
                pod.killed_at = time.monotonic() + float(manifest["metadata"].get("deletionGracePeriodSeconds") or 0)
            elif time.monotonic() > pod.killed_at:
                os.killpg(pod.process.pid, signal.SIGKILL)
        if status is None:
            return
        if manifest["status"].get("phase") not in ("Succeeded", "Failed"):
            code = status if status >= 0 else 128 - status
            ended = {"terminated": {"exitCode": code, "startedAt": _now(), "finishedAt": _now(), "reason": "Completed" if code == 0 else "Error"}}
            self._report(manifest, "Failed" if code else "Succeeded", ended)
        elif manifest["metadata"].get("deletionTimestamp"):
            self._api.delete(manifest, propagation="Background", grace_seconds=0)

    def _report(self, manifest: Manifest, phase: str, state: Mapping[str, Any]) -> None:
        container = manifest["spec"]["containers"][0]
        runs = phase == "Running"
        shown = {"name": container["name"], "image": container["image"], "imageID": "", "ready": runs, "restartCount": 0, "state": dict(state)}
        self._api.merge(manifest, {"status": {"phase": phase, "startTime": _now(), "containerStatuses": [shown]}}, part="status")


def _environment(manifest: Manifest) -> dict[str, str]:
    """Variables as the manifest gives them, references to the pod's own fields followed."""
    metadata = manifest["metadata"]
    fields = {f"metadata.annotations['{key}']": value for key, value in (metadata.get("annotations") or {}).items()}
    fields |= {f"metadata.labels['{key}']": value for key, value in (metadata.get("labels") or {}).items()}
    fields |= {f"metadata.{key}": metadata[key] for key in ("name", "namespace", "uid")}
    entries = manifest["spec"]["containers"][0].get("env") or []
    return {entry["name"]: entry["value"] if "value" in entry else fields[entry["valueFrom"]["fieldRef"]["fieldPath"]] for entry in entries}


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
