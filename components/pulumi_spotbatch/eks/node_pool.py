"""Nodes for batch work, which only the cloud takes away from a running pod."""

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from ..aws.pools import ADVISED_TYPES
from ..aws.tagging import check_tags, own_tags
from ..validation import Faults, between, like, one_of, some
from . import node_pool_manifests as manifests
from .instances import Instances, check_instances
from .karpenter_access import KarpenterAccess
from .manifest_rules import manifest_faults
from .placement import Placement

_IMAGE_PARAMETER = "/aws/service/eks/optimized-ami/{version}/amazon-linux-2023/x86_64/standard/recommended/release_version"
"""https://docs.aws.amazon.com/eks/latest/userguide/retrieve-ami-id.html; 1.35.1-20260810 where the alias is al2023@v20260810."""

_LONGEST_DELETE = "30m"
"""Pulumi waits until every node of a pool is gone: the drain, and as long as EC2 takes."""


class Limits(TypedDict):
    """The most that a pool may grow to. Karpenter looks at it before each launch and may end a few machines above."""

    cpu: int
    """vCPUs of all nodes together."""
    memory_gib: NotRequired[int]
    """GiB of memory of all nodes together. Default: as much as comes with the CPUs."""


class Fallback(TypedDict):
    """What happens when there is no Spot capacity."""

    pool: str
    """same: Karpenter buys on demand at once, in the same pool. own: from a pool of its own that Karpenter tries last, so that it has a limit
    of its own and is counted apart."""
    cpu: NotRequired[int]
    """With `own`: vCPUs of that pool's nodes together. Default: as `limits.cpu`."""


class Nodes(TypedDict):
    """What a node is."""

    image_alias: NotRequired[str]
    """Karpenter's name of a machine image, such as `al2023@v20260810`. Default: the newest Amazon Linux 2023 for the cluster's Kubernetes at the
    first deployment, and the same one ever after."""
    image_release: NotRequired[str]
    """Any text. Change it, to today's date for instance, and the next `up` takes what is the newest image then. Nodes that run stay as they are
    until they are empty."""
    security_group_ids: NotRequired[Sequence[pulumi.Input[str]]]
    """Security groups of the nodes. Default: the cluster's own."""
    root_gib: NotRequired[int]
    """Size of the root volume in GiB, 20 to 16384: images and the pods' scratch space. Default: 50."""
    taint_key: NotRequired[str]
    """Key of the taint (effect NoSchedule) that keeps other pods away. Default: batch."""
    labels: NotRequired[Mapping[str, str]]
    """Labels of the nodes. Default: none but Karpenter's."""


class SpotNodePoolArgs(TypedDict):
    """What a SpotNodePool needs to know."""

    karpenter: KarpenterAccess
    """The Karpenter it belongs to: `Karpenter.access`."""
    subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]]
    """Subnets of the nodes, by id: one in each zone, two or more."""
    limits: Limits
    """The most that it may grow to."""
    instances: NotRequired[Instances]
    """Machines to choose from. Default: every c, m and r type for x86_64 with 4, 8 or 16 vCPUs that is newer than generation 2."""
    on_demand: NotRequired[Fallback]
    """What happens when there is no Spot capacity. Default: work waits for some."""
    nodes: NotRequired[Nodes]
    """What a node is. Default: Amazon Linux 2023 with an encrypted volume of 50 GiB and the taint `batch`."""
    tags: NotRequired[Mapping[str, pulumi.Input[str]]]
    """Tags for each machine, its volume and network interface. Default: the stack's own tag alone."""


class SpotNodePool(pulumi.ComponentResource):
    """Give batch pods Spot nodes that nobody but the cloud takes from them.

    Creates an EC2NodeClass and a NodePool for Karpenter, a second NodePool where on-demand machines are to be counted apart, and waits
    until Karpenter says that they are ready.

    Leaves to you: Karpenter (`Karpenter`), and pods that survive an interruption (`SpotJob`).

    Nodes are emptied by an interruption, and otherwise removed only when nothing runs on them: no consolidation, no drift, no expiry. The
    pool that people quote, with four types and both kinds of capacity, is `{"instances": {"types": ["m5.xlarge", "m5a.xlarge", "m4.xlarge",
    "c5.xlarge"]}, "on_demand": {"pool": "same"}, ...}`. Raises InvalidArgs, also for what Karpenter's own definitions refuse.
    """

    pool_name: pulumi.Output[str]
    """The NodePool, and the label `karpenter.sh/nodepool` of its nodes."""
    on_demand_pool_name: pulumi.Output[str]
    """The NodePool that buys on demand: a second one, or the same; empty where none does."""
    node_class_name: pulumi.Output[str]
    """The EC2NodeClass."""
    image_alias: pulumi.Output[str]
    """Machine image of new nodes, in Karpenter's form."""

    def __init__(self, name: str, args: SpotNodePoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        given = checked(name, args)
        super().__init__("spotbatch:index:SpotNodePool", name, {}, opts)
        self._name, self._child = name, pulumi.ResourceOptions(parent=self)
        self._karpenter, nodes = given["karpenter"], given.get("nodes", {})
        _warn(self, given)

        self.image_alias = pulumi.Output.from_input(nodes["image_alias"]) if "image_alias" in nodes else self._pinned_image(nodes)
        groups = nodes["security_group_ids"] if "security_group_ids" in nodes else self._cluster_group()
        described = manifests.node_class(
            name,
            self._karpenter["node_role_name"],
            self.image_alias,
            given["subnet_ids"],
            groups,
            nodes.get("root_gib", 50),
            own_tags(given.get("tags")),
        )
        kind = self._resource(f"{name}-class", described, [])
        pools = [self._resource(f"{name}-{role}", pool, [kind]) for role, pool in pool_manifests(name, given).items()]

        names = [_name_of(pool) for pool in pools]
        self.pool_name, self.node_class_name = names[0], _name_of(kind)
        self.on_demand_pool_name = names[-1] if "on_demand" in given else pulumi.Output.from_input("")
        self._placement: Placement = {
            "cluster_name": self._karpenter["cluster_name"],
            "pool_names": names,
            "taint_key": nodes.get("taint_key", "batch"),
            "grace_seconds": manifests.GRACE_SECONDS,
        }
        self.register_outputs(
            {
                "poolName": self.pool_name,
                "onDemandPoolName": self.on_demand_pool_name,
                "nodeClassName": self.node_class_name,
                "imageAlias": self.image_alias,
            }
        )

    @property
    def placement(self) -> Placement:
        """The pool in the form in which jobs take it: `{"pool": pool.placement, ...}`."""
        return self._placement

    def _resource(
        self, name: str, manifest: Mapping[str, Any], needs: "Sequence[kubernetes.apiextensions.CustomResource]"
    ) -> "kubernetes.apiextensions.CustomResource":
        return kubernetes.apiextensions.CustomResource(
            name,
            api_version=manifest["apiVersion"],
            kind=manifest["kind"],
            metadata=manifest["metadata"],
            spec=manifest["spec"],
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(needs), custom_timeouts=pulumi.CustomTimeouts(delete=_LONGEST_DELETE)),
        )

    @functools.cached_property
    def _cluster(self) -> "pulumi.Output[aws.eks.GetClusterResult]":
        return aws.eks.get_cluster_output(name=self._karpenter["cluster_name"], opts=pulumi.InvokeOutputOptions(parent=self))

    def _cluster_group(self) -> pulumi.Output[list[str]]:
        return self._cluster.vpc_config.apply(lambda config: [config.cluster_security_group_id])

    def _pinned_image(self, nodes: Nodes) -> pulumi.Output[str]:
        """The newest image when this was first deployed: a stash keeps what it was given until `image_release` changes."""
        parameter = self._cluster.version.apply(lambda version: _IMAGE_PARAMETER.format(version=version))
        newest = aws.ssm.get_parameter_output(name=parameter, opts=pulumi.InvokeOutputOptions(parent=self))
        pin = pulumi.Stash(
            f"{self._name}-image",
            input=newest.insecure_value.apply(lambda release: f"al2023@v{release.rpartition('-')[2]}"),
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["input"], replacement_trigger=nodes.get("image_release", "")),
        )
        return pin.output


def _name_of(resource: "kubernetes.apiextensions.CustomResource") -> pulumi.Output[str]:
    # The SDK's class declares no outputs, but has those of its inputs.
    return resource.metadata["name"]  # pyright: ignore[reportAttributeAccessIssue]


def pool_manifests(name: str, given: SpotNodePoolArgs) -> dict[str, dict[str, Any]]:
    """The NodePools by the last part of their resources' names."""
    nodes, on_demand = given.get("nodes", {}), given.get("on_demand")
    how = on_demand["pool"] if on_demand else "never"
    limits = _quantities(given["limits"])

    def pool(pool_name: str, capacity: Sequence[str], most: Mapping[str, str], weight: int | None) -> dict[str, Any]:
        taint, labels = nodes.get("taint_key", "batch"), nodes.get("labels", {})
        return manifests.node_pool(pool_name, name, given.get("instances", {}), capacity, most, taint, labels, weight)

    if on_demand is None or how == "same":
        return {"pool": pool(name, ["spot"] if on_demand is None else ["spot", "on-demand"], limits, None)}
    own = {"cpu": str(on_demand["cpu"])} if "cpu" in on_demand else limits
    return {
        "pool": pool(name, ["spot"], limits, manifests.SPOT_WEIGHT),
        "on-demand": pool(f"{name}-on-demand", ["on-demand"], own, manifests.ON_DEMAND_WEIGHT),
    }


def _quantities(limits: Limits) -> dict[str, str]:
    memory = {"memory": f"{limits['memory_gib']}Gi"} if "memory_gib" in limits else {}
    return {"cpu": str(limits["cpu"]), **memory}


def _warn(component: pulumi.Resource, given: SpotNodePoolArgs) -> None:
    """Say in the preview what Karpenter would take without a word, and what comes of it."""
    types = given.get("instances", {}).get("types")
    if types is not None and len(types) < ADVISED_TYPES:
        pulumi.log.warn(
            f"instances.types: {len(types)} types are thin: when they are sold out at once, "
            + ("Karpenter buys on demand" if "on_demand" in given else "work waits")
            + f". With {ADVISED_TYPES} or more, or without instances.types, some pool has capacity to spare.",
            component,
        )


_NAME = r"[a-z0-9]([-a-z0-9]{0,50}[a-z0-9])?"

_RULES = {
    "karpenter.cluster_name": like(r"[A-Za-z0-9][\w-]{0,99}", "the name of an EKS cluster"),
    "karpenter.node_role_name": like(r"[\w+=,.@-]{1,64}", "a role's name, not its ARN"),
    "karpenter.interruption_queue": like(r"[\w-]{1,80}(\.fifo)?", "the name of the queue in Karpenter's settings.interruptionQueue"),
    "limits.cpu": between(1),
    "limits.memory_gib": between(1),
    "instances.types": some(1, 100),
    "instances.categories": some(),
    "instances.categories[]": like(r"[a-z]{1,8}", "a letter or more with which a family begins, such as c"),
    "instances.cpus": some(),
    "instances.cpus[]": between(1, 1024),
    "instances.newer_than": between(0, 99),
    "instances.architecture": one_of("x86_64", "arm64"),
    "on_demand.pool": one_of("same", "own"),
    "on_demand.cpu": between(1),
    "nodes.image_alias": like(r"(al2023|bottlerocket)@(?!latest).+", "al2023@vYYYYMMDD or bottlerocket@vN.N.N; latest would replace nodes by itself"),
    "nodes.security_group_ids": some(),
    "nodes.root_gib": between(20, 16384),
}


def checked(name: str, args: SpotNodePoolArgs) -> SpotNodePoolArgs:
    """The arguments, whole and sound; InvalidArgs otherwise. For programs that want to know before they declare anything."""
    faults = Faults("SpotNodePool", name)
    given = faults.read(SpotNodePoolArgs, args, _RULES)
    if not re.fullmatch(_NAME, name):
        faults.say("name", f"{name!r} is not allowed; allowed: up to 52 small letters, digits and -, as Kubernetes calls the pool so")
    instances, nodes = given.get("instances", {}), given.get("nodes", {})
    check_instances(faults, instances)
    on_demand = given.get("on_demand", {})
    if on_demand.get("pool") == "same" and "cpu" in on_demand:
        faults.add("on_demand.cpu", on_demand["cpu"], "left out with pool same: limits.cpu holds for both")
    if "image_alias" in nodes and "image_release" in nodes:
        faults.add("nodes.image_release", nodes["image_release"], "left out where nodes.image_alias is given: change the alias instead")
    subnets = given.get("subnet_ids")
    if isinstance(subnets, Sequence):
        known = [subnet for subnet in subnets if isinstance(subnet, str)]
        if len(set(known)) + len(subnets) - len(known) < 2:
            faults.add("subnet_ids", list(subnets), "two or more subnets, one in each zone: a zone may have no Spot capacity")
    check_tags(faults, given.get("tags"))
    if {"karpenter", "subnet_ids", "limits"} <= set(given) and not faults.found:
        for manifest in _as_far_as_known(name, given):
            for path, text in manifest_faults(manifest):
                faults.say(f"{manifest['kind']} {path}", text)
    faults.raise_any()
    return given


def _as_far_as_known(name: str, given: SpotNodePoolArgs) -> list[dict[str, Any]]:
    """The manifests with stand-ins for what only the cloud knows."""
    nodes = given.get("nodes", {})
    subnets = given["subnet_ids"] if isinstance(given["subnet_ids"], Sequence) else ["subnet-0"]
    role = given["karpenter"].get("node_role_name", "role")
    described = manifests.node_class(
        name,
        role,
        nodes.get("image_alias", "al2023@v1"),
        subnets,
        nodes.get("security_group_ids", ["sg-0"]),
        nodes.get("root_gib", 50),
        given.get("tags", {}),
    )
    return [described, *pool_manifests(name, given).values()]
