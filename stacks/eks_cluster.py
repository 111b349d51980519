"""The cluster of a stack: one that exists, or a small one with nothing in it but what Karpenter and Pod Identity need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes
from pulumi_spotbatch.aws import Network
from pulumi_spotbatch.aws.iam import trust

from .settings import ClusterSettings

VERSION = "1.35"
"""Karpenter v1.14 knows 1.30 to 1.36. https://karpenter.sh/v1.14/upgrading/compatibility/"""


@dataclass(frozen=True)
class Cluster:
    name: pulumi.Output[str]
    arn: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]
    """For kubectl and Pulumi: no key in it, as `aws eks get-token` makes one at each call."""
    provider: kubernetes.Provider


def declare(
    settings: ClusterSettings, subnet_ids: Sequence[pulumi.Input[str]], network: Network | None, tags: Mapping[str, pulumi.Input[str]]
) -> Cluster:
    """The cluster and a Pulumi provider that reaches it."""
    if settings.arn is not None:
        found = aws.eks.get_cluster_output(name=settings.arn.rpartition("/")[2])
        authority = found.certificate_authorities.apply(lambda several: several[0].data)
        name, arn, endpoint = found.name, found.arn, found.endpoint
    else:
        made = _make(settings.version or VERSION, subnet_ids, network, tags)
        agent = aws.eks.Addon("cluster-pod-identity", cluster_name=made.name, addon_name="eks-pod-identity-agent", tags=tags)
        # What takes the ARN also needs the agent: pods that start before it have no keys.
        name, arn = made.name, pulumi.Output.all(made.arn, agent.id).apply(lambda known: known[0])
        endpoint, authority = made.endpoint, made.certificate_authority.apply(lambda one: one.data or "")
    kubeconfig = _kubeconfig(arn, name, endpoint, authority)
    return Cluster(name, arn, kubeconfig, kubernetes.Provider("cluster", kubeconfig=kubeconfig, enable_server_side_apply=True))


def _make(version: str, subnet_ids: Sequence[pulumi.Input[str]], network: Network | None, tags: Mapping[str, pulumi.Input[str]]) -> aws.eks.Cluster:
    role = aws.iam.Role("cluster", assume_role_policy=trust("eks.amazonaws.com"), tags=tags)
    partition = role.arn.apply(lambda arn: arn.split(":")[1])
    attached = aws.iam.RolePolicyAttachment(
        "cluster", role=role.name, policy_arn=pulumi.Output.concat("arn:", partition, ":iam::aws:policy/AmazonEKSClusterPolicy")
    )
    return aws.eks.Cluster(
        "cluster",
        role_arn=role.arn,
        version=version,
        vpc_config=aws.eks.ClusterVpcConfigArgs(subnet_ids=subnet_ids, endpoint_private_access=True, endpoint_public_access=True),
        access_config=aws.eks.ClusterAccessConfigArgs(authentication_mode="API", bootstrap_cluster_creator_admin_permissions=True),
        tags=tags,
        # Nodes that drain need their way out until the last of them is gone.
        opts=pulumi.ResourceOptions(depends_on=[attached, *([network] if network else [])]),
    )


def _kubeconfig(arn: pulumi.Output[str], name: pulumi.Output[str], endpoint: pulumi.Output[str], authority: pulumi.Output[str]) -> pulumi.Output[str]:
    region = arn.apply(lambda known: known.split(":")[3])
    command = {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "aws", "interactiveMode": "Never"}
    return pulumi.Output.json_dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "cluster",
            "clusters": [{"name": "cluster", "cluster": {"server": endpoint, "certificate-authority-data": authority}}],
            "contexts": [{"name": "cluster", "context": {"cluster": "cluster", "user": "cluster"}}],
            "users": [{"name": "cluster", "user": {"exec": {**command, "args": ["--region", region, "eks", "get-token", "--cluster-name", name]}}}],
        },
        sort_keys=True,
    )
