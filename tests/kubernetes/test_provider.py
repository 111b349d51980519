"""The stand-in for Pulumi's Kubernetes provider, by the real engine against the real API server."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.engine import Engine
from lab.engine.stack import Stack
from lab.kubernetes import LocalCluster
from lab.kubernetes.api import KubernetesApi
from lab.places import CHECKOUT

NODE_POOL = ("karpenter.sh/v1", "NodePool")
POOL = """
import pulumi
import pulumi_kubernetes as kubernetes

reference = {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "some"}
def pool(values, annotations=None, **options):
    requirements = [{"key": "karpenter.sh/capacity-type", "operator": "In", "values": values}]
    spec = {"template": {"spec": {"nodeClassRef": reference, "requirements": requirements}}}
    metadata = {"name": "some", "annotations": annotations or {}}
    return kubernetes.apiextensions.CustomResource(
        "pool", "karpenter.sh/v1", "NodePool", spec, metadata, pulumi.ResourceOptions(**options)
    )
"""
JOB = """
import pulumi_kubernetes as kubernetes

container = {"name": "main", "image": IMAGE}
kubernetes.batch.v1.Job(
    "job",
    metadata={"name": "some", "annotations": {"pulumi.com/skipAwait": "true"}},
    spec={"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
)
"""


@pytest.fixture
def small(tmp_path: Path, cluster: LocalCluster) -> Callable[[str], Stack]:
    def make(program: str) -> Stack:
        project = tmp_path / "project"
        project.mkdir(exist_ok=True)
        options = f"{{toolchain: pip, virtualenv: {CHECKOUT / '.venv'}}}"
        (project / "Pulumi.yaml").write_text(f"name: small\nruntime: {{name: python, options: {options}}}\nstackConfigDir: .\n")
        (project / "Pulumi.local.yaml").write_text("config: {}\n")
        (project / "__main__.py").write_text(program)
        return Engine(project, tmp_path / "home", cluster.environment).stack("local")

    return make


def test_a_preview_refuses_in_the_api_servers_own_words_and_makes_nothing(small: Callable[[str], Stack], api: KubernetesApi) -> None:
    refused = small(POOL + "pool([])").preview()
    assert not refused.ok
    assert "requirements with operator 'In' must have a value defined" in refused.text
    assert small(POOL + 'pool(["spot"])').preview().ok
    assert api.read(*NODE_POOL, "some") is None


def test_what_never_gets_ready_fails_with_its_conditions_and_stays_in_the_state(small: Callable[[str], Stack], api: KubernetesApi) -> None:
    waits = 'pool(["spot"], {"pulumi.com/waitFor": "condition=Ready"}, custom_timeouts=pulumi.CustomTimeouts(create="2s"))'
    up = small(POOL + waits).up()
    assert not up.ok
    assert "Ready=True: not after 2 s" in up.text
    assert api.read(*NODE_POOL, "some")
    assert small(POOL + waits).destroy().ok
    assert api.read(*NODE_POOL, "some") is None


def test_a_job_with_other_pods_is_another_job_and_its_pods_go_with_it(small: Callable[[str], Stack], api: KubernetesApi) -> None:
    assert small(JOB.replace("IMAGE", '"one"')).up().ok
    first = api.read("batch/v1", "Job", "some", "default")
    assert first
    replaced = small(JOB.replace("IMAGE", '"two"')).up()
    assert replaced.ok, replaced.text
    second = api.read("batch/v1", "Job", "some", "default")
    assert second and second["metadata"]["uid"] != first["metadata"]["uid"]
    assert small(JOB.replace("IMAGE", '"two"')).destroy().ok
    assert api.entries("v1", "Pod", "default") == []


def test_a_stopped_cluster_leaves_nothing_running(tmp_path: Path) -> None:
    with LocalCluster(tmp_path / "own", plays_karpenter=False) as own:
        mark = str(own.folder).encode()
        assert len(processes_of(mark)) >= 4
    until = time.monotonic() + 10
    while processes_of(mark) and time.monotonic() < until:
        time.sleep(0.05)
    assert processes_of(mark) == []


def processes_of(mark: bytes) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark in (entry / "cmdline").read_bytes():
                found.append(entry.name)
        except OSError:
            continue  # ended meanwhile
    return found
