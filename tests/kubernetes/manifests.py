"""Manifests that the components emit over a grid of arguments, and manifests with one fault each, for judges of both.

`sound()` and `faulty()` are plain data: no Pulumi engine, no cluster.
"""

import copy
from collections.abc import Iterator
from itertools import product
from typing import Any

from pulumi_spotbatch.eks import job, node_pool
from pulumi_spotbatch.eks import node_pool_manifests as shapes

from tests.components.samples import KARPENTER, PLACEMENT, QUEUE, SUBNETS

FOUR_TYPES = ["m5.xlarge", "m5a.xlarge", "m4.xlarge", "c5.xlarge"]
"""The pool that people quote."""

QUOTED: dict[str, Any] = {
    "karpenter": KARPENTER,
    "subnet_ids": SUBNETS,
    "limits": {"cpu": 1000},
    "instances": {"types": FOUR_TYPES},
    "on_demand": {"pool": "same"},
}

_INSTANCES: list[dict[str, Any]] = [
    {},
    {"types": FOUR_TYPES},
    {"types": ["m7g.large", "c7g.large", "r7gd.metal"]},
    {"categories": ["g", "p"], "cpus": [96], "newer_than": 0, "architecture": "x86_64"},
    {"architecture": "arm64", "requirements": [{"key": "karpenter.k8s.aws/instance-memory", "operator": "Gte", "values": ["16384"]}]},
    {
        "requirements": [
            {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["us-east-1a", "us-east-1b"], "min_values": 2},
            {"key": "node.kubernetes.io/instance-type", "operator": "Exists", "min_values": 15},
            {"key": "karpenter.k8s.aws/instance-family", "operator": "NotIn", "values": ["t3"]},
            {"key": "team.example.com/gpu", "operator": "DoesNotExist"},
        ]
    },
]
_ON_DEMAND: list[dict[str, Any] | None] = [None, {"pool": "same"}, {"pool": "own"}, {"pool": "own", "cpu": 16}]
_LIMITS = [{"cpu": 1}, {"cpu": 100_000, "memory_gib": 4000}]
_NODES: list[dict[str, Any]] = [
    {},
    {"image_alias": "bottlerocket@v1.24.0", "root_gib": 16384, "taint_key": "spot", "labels": {"workload": "batch"}},
    {"taint_key": "example.com/batch", "labels": {"team.example.com/cost-centre": "42", "karpenter.sh/capacity-type": "spot"}, "root_gib": 20},
]
_TAGS: list[dict[str, str]] = [{}, {"team": "batch", "cost:centre": "42"}]

_PODS: list[dict[str, Any]] = [
    {},
    {"cpu": "500m", "memory": "512Mi", "grace_seconds": 10},
    {"cpu": "64", "memory": "1Ti", "grace_seconds": 100, "labels": {"team": "batch"}, "annotations": {"karpenter.sh/do-not-disrupt": "false"}},
    {
        "environment": {"LEVEL": "3"},
        "tolerations": [{"key": "gpu"}, {"key": "team", "value": "a", "effect": "NoExecute"}, {"key": "node", "effect": "PreferNoSchedule"}],
    },
]


def pool_arguments() -> Iterator[tuple[str, dict[str, Any]]]:
    """Sound arguments of a SpotNodePool, each with a name for it."""
    for number, (instances, on_demand, limits, nodes, tags) in enumerate(product(_INSTANCES, _ON_DEMAND, _LIMITS, _NODES, _TAGS)):
        given: dict[str, Any] = {**QUOTED, "instances": instances, "limits": limits, "nodes": nodes, "tags": tags}
        yield f"pool-{number}", {**given, "on_demand": on_demand} if on_demand else {key: given[key] for key in given if key != "on_demand"}


def job_arguments() -> Iterator[tuple[str, dict[str, Any]]]:
    """Sound arguments of a SpotJob, each with a name for it."""
    placements = [PLACEMENT, {**PLACEMENT, "pool_names": ["batch-workers", "batch-workers-on-demand"], "taint_key": "example.com/batch"}]
    for number, (pod, (tasks, parallel), pool) in enumerate(product(_PODS, [(1, 1), (100, 20), (100_000, 10_000)], placements)):
        given = {"queue": QUEUE, "pool": pool, "run": "clips", "tasks": tasks, "image": "job:1.0", "worker": "clips:Clips"}
        yield f"job-{number}", {**given, "parallel": parallel, "pod": pod}


def pool_manifests(name: str, arguments: Any) -> list[dict[str, Any]]:
    """The EC2NodeClass and NodePools of sound arguments."""
    given = node_pool.checked(name, arguments)
    nodes = given.get("nodes", {})
    alias, groups = nodes.get("image_alias", "al2023@v20260810"), nodes.get("security_group_ids", ["sg-0123456789abcdef0"])
    tags = {**given.get("tags", {}), "spotbatch:stack": "work/test"}
    described = shapes.node_class(name, KARPENTER["node_role_name"], alias, given["subnet_ids"], groups, nodes.get("root_gib", 50), tags)
    return [described, *node_pool.pool_manifests(name, given).values()]


def job_manifests(name: str, arguments: Any, namespace: str = "default") -> list[dict[str, Any]]:
    """The Job of sound arguments, and the service account that its pods name."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}
    return [{**account, "automountServiceAccountToken": False}, dict(job.job_of(name, job.checked(name, arguments), namespace))]


def sound() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every manifest that the components emit over the grid; an API server with Karpenter's definitions takes each."""
    for name, arguments in pool_arguments():
        yield from ((f"{name} {manifest['kind']} {manifest['metadata']['name']}", manifest) for manifest in pool_manifests(name, arguments))
    for name, arguments in job_arguments():
        yield from ((f"{name} {manifest['kind']}", manifest) for manifest in job_manifests(name, arguments))


GONE = object()
"""As a fault's value: the field is taken away."""

_REQUIREMENTS, _LABELS, _TAKEN = "template.spec.requirements", "template.metadata.labels", "amiSelectorTerms"
_EBS, _PROFILE = "blockDeviceMappings.0.ebs", {"role": GONE}


def _requirement(key: str, operator: str, *values: str, **more: Any) -> dict[str, Any]:
    return {_REQUIREMENTS: [{"key": key, "operator": operator, "values": list(values), **more}]}


_POOL_FAULTS: dict[str, dict[str, Any]] = {
    # structure
    "an unknown field": {"template.spec.expire": "1h"},
    "a field of the old API": {"ttlSecondsAfterEmpty": 30},
    "no template": {"template": GONE},
    "no requirements": {_REQUIREMENTS: GONE},
    "no class": {"template.spec.nodeClassRef": GONE},
    "a class without its group": {"template.spec.nodeClassRef.group": GONE},
    "disruption without consolidateAfter": {"disruption.consolidateAfter": GONE},
    "a weight of 0": {"weight": 0},
    "a weight of 101": {"weight": 101},
    "a weight as text": {"weight": "10"},
    "a policy that is none": {"disruption.consolidationPolicy": "WhenIdle"},
    "a duration in days": {"template.spec.expireAfter": "30d"},
    "no grace in words": {"template.spec.terminationGracePeriod": "Never"},
    "consolidateAfter without a unit": {"disruption.consolidateAfter": "60"},
    "a budget over all": {"disruption.budgets": [{"nodes": "101%"}]},
    "a budget for a reason that is none": {"disruption.budgets": [{"nodes": "0", "reasons": ["Expired"]}]},
    "a budget that names a reason twice": {"disruption.budgets": [{"nodes": "0", "reasons": ["Empty", "Empty"]}]},
    "a limit that is no quantity": {"limits": {"cpu": "many"}},
    "a taint without effect": {"template.spec.taints": [{"key": "batch"}]},
    "a taint with an effect that is none": {"template.spec.taints": [{"key": "batch", "effect": "NoRun"}]},
    "a taint without key": {"template.spec.taints": [{"key": "", "effect": "NoSchedule"}]},
    "a label's value with a blank": {_LABELS: {"team": "a b"}},
    "a label's value of 64 characters": {_LABELS: {"team": "x" * 64}},
    "an operator that is none": _requirement("kubernetes.io/arch", "Is", "amd64"),
    "a key with a blank": _requirement("instance type", "Exists"),
    "minValues of 51": _requirement("node.kubernetes.io/instance-type", "Exists", minValues=51),
    "101 requirements": {_REQUIREMENTS: [{"key": f"example.com/label-{n}", "operator": "Exists"} for n in range(101)]},
    # rules
    "a schedule without a duration": {"disruption.budgets": [{"nodes": "0", "schedule": "@daily"}]},
    "a duration without a schedule": {"disruption.budgets": [{"nodes": "0", "duration": "1h"}]},
    "a label of Karpenter's own domain": {_LABELS: {"karpenter.sh/team": "a"}},
    "the pool as label": {_LABELS: {"karpenter.sh/nodepool": "a"}},
    "the host name as label": {_LABELS: {"kubernetes.io/hostname": "a"}},
    "a label of Karpenter's AWS domain": {_LABELS: {"karpenter.k8s.aws/team": "a"}},
    "a class without group name": {"template.spec.nodeClassRef.group": ""},
    "a class without kind": {"template.spec.nodeClassRef.kind": ""},
    "a class without name": {"template.spec.nodeClassRef.name": ""},
    "In without values": _requirement("kubernetes.io/arch", "In"),
    "Gt with two values": _requirement("karpenter.k8s.aws/instance-generation", "Gt", "2", "3"),
    "Lt below nothing": _requirement("karpenter.k8s.aws/instance-generation", "Lt", "x1"),
    "fewer values than minValues": _requirement("kubernetes.io/arch", "In", "amd64", minValues=2),
    "a requirement in Karpenter's own domain": _requirement("karpenter.sh/team", "Exists"),
    "a requirement on the pool": _requirement("karpenter.sh/nodepool", "In", "a"),
    "a requirement on the host name": _requirement("kubernetes.io/hostname", "In", "a"),
    "a requirement in Karpenter's AWS domain": _requirement("karpenter.k8s.aws/instance-cpus", "In", "4"),
    "static with a limit on CPUs": {"replicas": 2},
    "static with a weight": {"replicas": 2, "limits": GONE, "weight": 10},
}

_CLASS_FAULTS: dict[str, dict[str, Any]] = {
    # structure
    "an unknown field": {"amiFamilies": ["AL2023"]},
    "no subnets": {"subnetSelectorTerms": GONE},
    "no image": {_TAKEN: GONE},
    "an empty list of images": {_TAKEN: []},
    "a family that is none": {"amiFamily": "AL2022"},
    "an image id that is none": {_TAKEN: [{"id": "image-1"}], "amiFamily": "AL2023"},
    "a subnet id that is none": {"subnetSelectorTerms": [{"id": "net-1"}]},
    "a security group id that is none": {"securityGroupSelectorTerms": [{"id": "group-1"}]},
    "a hop limit of 65": {"metadataOptions.httpPutResponseHopLimit": 65},
    "tokens that are none": {"metadataOptions.httpTokens": "always"},
    "a volume type that is none": {f"{_EBS}.volumeType": "gp4"},
    "a volume without unit": {f"{_EBS}.volumeSize": "50"},
    "a key id spelt otherwise": {f"{_EBS}.kmsKeyId": "key"},
    # rules
    "role and profile": {"instanceProfile": "profile"},
    "neither role nor profile": _PROFILE,
    "an empty role": {"role": ""},
    "an empty profile": {**_PROFILE, "instanceProfile": ""},
    "a family that contradicts the alias": {"amiFamily": "AL2"},
    "an AL2 family that contradicts": {_TAKEN: [{"alias": "al2@v1"}], "amiFamily": "AL2023"},
    "a Bottlerocket alias for AL2023": {_TAKEN: [{"alias": "bottlerocket@v1"}], "amiFamily": "AL2023"},
    "a Windows 2019 alias for AL2023": {_TAKEN: [{"alias": "windows2019@latest"}], "amiFamily": "AL2023"},
    "a Windows 2022 alias for AL2023": {_TAKEN: [{"alias": "windows2022@latest"}], "amiFamily": "AL2023"},
    "a Windows 2025 alias for AL2023": {_TAKEN: [{"alias": "windows2025@latest"}], "amiFamily": "AL2023"},
    "an image id without family": {_TAKEN: [{"id": "ami-0"}]},
    "an empty term": {_TAKEN: [{}], "amiFamily": "AL2023"},
    "id beside name": {_TAKEN: [{"id": "ami-0", "name": "a"}], "amiFamily": "AL2023"},
    "alias beside name": {_TAKEN: [{"alias": "al2023@v1", "name": "a"}]},
    "alias beside another term": {_TAKEN: [{"alias": "al2023@v1"}, {"id": "ami-0"}]},
    "an alias without version": {_TAKEN: [{"alias": "al2023"}]},
    "an alias of nobody": {_TAKEN: [{"alias": "ubuntu@v1"}]},
    "Windows of another version": {_TAKEN: [{"alias": "windows2022@v1"}]},
    "an image by an empty tag": {_TAKEN: [{"tags": {"a": ""}}], "amiFamily": "AL2023"},
    "two root volumes": {"blockDeviceMappings": [{"rootVolume": True}, {"rootVolume": True}]},
    "a volume without size": {f"{_EBS}.volumeSize": GONE},
    "a rate without snapshot": {f"{_EBS}.volumeInitializationRate": 100},
    "an empty list of subnets": {"subnetSelectorTerms": []},
    "a subnet by nothing": {"subnetSelectorTerms": [{}]},
    "a subnet by id and tag": {"subnetSelectorTerms": [{"id": "subnet-0", "tags": {"a": "b"}}]},
    "a subnet by an empty tag": {"subnetSelectorTerms": [{"tags": {"a": ""}}]},
    "an empty list of security groups": {"securityGroupSelectorTerms": []},
    "a security group by nothing": {"securityGroupSelectorTerms": [{}]},
    "a security group by id and tag": {"securityGroupSelectorTerms": [{"id": "sg-0", "tags": {"a": "b"}}]},
    "a security group by name and tag": {"securityGroupSelectorTerms": [{"name": "a", "tags": {"a": "b"}}]},
    "a security group by an empty tag": {"securityGroupSelectorTerms": [{"tags": {"a": ""}}]},
    "a tag without key": {"tags": {"": "a"}},
    "the cluster's tag": {"tags": {"eks:eks-cluster-name": "a"}},
    "the tag of a cluster's owner": {"tags": {"kubernetes.io/cluster/a": "owned"}},
    "the pool's tag": {"tags": {"karpenter.sh/nodepool": "a"}},
    "the claim's tag": {"tags": {"karpenter.sh/nodeclaim": "a"}},
    "the class's tag": {"tags": {"karpenter.k8s.aws/ec2nodeclass": "a"}},
    "a reservation by nothing": {"capacityReservationSelectorTerms": [{}]},
    "a reservation by id and owner": {"capacityReservationSelectorTerms": [{"id": "cr-0", "ownerID": "123456789012"}]},
    "a reservation by an empty tag": {"capacityReservationSelectorTerms": [{"tags": {"a": ""}}]},
    "tracking of nothing": {"connectionTracking": {}},
    "a placement group by nothing": {"placementGroupSelector": {}},
    "a placement group by both": {"placementGroupSelector": {"name": "a", "id": "pg-0"}},
    "image collection turned round": {"kubelet": {"imageGCHighThresholdPercent": 10, "imageGCLowThresholdPercent": 20}},
    "a soft threshold without grace": {"kubelet": {"evictionSoft": {"memory.available": "1Gi"}, "evictionSoftGracePeriod": {}}},
    "grace without a soft threshold": {"kubelet": {"evictionSoft": {}, "evictionSoftGracePeriod": {"memory.available": "1m0s"}}},
    "a hard threshold on nothing": {"kubelet": {"evictionHard": {"cpu.available": "1"}}},
    "a soft threshold on nothing": {"kubelet": {"evictionSoft": {"cpu.available": "1"}, "evictionSoftGracePeriod": {"cpu.available": "1m0s"}}},
    "grace on nothing": {"kubelet": {"evictionSoftGracePeriod": {"cpu.available": "1m0s"}, "evictionSoft": {"cpu.available": "1"}}},
    "a reserve of nothing": {"kubelet": {"kubeReserved": {"disk": "1Gi"}}},
    "a negative reserve": {"kubelet": {"kubeReserved": {"cpu": "-1"}}},
    "a system reserve of nothing": {"kubelet": {"systemReserved": {"disk": "1Gi"}}},
    "a negative system reserve": {"kubelet": {"systemReserved": {"cpu": "-1"}}},
    "interfaces without a first": {"networkInterfaces": [{"deviceIndex": 1, "networkCardIndex": 0, "interfaceType": "interface"}]},
    "one interface twice": {"networkInterfaces": [{"deviceIndex": 0, "networkCardIndex": 0, "interfaceType": "interface"}] * 2},
}


def faulty() -> Iterator[tuple[str, dict[str, Any]]]:
    """A NodePool or EC2NodeClass with one fault each; an API server with Karpenter's definitions refuses each."""
    described, pool = pool_manifests("faulty", QUOTED)
    for manifest, faults in ((pool, _POOL_FAULTS), (described, _CLASS_FAULTS)):
        for label, changes in faults.items():
            yield f"{manifest['kind']}: {label}", _changed(manifest, changes)


def _changed(manifest: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    changed = copy.deepcopy(manifest)
    for path, value in changes.items():
        place: Any = changed["spec"]
        *way, last = path.split(".")
        for step in way:
            place = place[int(step) if step.isdigit() else step]
        if value is GONE:
            place.pop(last, None)
        else:
            place[last] = value
    return changed
