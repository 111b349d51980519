"""From the section `spotbatch:eks` of a stack file to components. Pool and job have names that Kubernetes shows."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
from pulumi_spotbatch.aws import Network, SqsTaskQueue
from pulumi_spotbatch.eks import Karpenter, SpotJob, SpotNodePool

from . import eks_cluster
from .settings import EksSettings

POOL, JOB = "batch-workers", "batch-job"


def declare(settings: EksSettings) -> Mapping[str, Any]:
    """Everything that the stack file asks for; returns the stack's outputs. `eks_faults` has found nothing wrong with the settings."""
    tags = settings.tags or {}
    outputs: dict[str, Any] = {}

    network, subnet_ids = _place(settings, tags)
    queue = SqsTaskQueue("queue", settings.queue.args(tags=tags)) if settings.queue else None
    if queue:
        outputs |= {"queue_url": queue.queue_url, "table_name": queue.table_name, "bucket_name": queue.bucket_name}

    if not (settings.cluster and settings.karpenter):
        return outputs
    cluster = eks_cluster.declare(settings.cluster, subnet_ids, network, tags)
    inside = pulumi.ResourceOptions(providers=[cluster.provider])
    outputs |= {"cluster_name": cluster.name, "kubeconfig": cluster.kubeconfig}

    place = {} if settings.karpenter.controller_nodes is not None else {"subnet_ids": subnet_ids}
    karpenter = Karpenter("karpenter", settings.karpenter.args(cluster_arn=cluster.arn, tags=tags, **place), inside)
    outputs |= {"interruption_queue": karpenter.interruption_queue, "node_role_name": karpenter.node_role_name}

    if settings.pool:
        pool = SpotNodePool(POOL, settings.pool.args(karpenter=karpenter.access, subnet_ids=subnet_ids, tags=tags), inside)
        outputs |= {"pool_name": pool.pool_name, "image_alias": pool.image_alias}
        if settings.job and queue:
            job = SpotJob(JOB, settings.job.args(queue=queue.access, pool=pool.placement, tags=tags), inside)
            outputs |= {"job_name": job.job_name, "namespace": job.namespace}
    return outputs


def _place(settings: EksSettings, tags: Mapping[str, str]) -> tuple[Network | None, Sequence[pulumi.Input[str]]]:
    """The subnets given, or those of a new network."""
    if settings.network is None:
        return None, []
    if settings.network.subnet_ids is not None:
        return None, list(settings.network.subnet_ids)
    network = Network("network", settings.network.args(tags=tags))
    return network, network.subnets
