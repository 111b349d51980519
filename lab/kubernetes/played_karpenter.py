"""What the lab's cluster does in Karpenter's place while the real controller does not run: it has no machines that could run it."""

from datetime import UTC, datetime
from typing import Any

from lab.kubernetes.api import KubernetesApi, Manifest, has_condition

NODE_CLASS = ("karpenter.k8s.aws/v1", "EC2NodeClass")
NODE_POOL = ("karpenter.sh/v1", "NodePool")
NODE_CLASS_FINALIZER = "karpenter.k8s.aws/termination"
_REASON = "PlayedByTheLab"


class PlayedKarpenter:
    """Makes pools and node classes ready, and lets node classes go, as long as a Deployment of Karpenter is installed.

    A program that makes a pool before the controller, or removes the controller before the class, waits here for ever as it would in EKS.
    It launches no machine, and judges nothing that the API server does not.
    """

    def __init__(self, api: KubernetesApi) -> None:
        self._api = api

    def look(self) -> None:
        """Do what there is to do now. Raises `Refused` where the cluster does not know Karpenter's objects yet."""
        classes = self._api.entries(*NODE_CLASS)
        if not self._api.entries("apps/v1", "Deployment", labels="app.kubernetes.io/name=karpenter"):
            return
        for node_class in classes:
            finalizers = node_class["metadata"].get("finalizers") or []
            if node_class["metadata"].get("deletionTimestamp"):
                self._finalize(node_class, [entry for entry in finalizers if entry != NODE_CLASS_FINALIZER])
            elif NODE_CLASS_FINALIZER not in finalizers:
                self._finalize(node_class, [*finalizers, NODE_CLASS_FINALIZER])
            elif not has_condition(node_class, "Ready"):
                self._make_ready(node_class)
        ready = {entry["metadata"]["name"] for entry in classes if has_condition(entry, "Ready")}
        for pool in self._api.entries(*NODE_POOL):
            if pool["spec"]["template"]["spec"]["nodeClassRef"]["name"] in ready and not has_condition(pool, "Ready"):
                self._make_ready(pool)

    def _finalize(self, manifest: Manifest, finalizers: list[str]) -> None:
        self._api.merge(manifest, {"metadata": {"finalizers": finalizers}})

    def _make_ready(self, manifest: Manifest) -> None:
        condition: dict[str, Any] = {"type": "Ready", "status": "True", "reason": _REASON, "message": "no controller has looked at it"}
        condition |= {"lastTransitionTime": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "observedGeneration": manifest["metadata"]["generation"]}
        self._api.merge(manifest, {"status": {"conditions": [condition]}}, part="status")
