"""Stack `eks-local` by the real engine: real objects in a real API server, a second up without a change, and one destroy that leaves nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.cloud import LocalCloud
from lab.engine import Engine
from lab.engine.stack import Stack
from lab.kubernetes import LocalCluster
from lab.kubernetes.api import has_condition
from lab.places import CHECKOUT

NODE_CLASS, NODE_POOL, JOB = ("karpenter.k8s.aws/v1", "EC2NodeClass"), ("karpenter.sh/v1", "NodePool"), ("batch/v1", "Job")
DEFINITION, DEPLOYMENT, NAMESPACE = ("apiextensions.k8s.io/v1", "CustomResourceDefinition"), ("apps/v1", "Deployment"), ("v1", "Namespace")


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    with LocalCluster(tmp_path / "cluster") as running:
        yield running


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path / "cloud") as running:
        yield running


@pytest.fixture
def stack(own_cluster: LocalCluster, cloud: LocalCloud, tmp_path: Path) -> Stack:
    return Engine(CHECKOUT, tmp_path / "engine", {**cloud.environment, **own_cluster.environment}).stack("eks-local")


def test_it_is_made_stays_as_it_is_and_goes_in_one_command(stack: Stack, own_cluster: LocalCluster, cloud: LocalCloud) -> None:
    api = own_cluster.api
    accounts = len(api.entries("v1", "ServiceAccount", "kube-system"))
    up = stack.up()
    assert up.ok, up.text
    outputs = stack.outputs()

    pool = api.read(*NODE_POOL, outputs["pool_name"])
    assert has_condition(pool, "Ready")
    job = api.read(*JOB, outputs["job_name"], outputs["namespace"])
    assert job and job["spec"]["completionMode"] == "Indexed"
    controller = api.read(*DEPLOYMENT, "karpenter", "kube-system")
    assert controller
    settings = {entry["name"]: entry.get("value") for entry in controller["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert settings["INTERRUPTION_QUEUE"] == outputs["interruption_queue"]
    assert cloud.client("sqs").get_queue_url(QueueName=outputs["interruption_queue"])["QueueUrl"]
    associations = cloud.client("eks").list_pod_identity_associations(clusterName=outputs["cluster_name"])["associations"]
    assert {entry["serviceAccount"] for entry in associations} >= {"karpenter"}
    # The Job controller of the control plane has made the first pods, which no machine runs.
    pods = api.entries("v1", "Pod", outputs["namespace"])
    assert len(pods) == job["spec"]["parallelism"]

    again = stack.up("--expect-no-changes")
    assert again.ok, again.text
    still = stack.refresh("--expect-no-changes")
    assert still.ok, still.text

    # What somebody changes by hand is seen by refresh, and mended by up.
    assert pool
    api.merge(pool, {"spec": {"limits": {"cpu": "5000"}}})
    assert not stack.refresh("--expect-no-changes").ok
    assert stack.refresh().ok
    mended = stack.up()
    assert mended.ok, mended.text
    assert (api.read(*NODE_POOL, outputs["pool_name"]) or {})["spec"]["limits"] == pool["spec"]["limits"]

    gone = stack.destroy()
    assert gone.ok, gone.text
    assert not [entry for kind in (JOB, DEPLOYMENT) for entry in api.entries(*kind)]
    assert outputs["namespace"] not in {entry["metadata"]["name"] for entry in api.entries(*NAMESPACE)}
    assert not [entry for entry in api.entries(*DEFINITION) if "karpenter" in entry["metadata"]["name"]]
    assert len(api.entries("v1", "ServiceAccount", "kube-system")) == accounts
    assert cloud.client("eks").list_clusters()["clusters"] == []
    assert not cloud.client("sqs").list_queues().get("QueueUrls")
