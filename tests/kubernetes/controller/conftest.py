"""The stack `eks-local`, deployed to an AWS that the real Karpenter controller works with. Runs in a network of its own only."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.engine import Engine
from lab.karpenter.controller import KarpenterController
from lab.karpenter.kubelet import CLAIM, NODE, POD, PlayedKubelet, RunningPod
from lab.karpenter.rehearsal_cloud import RehearsalCloud
from lab.kubernetes import LocalCluster
from lab.kubernetes.api import KubernetesApi, Manifest
from lab.places import CHECKOUT

IN_OWN_NETWORK = "SPOTBATCH_TEST_NETWORK"
ETL = CHECKOUT / "examples" / "etl"

if os.environ.get(IN_OWN_NETWORK) != "own":
    collect_ignore_glob = ["test_*.py"]


@dataclass
class Rehearsal:
    """Everything that runs, and what the stack says of itself."""

    folder: Path
    cluster: LocalCluster
    cloud: RehearsalCloud
    controller: KarpenterController
    kubelet: PlayedKubelet
    outputs: dict[str, Any]

    @property
    def api(self) -> KubernetesApi:
        return self.cluster.api

    def spotbatch(self, *arguments: str) -> str:
        command = [str(Path(sys.executable).with_name("spotbatch")), *arguments]
        environment = {**os.environ, **self.cloud.environment, "SPOTBATCH_QUEUE": self.outputs["queue_url"]}
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, env=environment, cwd=ETL).stdout

    def claims(self) -> list[Manifest]:
        return [claim for claim in self.api.entries(*CLAIM) if not claim["metadata"].get("deletionTimestamp")]

    def claim_of(self, pod: str) -> Manifest:
        node = self.api.read(*NODE, self.node_of(pod))
        assert node
        return next(claim for claim in self.api.entries(*CLAIM) if claim["status"].get("providerID") == node["spec"]["providerID"])

    def node_of(self, pod: str) -> str:
        return self.kubelet.pods[pod].manifest["spec"]["nodeName"]

    def running(self) -> dict[str, RunningPod]:
        return {name: pod for name, pod in self.kubelet.pods.items() if pod.process.poll() is None}

    def taints(self, node: str) -> set[str]:
        found = self.api.read(*NODE, node)
        return {taint["key"] for taint in (found or {}).get("spec", {}).get("taints") or []}

    def publish(self, instance: str, source: str = "aws.ec2") -> None:
        """A Spot interruption warning, as AWS publishes it."""
        entry = {
            "Source": source,
            "DetailType": "EC2 Spot Instance Interruption Warning",
            "Detail": json.dumps({"instance-id": instance, "instance-action": "terminate"}),
        }
        assert self.cloud.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0

    def waiting_messages(self) -> int:
        sqs = self.cloud.client("sqs")
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        url = sqs.get_queue_url(QueueName=self.outputs["interruption_queue"])["QueueUrl"]
        return sum(int(value) for value in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values())

    def pods(self) -> list[Manifest]:
        return self.api.entries(*POD, self.outputs["namespace"])


@pytest.fixture(scope="session")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """Deploy everything once."""
    folder = tmp_path_factory.mktemp("rehearsal")
    (folder / "pods").mkdir()
    with (
        LocalCluster(folder / "cluster", plays_karpenter=False) as cluster,
        RehearsalCloud(folder) as cloud,
        KarpenterController(folder, cluster, cloud.environment) as controller,
    ):
        stack = Engine(CHECKOUT, folder / "engine", {**cloud.environment, **cluster.environment}).stack("eks-local")
        up = stack.up()
        assert up.ok, up.text + controller.log.read_text()[-4000:]
        outputs = stack.outputs()
        more = {**cloud.environment, "PYTHONPATH": str(CHECKOUT)}
        with PlayedKubelet(folder / "pods", cluster.api, ETL, more) as kubelet:
            yield Rehearsal(folder, cluster, cloud, controller, kubelet, outputs)
