"""Karpenter in a cluster, so that interrupted nodes are emptied in time."""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from ..aws import interruption_alarms, interruption_policies
from ..aws.iam import document, trust
from ..aws.interruption_alarms import Alarm
from ..aws.tagging import check_tags, own_tags
from ..validation import Faults, like
from .karpenter_access import KarpenterAccess
from .karpenter_events import KARPENTER_EVENTS
from .karpenter_policies import policies

CHART_VERSION = "1.14.1"
"""Newest chart whose permissions `karpenter_policies` holds."""

CHARTS = "oci://public.ecr.aws/karpenter"

NAMESPACE, SERVICE_ACCOUNT = "kube-system", "karpenter"
"""https://karpenter.sh/v1.14/getting-started/getting-started-with-karpenter/: kube-system's requests go first at a busy API server."""

RETENTION_SECONDS = 300
"""As Karpenter's own template: an interruption that is older is over."""

OLDEST_SECONDS = 60
"""Karpenter polls without a pause, 20 s at a time; a message that is a minute old is one that nobody fetches."""

_NODE_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly", "AmazonEKS_CNI_Policy", "AmazonSSMManagedInstanceCore")

_CONTROLLER_LABEL = {"karpenter.sh/controller": "true"}


class KarpenterArgs(TypedDict):
    """What a Karpenter needs to know."""

    cluster_arn: pulumi.Input[str]
    """ARN of the EKS cluster. It needs the add-on `eks-pod-identity-agent`, and the authentication mode API or API_AND_CONFIG_MAP."""
    subnet_ids: NotRequired[Sequence[pulumi.Input[str]]]
    """Two or more private subnets in different zones, for the two nodes (m5.large, on demand) that Karpenter itself runs on. Give this or
    `controller_nodes`."""
    controller_nodes: NotRequired[Mapping[str, str]]
    """Labels of nodes that exist for Karpenter to run on: two or more, in two zones, and none of them Karpenter's own. No nodes are made then."""
    chart_version: NotRequired[str]
    """Version of the charts `karpenter` and `karpenter-crd`, such as 1.14.1. Default: the newest that this package knows at the first
    deployment, and the same one ever after: set it to move on."""
    alarm_topic_arn: NotRequired[pulumi.Input[str]]
    """SNS topic that is told of every alarm. Default: none; the alarms show in CloudWatch and tell nobody."""
    tags: NotRequired[Mapping[str, pulumi.Input[str]]]
    """Tags for every resource that takes tags. Default: the stack's own tag alone."""


class Karpenter(pulumi.ComponentResource):
    """Run Karpenter in a cluster, with everything it needs to empty a node before its machine is taken.

    Creates the controller's role (the permissions that Karpenter publishes, as six policies) and its Pod Identity association, the nodes'
    role and access entry, the interruption queue (encrypted, open to these rules only) with a rule for each of the five kinds of event,
    the Helm releases `karpenter-crd` and `karpenter` with that queue in `settings.interruptionQueue`, two nodes for the controller unless
    told which to use, and alarms for a queue that nobody reads and a rule that does not deliver.

    Leaves to you: the cluster with the add-on `eks-pod-identity-agent`, and, once an account, EC2's service-linked role for Spot
    (`aws iam create-service-linked-role --aws-service-name spot.amazonaws.com`). On Fargate or EKS Auto Mode see docs/kubernetes.md.

    One a cluster. What its nodes are is said by `SpotNodePool`. Raises InvalidArgs.
    """

    controller_role_arn: pulumi.Output[str]
    """Role of the controller."""
    node_role_name: pulumi.Output[str]
    """Role of the nodes: attach what every pod of a node may do, which is best nothing."""
    node_role_arn: pulumi.Output[str]
    """ARN of the nodes' role."""
    interruption_queue: pulumi.Output[str]
    """Name of the interruption queue."""
    interruption_queue_arn: pulumi.Output[str]
    """ARN of the interruption queue."""
    chart_version: pulumi.Output[str]
    """Version of the charts that are installed."""
    rule_arns: pulumi.Output[Mapping[str, str]]
    """ARN of each rule, by event."""
    alarm_arns: pulumi.Output[Mapping[str, str]]
    """ARN of each alarm, by what must not happen."""

    def __init__(self, name: str, args: KarpenterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        given = checked(name, args)
        super().__init__("spotbatch:index:Karpenter", name, {}, opts)
        self._name, self._child = name, pulumi.ResourceOptions(parent=self)
        self._tags = own_tags(given.get("tags"))
        arn = pulumi.Output.from_input(given["cluster_arn"])
        self._partition = arn.apply(lambda known: known.split(":")[1])
        cluster = arn.apply(lambda known: known.rpartition("/")[2])

        node_role, node_needs = self._node_role("node")
        entry = aws.eks.AccessEntry(
            f"{name}-node", cluster_name=cluster, principal_arn=node_role.arn, type="EC2_LINUX", tags=self._tags, opts=self._child
        )
        queue = aws.sqs.Queue(
            f"{name}-interruptions",
            message_retention_seconds=RETENTION_SECONDS,
            sqs_managed_sse_enabled=True,
            tags=self._tags,
            opts=self._child,
        )
        rules, deliveries = self._rules(queue)
        controller_role, permissions = self._controller(arn, cluster, node_role, queue)
        machines = [self._system_nodes(cluster, given["subnet_ids"])] if "subnet_ids" in given else []

        version = pulumi.Output.from_input(given["chart_version"]) if "chart_version" in given else self._pinned_version()
        # Karpenter empties its last node at destroy, so everything that takes must still be there.
        needs: list[pulumi.Resource] = [*permissions, *node_needs, entry, queue, *deliveries, *machines]
        definitions = self._release("crd", "karpenter-crd", version, {}, needs)
        values = {
            "serviceAccount": {"create": True, "name": SERVICE_ACCOUNT},
            "replicas": 2,
            "settings": {"clusterName": cluster, "interruptionQueue": queue.name},
            # https://karpenter.sh/v1.14/reference/settings/: the chart has none, and an unlimited controller is evicted first.
            "controller": {"resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}},
            "nodeSelector": {"kubernetes.io/os": "linux", **given.get("controller_nodes", _CONTROLLER_LABEL)},
        }
        controller = self._release("controller", "karpenter", version, values, [definitions, *needs])
        alarms = self._alarms(queue, rules, given.get("alarm_topic_arn"))

        # By way of the release, so that whatever uses the role or the queue is destroyed before the controller that cleans up after it.
        self._access: KarpenterAccess = {
            "cluster_name": _after(controller, cluster),
            "node_role_name": _after(controller, node_role.name),
            "interruption_queue": _after(controller, queue.name),
        }
        self.controller_role_arn = controller_role.arn
        self.node_role_name, self.node_role_arn = node_role.name, node_role.arn
        self.interruption_queue, self.interruption_queue_arn = queue.name, queue.arn
        self.chart_version = version
        self.rule_arns = pulumi.Output.all(**{event: rule.arn for event, rule in rules.items()})
        self.alarm_arns = pulumi.Output.all(**{role: alarm.arn for role, alarm in alarms.items()})
        self.register_outputs(
            {
                "controllerRoleArn": self.controller_role_arn,
                "nodeRoleName": self.node_role_name,
                "nodeRoleArn": self.node_role_arn,
                "interruptionQueue": self.interruption_queue,
                "interruptionQueueArn": self.interruption_queue_arn,
                "chartVersion": self.chart_version,
                "ruleArns": self.rule_arns,
                "alarmArns": self.alarm_arns,
            }
        )

    @property
    def access(self) -> KarpenterAccess:
        """Karpenter in the form in which node pools take it: `{"karpenter": karpenter.access, ...}`."""
        return self._access

    def _node_role(self, role: str) -> tuple["aws.iam.Role", list[pulumi.Resource]]:
        """A role for machines that join the cluster, and the policies that must be attached before they do."""
        own = aws.iam.Role(f"{self._name}-{role}", assume_role_policy=trust("ec2.amazonaws.com"), tags=self._tags, opts=self._child)
        attached: list[pulumi.Resource] = [
            aws.iam.RolePolicyAttachment(
                f"{self._name}-{role}-{policy}",
                role=own.name,
                policy_arn=pulumi.Output.concat("arn:", self._partition, ":iam::aws:policy/", policy),
                opts=self._child,
            )
            for policy in _NODE_POLICIES
        ]
        return own, attached

    def _controller(
        self, cluster_arn: pulumi.Output[str], cluster: pulumi.Output[str], node_role: "aws.iam.Role", queue: "aws.sqs.Queue"
    ) -> tuple["aws.iam.Role", list[pulumi.Resource]]:
        name, child = self._name, self._child
        role = aws.iam.Role(f"{name}-controller", assume_role_policy=pod_trust(), tags=self._tags, opts=child)
        documents = pulumi.Output.all(cluster_arn, node_role.arn, queue.arn).apply(lambda arns: policies(*arns))
        made: list[pulumi.Resource] = []
        for what in policies("arn:aws:eks:us-east-1:123456789012:cluster/any", "", ""):
            policy = aws.iam.Policy(f"{name}-{what}", policy=documents[what], tags=self._tags, opts=child)
            made.append(aws.iam.RolePolicyAttachment(f"{name}-{what}", role=role.name, policy_arn=policy.arn, opts=child))
        made.append(
            aws.eks.PodIdentityAssociation(
                f"{name}-controller",
                cluster_name=cluster,
                namespace=NAMESPACE,
                service_account=SERVICE_ACCOUNT,
                role_arn=role.arn,
                tags=self._tags,
                opts=child,
            )
        )
        return role, made

    def _rules(self, queue: "aws.sqs.Queue") -> tuple[dict[str, "aws.cloudwatch.EventRule"], list[pulumi.Resource]]:
        rules = {
            event.name: aws.cloudwatch.EventRule(
                f"{self._name}-{event.name}",
                description=event.description,
                event_pattern=pulumi.Output.json_dumps(event.pattern, sort_keys=True),
                tags=self._tags,
                opts=self._child,
            )
            for event in KARPENTER_EVENTS
        }
        open_to_rules = aws.sqs.QueuePolicy(
            f"{self._name}-interruptions",
            queue_url=queue.url,
            policy=interruption_policies.from_rules(queue.arn, [rule.arn for rule in rules.values()]),
            opts=self._child,
        )
        targets: list[pulumi.Resource] = [
            aws.cloudwatch.EventTarget(
                f"{self._name}-{event}",
                rule=rule.name,
                arn=queue.arn,
                retry_policy=aws.cloudwatch.EventTargetRetryPolicyArgs(maximum_event_age_in_seconds=RETENTION_SECONDS, maximum_retry_attempts=185),
                # EventBridge drops at once what a queue's policy does not let it send.
                opts=pulumi.ResourceOptions(parent=self, depends_on=[open_to_rules]),
            )
            for event, rule in rules.items()
        ]
        return rules, targets

    def _system_nodes(self, cluster: pulumi.Output[str], subnet_ids: Sequence[pulumi.Input[str]]) -> pulumi.Resource:
        """Two machines in two zones: the chart's two replicas share neither node nor zone."""
        role, attached = self._node_role("system")
        return aws.eks.NodeGroup(
            f"{self._name}-system",
            cluster_name=cluster,
            node_role_arn=role.arn,
            subnet_ids=subnet_ids,
            ami_type="AL2023_x86_64_STANDARD",
            capacity_type="ON_DEMAND",
            instance_types=["m5.large"],
            scaling_config=aws.eks.NodeGroupScalingConfigArgs(desired_size=2, min_size=2, max_size=2),
            update_config=aws.eks.NodeGroupUpdateConfigArgs(max_unavailable=1),
            labels=_CONTROLLER_LABEL,
            taints=[aws.eks.NodeGroupTaintArgs(key="CriticalAddonsOnly", value="true", effect="NO_SCHEDULE")],
            tags=self._tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=attached),
        )

    def _pinned_version(self) -> pulumi.Output[str]:
        """What was newest when this was first deployed: a new Karpenter replaces nodes, which nobody wants as a by-product."""
        pin = pulumi.Stash(f"{self._name}-chart", input=CHART_VERSION, opts=pulumi.ResourceOptions(parent=self, ignore_changes=["input"]))
        return pin.output

    def _release(
        self, role: str, chart: str, version: pulumi.Output[str], values: Mapping[str, Any], needs: Sequence[pulumi.Resource]
    ) -> "kubernetes.helm.v3.Release":
        return kubernetes.helm.v3.Release(
            f"{self._name}-{role}",
            # The chart names the service account after the release, and the Pod Identity association names that.
            name=chart,
            chart=f"{CHARTS}/{chart}",
            version=version,
            namespace=NAMESPACE,
            # They come with karpenter-crd, which also upgrades them.
            skip_crds=True,
            values=values,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(needs)),
        )

    def _alarms(
        self, queue: "aws.sqs.Queue", rules: Mapping[str, "aws.cloudwatch.EventRule"], topic: pulumi.Input[str] | None
    ) -> dict[str, "aws.cloudwatch.MetricAlarm"]:
        watched = [
            Alarm(
                "oldest-event",
                "Karpenter does not read its interruption queue: nodes are taken away with their pods still working.",
                "AWS/SQS",
                "ApproximateAgeOfOldestMessage",
                {"QueueName": queue.name},
                "Maximum",
                OLDEST_SECONDS,
            ),
            *(
                Alarm(
                    f"{event}-undelivered",
                    f"EventBridge gave up on delivering for the rule of {event}: the queue's policy has been changed.",
                    "AWS/Events",
                    "FailedInvocations",
                    {"RuleName": rule.name},
                )
                for event, rule in rules.items()
            ),
        ]
        return {alarm.role: interruption_alarms.declare(self._name, alarm, topic, self._tags, self._child) for alarm in watched}


def pod_trust() -> pulumi.Output[str]:
    """A role's trust document: pods with a Pod Identity association may take the role."""
    return document({"Effect": "Allow", "Principal": {"Service": "pods.eks.amazonaws.com"}, "Action": ["sts:AssumeRole", "sts:TagSession"]})


def _after(resource: "kubernetes.helm.v3.Release", value: pulumi.Output[str]) -> pulumi.Output[str]:
    return pulumi.Output.all(value, resource.id).apply(lambda known: known[0])


_RULES = {
    "cluster_arn": like(
        r"arn:[\w-]+:eks:[\w-]+:\d{12}:cluster/[A-Za-z0-9][\w-]{0,99}", "an EKS cluster's ARN, arn:aws:eks:REGION:ACCOUNT:cluster/NAME"
    ),
    "subnet_ids[]": like(r"subnet-[0-9a-z]+", "a subnet id like subnet-0123456789abcdef0"),
    "chart_version": like(r"\d+\.\d+\.\d+", "a version such as 1.14.1, without v"),
    "alarm_topic_arn": like(r"arn:[\w-]+:sns:[\w-]+:\d{12}:[\w-]+", "the ARN of an SNS topic, arn:aws:sns:REGION:ACCOUNT:NAME"),
}


def checked(name: str, args: KarpenterArgs) -> KarpenterArgs:
    """The arguments, whole and sound; InvalidArgs otherwise. For programs that want to know before they declare anything."""
    faults = Faults("Karpenter", name)
    given = faults.read(KarpenterArgs, args, _RULES)
    stated = {key for key, value in args.items() if value is not None} if isinstance(args, Mapping) else set()
    if ("subnet_ids" in stated) == ("controller_nodes" in stated):
        faults.say("subnet_ids", "give either subnet_ids, to have two nodes made for Karpenter, or controller_nodes, which exist")
    subnets = given.get("subnet_ids", [])
    known = [subnet for subnet in subnets if isinstance(subnet, str)]
    if "subnet_ids" in given and len(set(known)) + len(subnets) - len(known) < 2:
        faults.add("subnet_ids", list(subnets), "two or more subnets, in different zones: Karpenter's two replicas share none")
    if given.get("controller_nodes") == {}:
        faults.add("controller_nodes", {}, "one or more labels")
    version = given.get("chart_version")
    if version is not None and tuple(map(int, version.split("."))) < (1, 12, 0):
        faults.add("chart_version", version, "1.12.0 or newer: older ones want other permissions")
    check_tags(faults, given.get("tags"))
    faults.raise_any()
    return given
