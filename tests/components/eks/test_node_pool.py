import logging
from typing import Any

import pulumi
import pytest
from pulumi_spotbatch.eks import SpotNodePool, node_pool
from pulumi_spotbatch.validation import InvalidArgs

from tests.components.recorder import Deployment, deploy
from tests.components.samples import KARPENTER, SUBNETS
from tests.kubernetes.manifests import FOUR_TYPES, QUOTED

SOUND: dict[str, Any] = {"karpenter": KARPENTER, "subnet_ids": SUBNETS, "limits": {"cpu": 1000}}


def declared(preview: bool = False, **changes: Any) -> Deployment:
    args = {key: value for key, value in {**SOUND, **changes}.items() if value is not None}
    return deploy(lambda: SpotNodePool("batch-workers", args), preview=preview)  # pyright: ignore[reportArgumentType]


def faults(name: str = "batch-workers", **changes: Any) -> list[str]:
    args: Any = {key: value for key, value in {**SOUND, **changes}.items() if value is not None}
    with pytest.raises(InvalidArgs) as raised:
        node_pool.checked(name, args)
    return list(raised.value.faults)


def spec(deployment: Deployment, kind: str = "NodePool") -> dict[str, Any]:
    return deployment.only(kind).inputs["spec"]


def requirements(deployment: Deployment) -> dict[str, dict[str, Any]]:
    return {one["key"]: one for one in spec(deployment)["template"]["spec"]["requirements"]}


def test_nothing_but_the_cloud_takes_a_node_from_a_running_pod():
    disruption = spec(declared())["disruption"]
    assert disruption["consolidationPolicy"] == "WhenEmpty"
    assert {"nodes": "0", "reasons": ["Drifted", "Underutilized"]} in disruption["budgets"]
    template = spec(declared())["template"]["spec"]
    assert (template["expireAfter"], template["terminationGracePeriod"]) == ("Never", "120s")
    # What Karpenter may do of its own accord in a batch run: nothing with any reason but an empty node.
    voluntary = {"Drifted", "Underutilized", "Empty"}
    closed = {reason for budget in disruption["budgets"] if budget["nodes"] == "0" for reason in budget["reasons"]}
    assert voluntary - closed == {"Empty"}


def test_a_pool_draws_from_every_ordinary_type_unless_told_otherwise():
    found = requirements(declared())
    assert found["karpenter.sh/capacity-type"]["values"] == ["spot"]
    assert found["karpenter.k8s.aws/instance-category"]["values"] == ["c", "m", "r"]
    assert found["karpenter.k8s.aws/instance-cpu"]["values"] == ["4", "8", "16"]
    assert found["karpenter.k8s.aws/instance-generation"] == {"key": "karpenter.k8s.aws/instance-generation", "operator": "Gt", "values": ["2"]}
    assert found["kubernetes.io/arch"]["values"] == ["amd64"]


def test_the_pool_that_people_quote_is_one_set_of_arguments():
    deployment = declared(**QUOTED)
    found = requirements(deployment)
    assert found["karpenter.sh/capacity-type"]["values"] == ["spot", "on-demand"]
    assert found["node.kubernetes.io/instance-type"]["values"] == FOUR_TYPES
    assert spec(deployment)["template"]["spec"]["taints"] == [{"key": "batch", "effect": "NoSchedule"}]
    assert deployment.only("NodePool").inputs["metadata"]["name"] == "batch-workers"
    for argument in ("m5.xlarge", '"on_demand": {"pool": "same"}'):
        assert argument in (SpotNodePool.__doc__ or "")


def test_few_types_are_said_to_be_thin(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        declared()
        assert caplog.messages == []
        declared(**QUOTED)
    (said,) = caplog.messages
    assert said.startswith("instances.types: 4 types are thin: when they are sold out at once, Karpenter buys on demand")


def test_on_demand_from_a_pool_of_its_own_is_tried_last_and_limited_apart():
    deployment = declared(on_demand={"pool": "own", "cpu": 100})
    pools = {pool.inputs["metadata"]["name"]: pool.inputs["spec"] for pool in deployment.all("NodePool")}
    assert pools["batch-workers"]["weight"] > pools["batch-workers-on-demand"]["weight"]
    assert pools["batch-workers-on-demand"]["limits"] == {"cpu": "100"}
    kinds = {
        name: one["values"]
        for name, pool in pools.items()
        for one in pool["template"]["spec"]["requirements"]
        if one["key"].endswith("capacity-type")
    }
    assert kinds == {"batch-workers": ["spot"], "batch-workers-on-demand": ["on-demand"]}
    outputs = deployment.outputs["batch-workers"]
    assert (outputs["poolName"], outputs["onDemandPoolName"]) == ("batch-workers", "batch-workers-on-demand")


def test_limits_are_always_there():
    assert spec(declared(limits={"cpu": 8, "memory_gib": 32}))["limits"] == {"cpu": "8", "memory": "32Gi"}
    assert faults(limits=None) == ["limits: missing; allowed: a dictionary like Limits"]


def test_pods_get_no_keys_of_the_node_and_disks_are_encrypted():
    described = spec(declared(), "EC2NodeClass")
    assert described["metadataOptions"] == {
        "httpEndpoint": "enabled",
        "httpProtocolIPv6": "disabled",
        "httpPutResponseHopLimit": 1,
        "httpTokens": "required",
    }
    (volume,) = described["blockDeviceMappings"]
    assert (volume["ebs"]["encrypted"], volume["ebs"]["volumeSize"], volume["rootVolume"]) == (True, "50Gi", True)


def test_network_and_role_are_named_and_not_searched_by_tags():
    described = spec(declared(), "EC2NodeClass")
    assert described["subnetSelectorTerms"] == [{"id": subnet} for subnet in SUBNETS]
    assert described["securityGroupSelectorTerms"] == [{"id": "sg-0123456789abcdef0"}], "the cluster's own"
    assert described["role"] == KARPENTER["node_role_name"]
    assert described["tags"] == {"spotbatch:stack": "work/test"}


def test_the_image_of_the_first_deployment_stays_until_it_is_released():
    deployment = declared(nodes={"image_release": "2026-08-20"})
    pin = deployment.only("Stash")
    assert (pin.inputs["input"], list(pin.raw.ignoreChanges)) == ("al2023@v20260810", ["input"])
    assert spec(deployment, "EC2NodeClass")["amiSelectorTerms"] == [{"alias": "al2023@v20260810"}]
    parameter = next(invoke.args["name"] for invoke in deployment.invokes if "getParameter" in invoke.token)
    assert parameter == "/aws/service/eks/optimized-ami/1.35/amazon-linux-2023/x86_64/standard/recommended/release_version"


def test_an_image_that_is_given_needs_no_look_up():
    deployment = declared(nodes={"image_alias": "al2023@v20260801", "security_group_ids": ["sg-1"]})
    assert deployment.invokes == []
    assert deployment.all("Stash") == []


def test_up_waits_until_karpenter_says_ready_and_destroy_until_the_nodes_are_gone(preview: bool):
    deployment = declared(preview)
    for kind in ("NodePool", "EC2NodeClass"):
        request = deployment.only(kind)
        assert request.inputs["metadata"]["annotations"] == {"pulumi.com/waitFor": "condition=Ready"}
        assert request.raw.customTimeouts.delete == "30m"


def test_subnets_that_become_known_later_are_taken():
    def program() -> None:
        SpotNodePool("batch-workers", {**SOUND, "subnet_ids": pulumi.Output.from_input(SUBNETS)})  # pyright: ignore[reportArgumentType]

    deployment = deploy(program)
    assert spec(deployment, "EC2NodeClass")["subnetSelectorTerms"] == [{"id": subnet} for subnet in SUBNETS]


def requirement(key: str, operator: str, **more: Any) -> dict[str, Any]:
    return {"instances": {"requirements": [{"key": key, "operator": operator, **more}]}}


_POOL, _CLASS = "NodePool spec.template", "EC2NodeClass spec.tags: Invalid value: "
_REQUIREMENTS = f"{_POOL}.spec.requirements"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        # a Spot pool without an interruption queue
        ({"karpenter": {**KARPENTER, "interruption_queue": ""}}, "karpenter.interruption_queue: '' is not allowed; allowed: the name of the queue"),
        ({"karpenter": {"cluster_name": "c", "node_role_name": "r"}}, "karpenter.interruption_queue: missing; allowed: a string"),
        ({"karpenter": {**KARPENTER, "interruption_queue": "arn:aws:sqs:us-east-1:1:q"}}, "karpenter.interruption_queue: 'arn:aws:sqs"),
        ({"karpenter": {**KARPENTER, "node_role_name": "arn:aws:iam::1:role/r"}}, "karpenter.node_role_name: 'arn:aws:iam::1:role/r' is not allowed"),
        # machines
        ({"instances": {"types": []}}, "instances.types: [] is not allowed; allowed: 1 to 100 entries"),
        ({"instances": {"types": ["m5"]}}, "instances.types[0]: 'm5' is not allowed; allowed: an instance type like m5.xlarge"),
        ({"instances": {"types": ["mac2.metal"]}}, "instances.types[0]: 'mac2.metal' is not allowed; allowed: a type that AWS sells as Spot"),
        ({"instances": {"types": ["m5.large", "m5.large"]}}, "instances.types[1]: 'm5.large' is not allowed; allowed: each type once"),
        ({"instances": {"types": ["m5.large", "m7g.large"]}}, "instances.types: ['m5.large', 'm7g.large'] is not allowed; allowed: one architecture"),
        ({"instances": {"types": ["m5.large"], "architecture": "arm64"}}, "instances.types: ['m5.large'] is not allowed; allowed: one architecture"),
        ({"instances": {"types": ["m5.large"], "cpus": [4]}}, "instances.cpus: [4] is not allowed; allowed: left out where instances.types"),
        ({"instances": {"types": ["m5.large"], "newer_than": 2}}, "instances.newer_than: 2 is not allowed; allowed: left out"),
        ({"instances": {"categories": []}}, "instances.categories: [] is not allowed; allowed: 1 or more entries"),
        ({"instances": {"categories": ["M5"]}}, "instances.categories[0]: 'M5' is not allowed"),
        ({"instances": {"cpus": [0]}}, "instances.cpus[0]: 0 is not allowed; allowed: 1 to 1024"),
        ({"instances": {"newer_than": -1}}, "instances.newer_than: -1 is not allowed; allowed: 0 to 99"),
        ({"instances": {"architecture": "amd64"}}, "instances.architecture: 'amd64' is not allowed; allowed: one of x86_64, arm64"),
        ({"instances": {"type": "m5.large"}}, "instances.type: no such argument; did you mean types?"),
        # the rest of a pool
        ({"limits": {"cpu": 0}}, "limits.cpu: 0 is not allowed; allowed: 1 or more"),
        ({"limits": {"cpu": "1000"}}, "limits.cpu: '1000' is not allowed; allowed: a whole number"),
        ({"limits": {}}, "limits.cpu: missing; allowed: a whole number"),
        ({"limits": {"cpu": 1, "memory_gib": 0}}, "limits.memory_gib: 0 is not allowed; allowed: 1 or more"),
        ({"on_demand": {"pool": "other"}}, "on_demand.pool: 'other' is not allowed; allowed: one of same, own"),
        ({"on_demand": {"pool": "same", "cpu": 10}}, "on_demand.cpu: 10 is not allowed; allowed: left out with pool same"),
        ({"subnet_ids": ["subnet-0a"]}, "subnet_ids: ['subnet-0a'] is not allowed; allowed: two or more subnets, one in each zone"),
        ({"subnet_ids": ["net-0a", "net-0b"]}, 'EC2NodeClass spec.subnetSelectorTerms[0].id: Invalid value: "net-0a": should match'),
        ({"nodes": {"image_alias": "al2023@latest"}}, "nodes.image_alias: 'al2023@latest' is not allowed; allowed: al2023@vYYYYMMDD"),
        ({"nodes": {"image_alias": "al2@v1"}}, "nodes.image_alias: 'al2@v1' is not allowed; allowed: al2023@vYYYYMMDD"),
        ({"nodes": {"image_alias": f"al2023@v{'1' * 30}"}}, "EC2NodeClass spec.amiSelectorTerms[0].alias: Too long: may not be more than 30 bytes"),
        ({"nodes": {"image_alias": "al2023@v1", "image_release": "x"}}, "nodes.image_release: 'x' is not allowed; allowed: left out"),
        ({"nodes": {"root_gib": 10}}, "nodes.root_gib: 10 is not allowed; allowed: 20 to 16384"),
        ({"nodes": {"security_group_ids": []}}, "nodes.security_group_ids: [] is not allowed; allowed: 1 or more entries"),
        ({"nodes": {"security_group_ids": ["group"]}}, 'EC2NodeClass spec.securityGroupSelectorTerms[0].id: Invalid value: "group": should match'),
        # taints and labels, in Karpenter's words
        ({"nodes": {"taint_key": ""}}, f'{_POOL}.spec.taints[0].key: Invalid value: "": should'),
        ({"nodes": {"taint_key": "a b"}}, f'{_POOL}.spec.taints[0].key: Invalid value: "a b": should match'),
        ({"nodes": {"labels": {"team": "a b"}}}, f'{_POOL}.metadata.labels[team]: Invalid value: "a b": should match'),
        ({"nodes": {"labels": {"team": "x" * 64}}}, f"{_POOL}.metadata.labels[team]: Too long: may not be more than 63 bytes"),
        ({"nodes": {"labels": {"karpenter.sh/team": "a"}}}, f'{_POOL}.metadata.labels: Invalid value: label domain "karpenter.sh" is restricted'),
        (
            {"nodes": {"labels": {"karpenter.sh/nodepool": "a"}}},
            f'{_POOL}.metadata.labels: Invalid value: label "karpenter.sh/nodepool" is restricted',
        ),
        ({"nodes": {"labels": {"kubernetes.io/hostname": "a"}}}, f'{_POOL}.metadata.labels: Invalid value: label "kubernetes.io/hostname" is'),
        ({"nodes": {"labels": {"karpenter.k8s.aws/team": "a"}}}, f'{_POOL}.metadata.labels: Invalid value: label domain "karpenter.k8s.aws" is'),
        ({"nodes": {"labels": {f"label-{n}": "" for n in range(101)}}}, f"{_POOL}.metadata.labels: Too many: 101: must have at most 100 items"),
        # requirements, in Karpenter's words
        (requirement("kubernetes.io/arch", "Is"), f'{_REQUIREMENTS}[6].operator: Unsupported value: "Is": supported values: "Gte"'),
        (requirement("instance type", "Exists"), f'{_REQUIREMENTS}[6].key: Invalid value: "instance type": should match'),
        (requirement("kubernetes.io/arch", "In"), f"{_REQUIREMENTS}: Invalid value: requirements with operator 'In' must have a value"),
        (
            requirement("kubernetes.io/arch", "In", values=[]),
            f"{_REQUIREMENTS}: Invalid value: requirements with operator 'In' must have a value",
        ),
        (requirement("a", "Gt", values=["1", "2"]), f"{_REQUIREMENTS}: Invalid value: requirements operator 'Gt', 'Lt', 'Gte', or 'Lte' must have"),
        (requirement("a", "Lt", values=["-1"]), f"{_REQUIREMENTS}: Invalid value: requirements operator 'Gt', 'Lt', 'Gte', or 'Lte' must have"),
        (requirement("a", "In", values=["x"], min_values=2), f"{_REQUIREMENTS}: Invalid value: requirements with 'minValues' must have at least"),
        (requirement("a", "Exists", min_values=51), f"{_REQUIREMENTS}[6].minValues: Invalid value: 51: should be less than or equal to 50"),
        (requirement("a", "Exists", min_values=0), f"{_REQUIREMENTS}[6].minValues: Invalid value: 0: should be greater than or equal to 1"),
        (requirement("karpenter.sh/team", "Exists"), f'{_REQUIREMENTS}[6].key: Invalid value: label domain "karpenter.sh" is restricted'),
        (requirement("karpenter.sh/nodepool", "Exists"), f'{_REQUIREMENTS}[6].key: Invalid value: label "karpenter.sh/nodepool" is restricted'),
        (requirement("kubernetes.io/hostname", "Exists"), f'{_REQUIREMENTS}[6].key: Invalid value: label "kubernetes.io/hostname" is restricted'),
        (requirement("karpenter.k8s.aws/cpu", "Exists"), f'{_REQUIREMENTS}[6].key: Invalid value: label domain "karpenter.k8s.aws" is restricted'),
        # tags, in Karpenter's words
        ({"tags": {"eks:eks-cluster-name": "a"}}, f"{_CLASS}tag contains a restricted tag matching eks:eks-cluster-name"),
        ({"tags": {"kubernetes.io/cluster/a": "owned"}}, f"{_CLASS}tag contains a restricted tag matching kubernetes.io/cluster/"),
        ({"tags": {"karpenter.sh/nodepool": "a"}}, f"{_CLASS}tag contains a restricted tag matching karpenter.sh/nodepool"),
        ({"tags": {"karpenter.sh/nodeclaim": "a"}}, f"{_CLASS}tag contains a restricted tag matching karpenter.sh/nodeclaim"),
        ({"tags": {"karpenter.k8s.aws/ec2nodeclass": "a"}}, f"{_CLASS}tag contains a restricted tag matching karpenter.k8s.aws/ec2nodeclass"),
        ({"tags": {"": "a"}}, "tags['']: '' is not allowed; allowed: 1 to 128 letters"),
    ],
    ids=str,
)
def test_a_planted_fault_is_refused_before_the_api_server_is_asked(changes: dict[str, Any], said: str):
    told = faults(**changes)
    assert any(fault.startswith(said) for fault in told), told


@pytest.mark.parametrize("name", ["Batch", "batch_workers", "-batch", "b" * 53, ""])
def test_a_name_that_kubernetes_would_refuse_is_refused(name: str):
    assert faults(name)[0].startswith(f"name: {name!r} is not allowed")


def test_all_faults_are_told_at_once():
    assert len(faults(limits={"cpu": 0}, nodes={"root_gib": 1}, instances={"types": ["m5"]}, subnet_ids=["subnet-1"])) == 4
