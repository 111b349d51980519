"""What is wrong with the values of `spotbatch:eks`, found before anything is declared."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pulumi_spotbatch.aws import network
from pulumi_spotbatch.eks import KarpenterAccess, Placement, job, karpenter, node_pool

from .eks import JOB, POOL
from .section_faults import QUEUE, SUBNETS, missing, refused
from .settings import EksSettings

NEEDED_BY = {
    "network": ("cluster", "karpenter", "pool"),
    "queue": ("job",),
    "cluster": ("karpenter", "pool", "job"),
    "karpenter": ("cluster", "pool", "job"),
    "pool": ("job",),
}
"""Sections without which others cannot be."""

# They stand where another component's outputs will stand.
_ARN = "arn:aws:eks:us-east-1:123456789012:cluster/cluster"
_KARPENTER = KarpenterAccess(cluster_name="cluster", node_role_name="role", interruption_queue="queue")
_PLACEMENT = Placement(cluster_name="cluster", pool_names=[POOL], taint_key="batch", grace_seconds=120)


def faults(settings: EksSettings, present: frozenset[str]) -> Iterator[str]:
    """`path: text` for each fault; `present` has the sections that the file has, faulty ones too."""
    yield from missing(NEEDED_BY, present)
    cluster = settings.cluster
    if cluster and cluster.arn is not None and not re.fullmatch(r"arn:[\w-]+:eks:[\w-]+:\d{12}:cluster/[\w-]+", cluster.arn):
        yield f"cluster.arn: {cluster.arn!r} is not allowed; allowed: an EKS cluster's ARN, arn:aws:eks:REGION:ACCOUNT:cluster/NAME"
    if cluster and cluster.arn is not None and cluster.version is not None:
        yield f"cluster.version: {cluster.version!r} is not allowed; allowed: left out where cluster.arn names a cluster that exists"
    if cluster and cluster.version is not None and not re.fullmatch(r"1\.3[0-6]", cluster.version):
        yield f"cluster.version: {cluster.version!r} is not allowed; allowed: 1.30 to 1.36, as a string"
    if cluster and cluster.arn is not None and settings.network and settings.network.subnet_ids is None:
        yield "network.subnet_ids: missing; allowed: subnets of the cluster that cluster.arn names"
    yield from refused(_checks(settings))


def _checks(settings: EksSettings) -> Mapping[str, Callable[[], object]]:
    """Each section's arguments before the rules of its component."""
    tags = settings.tags or {}
    checks: dict[str, Callable[[], object]] = {}

    def add(section: str, name: str, check: Callable[[str, Any], object], args: Any) -> None:
        checks[section] = lambda: check(name, args)

    subnet_ids = SUBNETS
    if settings.network and settings.network.subnet_ids is not None:
        subnet_ids = settings.network.subnet_ids
    elif settings.network:
        add("network", "network", network.checked, settings.network.args(tags=tags))
    if settings.karpenter:
        place = {} if settings.karpenter.controller_nodes is not None else {"subnet_ids": subnet_ids}
        add("karpenter", "karpenter", karpenter.checked, settings.karpenter.args(cluster_arn=_ARN, tags=tags, **place))
    if settings.pool:
        add("pool", POOL, node_pool.checked, settings.pool.args(karpenter=_KARPENTER, subnet_ids=subnet_ids, tags=tags))
    if settings.job:
        add("job", JOB, job.checked, settings.job.args(queue=QUEUE, pool=_PLACEMENT, tags=tags))
    return checks
