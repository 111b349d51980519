from collections.abc import Iterator

import pytest

from lab.kubernetes import LocalCluster
from lab.kubernetes.api import KubernetesApi


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """One control plane for all, which knows Karpenter's objects: each test makes what it needs and takes it away again."""
    with LocalCluster(tmp_path_factory.mktemp("cluster"), plays_karpenter=False) as running:
        running.define_karpenter()
        yield running


@pytest.fixture(scope="session")
def api(cluster: LocalCluster) -> KubernetesApi:
    return cluster.api
