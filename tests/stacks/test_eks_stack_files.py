"""The stack files with a section `spotbatch:eks`, without an engine."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pulumi_spotbatch.eks.job import SpotJobArgs
from pulumi_spotbatch.eks.karpenter import KarpenterArgs
from pulumi_spotbatch.eks.node_pool import SpotNodePoolArgs

from stacks import eks, settings
from stacks.stack_file import parse_eks
from tests.components.iam_lint import iam_faults
from tests.components.recorder import Deployment, deploy
from tests.stacks.test_settings import nested

FILES = {path.name.split(".")[1]: path for path in Path("stacks").glob("Pulumi.*.yaml") if "spotbatch:eks:" in path.read_text()}

WIRED = {"cluster_arn", "karpenter", "pool", "queue", "subnet_ids", "tags"}
"""What stacks/eks.py passes from one component to the next, and the tags, which stand once for all."""

SOUND: dict[str, Any] = {"network": {}, "queue": {}, "cluster": {}, "karpenter": {}, "pool": {"limits": {"cpu": 10}}}
JOB: dict[str, Any] = {"run": "r", "tasks": 3, "image": "job:1", "worker": "clips:Clips"}


def deployed(stack: str, preview: bool = False) -> Deployment:
    read, faults = parse_eks(json.dumps(yaml.safe_load(FILES[stack].read_text())["config"]["spotbatch:eks"]))
    assert faults == []
    return deploy(lambda: eks.declare(read), project="spotbatch", stack=stack, preview=preview)


def faults(**sections: Any) -> list[str]:
    return parse_eks(json.dumps({**SOUND, **sections}))[1]


@pytest.mark.parametrize("preview", [False, True], ids=["update", "preview"])
@pytest.mark.parametrize("stack", FILES)
def test_the_stack_deploys_whole_before_and_after_things_are_known(stack: str, preview: bool):
    deployment = deployed(stack, preview)
    types = {request.type.split(":")[-1] for request in deployment.requests if request.type.startswith("spotbatch:")}
    assert {"Network", "SqsTaskQueue", "Karpenter", "SpotNodePool"} <= types
    assert {"queue_url", "cluster_name", "kubeconfig", "interruption_queue", "pool_name"} <= set(deployment.result)


@pytest.mark.parametrize("stack", FILES)
def test_everything_inside_the_cluster_goes_to_this_cluster_and_is_tagged_with_its_environment(stack: str):
    for request in deployed(stack).requests:
        if request.type.startswith("kubernetes:"):
            assert "pulumi:providers:kubernetes::cluster::" in request.provider, request.urn
        tags = request.inputs.get("tags")
        if isinstance(tags, dict) and request.custom:
            assert tags["environment"] == stack, request.urn


def test_every_iam_document_is_sound():
    kinds = {"QueuePolicy": "queue", "BucketPolicy": "bucket"}
    found = {}
    for request in deployed("eks-local").requests:
        for field in ("policy", "assumeRolePolicy"):
            if field in request.inputs:
                kind = "trust" if field == "assumeRolePolicy" else kinds.get(request.type.split(":")[-1], "identity")
                found[f"{request.name} {request.type} {field}"] = iam_faults(request.inputs[field], kind)
    assert len(found) > 12
    assert {name: told for name, told in found.items() if told} == {}


def test_local_is_the_pool_that_people_quote_with_a_job_on_it():
    deployment = deployed("eks-local")
    spec = deployment.only("NodePool").inputs["spec"]
    requirements = {one["key"]: one.get("values") for one in spec["template"]["spec"]["requirements"]}
    assert requirements["karpenter.sh/capacity-type"] == ["spot", "on-demand"]
    assert requirements["node.kubernetes.io/instance-type"] == ["m5.xlarge", "m5a.xlarge", "m4.xlarge", "c5.xlarge"]
    assert spec["template"]["spec"]["taints"] == [{"key": "batch", "effect": "NoSchedule"}]
    assert deployment.only("Job").inputs["spec"]["completions"] == 4


def test_the_cluster_knows_access_entries_and_its_nodes_keep_their_way_out_to_the_end():
    deployment = deployed("eks")
    cluster = deployment.only("Cluster")
    assert cluster.inputs["accessConfig"]["authenticationMode"] == "API"
    needed = {urn.split("::")[-1] for urn in cluster.raw.dependencies}
    assert {"network-private-0-out", "network-nat-0", "network-private-0-uses"} <= needed
    assert deployment.only("Addon").inputs["addonName"] == "eks-pod-identity-agent"
    association = next(one for one in deployment.all("PodIdentityAssociation") if one.name == "karpenter-controller")
    assert "cluster-pod-identity" in {urn.split("::")[-1] for urn in association.raw.dependencies}


def test_a_cluster_that_exists_is_taken_as_it_is():
    read, told = parse_eks(
        json.dumps(
            {
                **SOUND,
                "network": {"subnetIds": ["subnet-0a", "subnet-0b"]},
                "cluster": {"arn": "arn:aws:eks:us-east-1:123456789012:cluster/batch"},
                "karpenter": {"controllerNodes": {"pool": "system"}},
            }
        )
    )
    assert told == []
    deployment = deploy(lambda: eks.declare(read))
    assert deployment.all("Cluster") == deployment.all("NodeGroup") == deployment.all("Addon") == []
    assert json.loads(deployment.named("cluster").inputs["kubeconfig"])["users"][0]["user"]["exec"]["args"][-1] == "batch"


@pytest.mark.parametrize(
    ("section", "args"),
    [(settings.KarpenterSettings, KarpenterArgs), (settings.PoolSettings, SpotNodePoolArgs), (settings.JobSettings, SpotJobArgs)],
)
def test_a_section_offers_every_argument_of_its_component_and_no_other(section: type[settings.Section], args: Any):
    def same(part: type[settings.Section], arguments: Any, wired: set[str]) -> None:
        assert set(part.model_fields) == set(arguments.__annotations__) - wired
        for name, field in part.model_fields.items():
            inner, argument = nested(field.annotation), nested(arguments.__annotations__[name])
            if inner and argument:
                same(inner, argument, set())  # pyright: ignore[reportArgumentType]

    same(section, args, WIRED)


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"pol": {}}, ".pol: no such key; did you mean pool?"),
        ({"pool": {"limits": {"cpus": 3}}}, ".pool.limits.cpus: no such key; did you mean cpu?"),
        ({"pool": {}}, ".pool.limits: missing"),
        ({"pool": {"limits": {"cpu": 0}}}, ".pool.limits.cpu: 0 is not allowed; allowed: 1 or more"),
        ({"pool": {"limits": {"cpu": 1}, "onDemand": {"pool": "both"}}}, ".pool.onDemand.pool: 'both' is not allowed; allowed: one of same, own"),
        (
            {"job": {**JOB, "pod": {"graceSeconds": 300}}},
            ".job.pod.graceSeconds: 300 is not allowed; allowed: up to 100, 20 s less than the node has",
        ),
        ({"karpenter": {"chartVersion": "1.6.0"}}, ".karpenter.chartVersion: '1.6.0' is not allowed"),
        ({"cluster": {"version": "1.29"}}, ".cluster.version: '1.29' is not allowed; allowed: 1.30 to 1.36, as a string"),
        ({"cluster": {"arn": "batch"}}, ".cluster.arn: 'batch' is not allowed; allowed: an EKS cluster's ARN"),
        ({"cluster": {"arn": "arn:aws:eks:us-east-1:123456789012:cluster/c"}}, ".network.subnetIds: missing; allowed: subnets of the cluster"),
        ({"network": {"zones": 1}}, ".network.zones: 1 is not allowed; allowed: 2 to 6"),
        ({"tags": {"karpenter.sh/nodepool": "a"}}, ".pool.EC2NodeClass spec.tags: Invalid value: tag contains a restricted tag"),
    ],
    ids=str,
)
def test_faults_are_told_in_the_files_own_terms(sections: dict[str, Any], said: str):
    told = faults(**sections)
    assert any(fault.startswith(said) for fault in told), told


def test_a_section_that_another_cannot_do_without_is_asked_for():
    told = parse_eks(json.dumps({"job": JOB}))[1]
    assert [fault.split(":")[0] for fault in told] == [".queue", ".cluster", ".karpenter", ".pool"]
