import json
from itertools import pairwise
from typing import Any

import pulumi
import pytest
from pulumi_spotbatch.eks import Karpenter, SpotJob, SpotNodePool, karpenter
from pulumi_spotbatch.eks.karpenter_policies import policies
from pulumi_spotbatch.validation import InvalidArgs

from tests.components.iam_lint import iam_faults
from tests.components.recorder import Deployment, deploy
from tests.components.samples import CLUSTER, QUEUE, SAMPLES, SUBNETS

PUBLISHED: dict[str, tuple[str, str]] = {
    # sid: actions, where they are allowed
    "AllowScopedEC2InstanceAccessActions": (
        "ec2:RunInstances CreateFleet",
        "image snapshot security-group subnet capacity-reservation placement-group",
    ),
    "AllowScopedEC2LaunchTemplateAccessActions": ("ec2:RunInstances CreateFleet", "launch-template"),
    "AllowScopedEC2InstanceActionsWithTags": (
        "ec2:RunInstances CreateFleet CreateLaunchTemplate",
        "fleet instance volume network-interface launch-template spot-instances-request",
    ),
    "AllowScopedResourceCreationTagging": (
        "ec2:CreateTags",
        "fleet instance volume network-interface launch-template spot-instances-request",
    ),
    "AllowScopedResourceTagging": ("ec2:CreateTags", "instance"),
    "AllowScopedDeletion": ("ec2:TerminateInstances DeleteLaunchTemplate", "instance launch-template"),
    "AllowPassingInstanceRole": ("iam:PassRole", "role"),
    "AllowScopedInstanceProfileCreationActions": ("iam:CreateInstanceProfile", "instance-profile"),
    "AllowScopedInstanceProfileTagActions": ("iam:TagInstanceProfile", "instance-profile"),
    "AllowScopedInstanceProfileActions": ("iam:AddRoleToInstanceProfile RemoveRoleFromInstanceProfile DeleteInstanceProfile", "instance-profile"),
    "AllowAPIServerEndpointDiscovery": ("eks:DescribeCluster", "cluster"),
    "AllowInterruptionQueueActions": ("sqs:DeleteMessage GetQueueUrl ReceiveMessage", "queue"),
    "AllowZonalShiftStatusReadOnly": ("arc-zonal-shift:GetManagedResource", "*"),
    "AllowRegionalReadActions": (
        "ec2:DescribeCapacityReservations DescribeImages DescribeInstances DescribeInstanceStatus DescribeInstanceTypeOfferings DescribeInstanceTypes"
        " DescribeLaunchTemplates DescribePlacementGroups DescribeSecurityGroups DescribeSpotPriceHistory DescribeSubnets",
        "*",
    ),
    "AllowSSMReadActions": ("ssm:GetParameter", "parameter"),
    "AllowPricingReadActions": ("pricing:GetProducts", "*"),
    "AllowUnscopedInstanceProfileListAction": ("iam:ListInstanceProfiles", "*"),
    "AllowInstanceProfileReadActions": ("iam:GetInstanceProfile", "instance-profile"),
}
"""Read off the template of v1.14: https://karpenter.sh/v1.14/reference/cloudformation/"""

CONDITIONS: dict[str, set[str]] = {
    "AllowScopedEC2LaunchTemplateAccessActions": {
        "StringEquals aws:ResourceTag/kubernetes.io/cluster/batch owned",
        "StringLike aws:ResourceTag/karpenter.sh/nodepool *",
    },
    "AllowScopedEC2InstanceActionsWithTags": {
        "StringEquals aws:RequestTag/kubernetes.io/cluster/batch owned",
        "StringEquals aws:RequestTag/eks:eks-cluster-name batch",
        "StringLike aws:RequestTag/karpenter.sh/nodepool *",
    },
    "AllowScopedResourceCreationTagging": {
        "StringEquals aws:RequestTag/kubernetes.io/cluster/batch owned",
        "StringEquals aws:RequestTag/eks:eks-cluster-name batch",
        "StringEquals ec2:CreateAction RunInstances",
        "StringEquals ec2:CreateAction CreateFleet",
        "StringEquals ec2:CreateAction CreateLaunchTemplate",
        "StringLike aws:RequestTag/karpenter.sh/nodepool *",
    },
    "AllowScopedResourceTagging": {
        "StringEquals aws:ResourceTag/kubernetes.io/cluster/batch owned",
        "StringLike aws:ResourceTag/karpenter.sh/nodepool *",
        "StringEqualsIfExists aws:RequestTag/eks:eks-cluster-name batch",
        "ForAllValues:StringEquals aws:TagKeys eks:eks-cluster-name",
        "ForAllValues:StringEquals aws:TagKeys karpenter.sh/nodeclaim",
        "ForAllValues:StringEquals aws:TagKeys Name",
    },
    "AllowScopedDeletion": {
        "StringEquals aws:ResourceTag/kubernetes.io/cluster/batch owned",
        "StringLike aws:ResourceTag/karpenter.sh/nodepool *",
    },
    "AllowPassingInstanceRole": {
        "StringEquals iam:PassedToService ec2.amazonaws.com",
        "StringEquals iam:PassedToService ec2.amazonaws.com.cn",
    },
    "AllowScopedInstanceProfileCreationActions": {
        "StringEquals aws:RequestTag/kubernetes.io/cluster/batch owned",
        "StringEquals aws:RequestTag/eks:eks-cluster-name batch",
        "StringEquals aws:RequestTag/topology.kubernetes.io/region us-east-1",
        "StringLike aws:RequestTag/karpenter.k8s.aws/ec2nodeclass *",
    },
    "AllowScopedInstanceProfileTagActions": {
        "StringEquals aws:ResourceTag/kubernetes.io/cluster/batch owned",
        "StringEquals aws:ResourceTag/topology.kubernetes.io/region us-east-1",
        "StringEquals aws:RequestTag/kubernetes.io/cluster/batch owned",
        "StringEquals aws:RequestTag/eks:eks-cluster-name batch",
        "StringEquals aws:RequestTag/topology.kubernetes.io/region us-east-1",
        "StringLike aws:ResourceTag/karpenter.k8s.aws/ec2nodeclass *",
        "StringLike aws:RequestTag/karpenter.k8s.aws/ec2nodeclass *",
    },
    "AllowScopedInstanceProfileActions": {
        "StringEquals aws:ResourceTag/kubernetes.io/cluster/batch owned",
        "StringEquals aws:ResourceTag/topology.kubernetes.io/region us-east-1",
        "StringLike aws:ResourceTag/karpenter.k8s.aws/ec2nodeclass *",
    },
    "AllowZonalShiftStatusReadOnly": {f"StringEquals arc-zonal-shift:ResourceIdentifier {CLUSTER}"},
    "AllowRegionalReadActions": {"StringEquals aws:RequestedRegion us-east-1"},
}

NODE_ROLE, QUEUE_ARN = "arn:aws:iam::123456789012:role/node", "arn:aws:sqs:us-east-1:123456789012:interruptions"


def declared(preview: bool = False, **changes: Any) -> Deployment:
    args: Any = {"cluster_arn": CLUSTER, "subnet_ids": SUBNETS[:2], **changes}
    return deploy(lambda: Karpenter("k", {key: value for key, value in args.items() if value is not None}), preview=preview)  # pyright: ignore[reportArgumentType]


def faults(**changes: Any) -> list[str]:
    with pytest.raises(InvalidArgs) as raised:
        declared(**changes)
    return list(raised.value.faults)


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def statements(cluster_arn: str = CLUSTER) -> list[dict[str, Any]]:
    documents = policies(cluster_arn, NODE_ROLE, QUEUE_ARN).values()
    return [statement for document in documents for statement in json.loads(document)["Statement"]]


def kind(resource: str) -> str:
    """The kind of thing that an ARN names."""
    if resource == QUEUE_ARN:
        return "queue"
    return resource if resource == "*" else resource.split(":", 5)[5].split("/")[0]


def test_the_controller_has_the_published_permissions_and_no_other():
    found = {s["Sid"]: ({*listed(s["Action"])}, sorted(map(kind, listed(s["Resource"])))) for s in statements()}
    published = {}
    for sid, (actions, kinds) in PUBLISHED.items():
        service = actions.split(":")[0]
        published[sid] = ({f"{service}:{action.removeprefix(service + ':')}" for action in actions.split()}, sorted(kinds.split()))
    assert found == published
    assert len(statements()) == 18
    assert len({action for actions, _ in found.values() for action in actions}) == 32


def test_each_permission_is_held_to_the_published_conditions():
    found = {
        s["Sid"]: {
            f"{operator} {key} {value}" for operator, keys in s["Condition"].items() for key, values in keys.items() for value in listed(values)
        }
        for s in statements()
        if "Condition" in s
    }
    assert found == CONDITIONS


@pytest.mark.parametrize(
    ("partition", "region"),
    [("aws", "us-east-1"), ("aws", "ap-northeast-1"), ("aws-us-gov", "us-gov-east-1"), ("aws-cn", "cn-northwest-1"), ("aws-iso-b", "us-isob-east-1")],
)
def test_the_longest_cluster_name_fits_into_a_policy_in_every_partition(partition: str, region: str):
    arn = f"arn:{partition}:eks:{region}:123456789012:cluster/{'c' * 100}"
    documents = policies(arn, NODE_ROLE, QUEUE_ARN)
    assert len(documents) == 6
    assert max(map(len, documents.values())) <= 3_709
    mentioned = {
        arn.split(":")[1] for s in statements(arn) for arn in listed(s["Resource"]) if arn.startswith("arn:") and arn not in (NODE_ROLE, QUEUE_ARN)
    }
    assert mentioned == {partition}


def test_every_document_that_is_declared_is_sound():
    kinds = {"QueuePolicy": "queue"}
    checked = 0
    for request in declared().requests:
        for field, what in (("policy", kinds.get(request.type.split(":")[-1], "identity")), ("assumeRolePolicy", "trust")):
            if field in request.inputs:
                checked += 1
                assert iam_faults(request.inputs[field], what) == [], request.name
    assert checked == 6 + 1 + 3


def test_the_six_policies_are_attached_to_the_role_that_the_service_account_takes():
    deployment = declared()
    (association,) = [one.inputs for one in deployment.all("PodIdentityAssociation")]
    release = next(r.inputs for r in deployment.all("Release") if r.inputs["name"] == "karpenter")
    assert (association["namespace"], association["serviceAccount"]) == (release["namespace"], release["values"]["serviceAccount"]["name"])
    assert association["roleArn"].endswith("k-controller")
    attached = [one.inputs["policyArn"] for one in deployment.all("RolePolicyAttachment") if one.inputs["role"] == "k-controller"]
    assert len(attached) == 6


def test_karpenter_is_told_its_queue_and_its_cluster():
    deployment = declared()
    values = next(r.inputs["values"] for r in deployment.all("Release") if r.inputs["name"] == "karpenter")
    assert values["settings"] == {"clusterName": "batch", "interruptionQueue": deployment.only("Queue").name}
    assert values["controller"]["resources"]["requests"] == {"cpu": "1", "memory": "1Gi"}


def test_both_charts_have_fixed_names_and_one_version_that_stays():
    deployment = declared()
    releases = {r.inputs["name"]: r for r in deployment.all("Release")}
    assert set(releases) == {"karpenter", "karpenter-crd"}
    assert {r.inputs["version"] for r in releases.values()} == {karpenter.CHART_VERSION}
    assert all(r.inputs["skipCrds"] for r in releases.values())
    pin = deployment.only("Stash")
    assert list(pin.raw.ignoreChanges) == ["input"]


def test_a_version_that_is_given_is_taken_without_a_stash():
    deployment = declared(chart_version="1.15.0")
    assert {r.inputs["version"] for r in deployment.all("Release")} == {"1.15.0"}
    assert deployment.all("Stash") == []


def test_the_controller_runs_on_two_nodes_of_its_own_that_other_pods_keep_off():
    deployment = declared()
    group = deployment.only("NodeGroup").inputs
    assert group["scalingConfig"] == {"desiredSize": 2, "minSize": 2, "maxSize": 2}
    assert group["taints"] == [{"key": "CriticalAddonsOnly", "value": "true", "effect": "NO_SCHEDULE"}]
    values = next(r.inputs["values"] for r in deployment.all("Release") if r.inputs["name"] == "karpenter")
    assert group["labels"].items() <= values["nodeSelector"].items()
    assert group["nodeRoleArn"] != deployment.only("AccessEntry").inputs["principalArn"], "EKS makes the entry of a node group's role itself"


def test_on_nodes_that_exist_none_are_made():
    deployment = declared(subnet_ids=None, controller_nodes={"pool": "system"})
    assert deployment.all("NodeGroup") == []
    values = next(r.inputs["values"] for r in deployment.all("Release") if r.inputs["name"] == "karpenter")
    assert values["nodeSelector"] == {"kubernetes.io/os": "linux", "pool": "system"}


def test_karpenters_nodes_may_join_the_cluster():
    deployment = declared()
    entry = deployment.only("AccessEntry").inputs
    assert (entry["type"], entry["clusterName"]) == ("EC2_LINUX", "batch")
    attached = {one.inputs["policyArn"].rpartition("/")[2] for one in deployment.all("RolePolicyAttachment") if one.inputs["role"] == "k-node"}
    assert attached == {"AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly", "AmazonEKS_CNI_Policy", "AmazonSSMManagedInstanceCore"}


def test_the_queue_takes_messages_of_these_rules_alone_and_nothing_without_tls():
    deployment = declared()
    allow, deny = json.loads(deployment.only("QueuePolicy").inputs["policy"])["Statement"]
    assert (allow["Action"], allow["Principal"]) == ("sqs:SendMessage", {"Service": "events.amazonaws.com"})
    assert len(allow["Condition"]["ArnEquals"]["aws:SourceArn"]) == 5
    assert (deny["Effect"], deny["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    queue = deployment.only("Queue").inputs
    assert (queue["messageRetentionSeconds"], queue["sqsManagedSseEnabled"]) == (300, True)


def test_an_alarm_goes_off_when_nobody_reads_the_queue():
    deployment = declared(alarm_topic_arn="arn:aws:sns:us-east-1:123456789012:on-call")
    alarms = {alarm.name.removeprefix("k-"): alarm.inputs for alarm in deployment.all("MetricAlarm")}
    oldest = alarms["oldest-event"]
    assert (oldest["metricName"], oldest["threshold"], oldest["statistic"]) == ("ApproximateAgeOfOldestMessage", 60, "Maximum")
    assert oldest["dimensions"] == {"QueueName": deployment.only("Queue").name}
    assert len([role for role in alarms if role.endswith("-undelivered")]) == 5
    assert all(alarm["alarmActions"] == ["arn:aws:sns:us-east-1:123456789012:on-call"] for alarm in alarms.values())


def needed_by(deployment: Deployment, urn: str) -> set[str]:
    """Everything that the engine takes away only after this resource: its dependencies, theirs, and those of parents."""
    by_urn = {request.urn: request for request in deployment.requests}
    found: set[str] = set()
    waiting = [urn]
    while waiting:
        request = by_urn[waiting.pop()]
        for other in [dependency.replace("pulumi:pulumi:Stack$", "") for dependency in request.raw.dependencies]:
            if other in by_urn and other not in found:
                found.add(other)
                waiting.append(other)
    return found


def test_a_destroy_takes_job_pool_class_controller_definitions_and_then_what_they_stand_on(preview: bool):
    def program() -> None:
        karpenter = Karpenter("k", {"cluster_arn": CLUSTER, "subnet_ids": SUBNETS[:2]})
        given: Any = {"karpenter": karpenter.access, "subnet_ids": SUBNETS, "limits": {"cpu": 10}, "on_demand": {"pool": "own"}}
        pool = SpotNodePool("pool", {**given, "nodes": {"image_alias": "al2023@v20260810"}})  # pyright: ignore[reportArgumentType]
        SpotJob("job", {**SAMPLES["SpotJob"], "queue": QUEUE, "pool": pool.placement})  # pyright: ignore[reportArgumentType]

    deployment = deploy(program, preview=preview)
    of = {
        "job": deployment.named("job-job"),
        "pool": deployment.named("pool-pool"),
        "on demand": deployment.named("pool-on-demand"),
        "class": deployment.named("pool-class"),
        "controller": next(r for r in deployment.all("Release") if r.inputs["name"] == "karpenter"),
        "definitions": next(r for r in deployment.all("Release") if r.inputs["name"] == "karpenter-crd"),
    }
    chains = [
        ["job", "pool", "class", "controller", "definitions"],
        ["job", "on demand", "class", "controller", "definitions"],
    ]
    for chain in chains:
        for earlier, later in pairwise(chain):
            assert of[later].urn in needed_by(deployment, of[earlier].urn), f"{earlier} goes before {later}"
    ground = {
        "Queue",
        "QueuePolicy",
        "EventTarget",
        "EventRule",
        "Role",
        "RolePolicyAttachment",
        "Policy",
        "AccessEntry",
        "PodIdentityAssociation",
        "NodeGroup",
    }
    below = needed_by(deployment, of["definitions"].urn)
    standing = [r for r in deployment.requests if r.type.split(":")[-1] in ground and r.name.startswith("k-")]
    assert {r.type.split(":")[-1] for r in standing} == ground
    assert [r.urn for r in standing if r.urn not in below] == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cluster_arn": "batch"}, "cluster_arn: 'batch' is not allowed; allowed: an EKS cluster's ARN, arn:aws:eks:REGION:ACCOUNT:cluster/NAME"),
        ({"cluster_arn": None}, "cluster_arn: missing; allowed: a string"),
        ({"subnet_ids": ["subnet-0a"]}, "subnet_ids: ['subnet-0a'] is not allowed; allowed: two or more subnets, in different zones"),
        ({"subnet_ids": ["subnet-0a", "subnet-0a"]}, "subnet_ids: ['subnet-0a', 'subnet-0a'] is not allowed"),
        ({"subnet_ids": ["sub", "subnet-0a"]}, "subnet_ids[0]: 'sub' is not allowed; allowed: a subnet id like subnet-0123456789abcdef0"),
        ({"subnet_ids": None}, "subnet_ids: give either subnet_ids, to have two nodes made for Karpenter, or controller_nodes, which exist"),
        ({"controller_nodes": {"a": "b"}}, "subnet_ids: give either subnet_ids"),
        ({"subnet_ids": None, "controller_nodes": {}}, "controller_nodes: {} is not allowed; allowed: one or more labels"),
        ({"chart_version": "v1.14.1"}, "chart_version: 'v1.14.1' is not allowed; allowed: a version such as 1.14.1, without v"),
        ({"chart_version": "1.6.0"}, "chart_version: '1.6.0' is not allowed; allowed: 1.12.0 or newer: older ones want other permissions"),
        ({"alarm_topic_arn": "topic"}, "alarm_topic_arn: 'topic' is not allowed; allowed: the ARN of an SNS topic"),
    ],
    ids=str,
)
def test_what_could_not_work_is_refused_before_anything_is_declared(changes: dict[str, Any], said: str):
    assert any(fault.startswith(said) for fault in faults(**changes)), faults(**changes)


def test_arguments_that_become_known_later_are_taken():
    deployment = deploy(
        lambda: Karpenter("k", {"cluster_arn": pulumi.Output.from_input(CLUSTER), "subnet_ids": [pulumi.Output.from_input(s) for s in SUBNETS]})
    )
    assert deployment.only("NodeGroup").inputs["clusterName"] == "batch"
