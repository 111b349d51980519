"""A run of tasks as a Job whose pods may be interrupted."""

import re
from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from ..aws.queue_access import QueueAccess
from ..aws.tagging import check_tags, own_tags
from ..validation import Faults, between, like, one_of
from . import job_manifest
from .drain_lint import SPARE_SECONDS, pod_faults
from .karpenter import pod_trust
from .placement import Placement


class Toleration(TypedDict):
    """One more taint on whose nodes the pods may run."""

    key: str
    """Key of the taint."""
    value: NotRequired[str]
    """Value of the taint. Default: any."""
    effect: NotRequired[str]
    """NoSchedule, PreferNoSchedule or NoExecute. Default: any."""


class Pod(TypedDict):
    """What one pod is beside its image."""

    cpu: NotRequired[str]
    """CPUs it is given, such as "1" or "500m". Default: 1."""
    memory: NotRequired[str]
    """Memory it is given, and may not exceed, such as 2Gi. Default: 2Gi."""
    grace_seconds: NotRequired[int]
    """Seconds between SIGTERM and the end. Default: 20 less than the node has, so 100 of the two minutes that AWS gives."""
    environment: NotRequired[Mapping[str, pulumi.Input[str]]]
    """Environment variables of the job's own. Default: none."""
    labels: NotRequired[Mapping[str, str]]
    """Labels of the pods. Default: the Job's own."""
    annotations: NotRequired[Mapping[str, str]]
    """Annotations of the pods. Default: none. `karpenter.sh/do-not-disrupt` is refused: such a pod is never told of an interruption."""
    tolerations: NotRequired[Sequence[Toleration]]
    """Taints beside the pool's that the pods tolerate. Default: none."""


class SpotJobArgs(TypedDict):
    """What a SpotJob needs to know."""

    queue: QueueAccess
    """Where its tasks are recorded: `SqsTaskQueue.access`. Its ledger and bucket are used, its messages are not."""
    pool: Placement
    """Nodes for its pods: `SpotNodePool.placement`."""
    run: str
    """Name of the run: submit it first, with `spotbatch submit --run RUN`."""
    tasks: int
    """How many tasks the run has, as submit printed them: index k of the Job does task k."""
    image: pulumi.Input[str]
    """Container image with Python 3.11 or newer as `python`, `spotbatch[aws]` and the job."""
    worker: str
    """Class to run, as `MODULE:CLASS`."""
    parallel: NotRequired[int]
    """Pods at the same time. Default: 20."""
    pod: NotRequired[Pod]
    """What one pod is. Default: one CPU, 2 GiB and 100 seconds to end in."""
    tags: NotRequired[Mapping[str, pulumi.Input[str]]]
    """Tags for every resource that takes tags. Default: the stack's own tag alone."""


class SpotJob(pulumi.ComponentResource):
    """Do every task of a run on nodes that may be taken away: an interrupted pod saves its work, and its successor goes on from there.

    Creates a namespace, a service account whose pods may work on this queue and nothing else (role and Pod Identity association), and an
    indexed Job that runs `python -m spotbatch.clouds.kubernetes` on the pool's nodes alone. Interrupted pods are replaced and count as no
    failure; a task that the ledger has given up ends its index.

    Leaves to you: submitting the run, and the add-on `eks-pod-identity-agent`.

    `up` does not wait for the tasks. A Job cannot be changed: anything else about the pods replaces it, and tasks that are done stay done.
    Raises InvalidArgs, also for what would keep a pod from being told of an interruption.
    """

    namespace: pulumi.Output[str]
    """Namespace of the Job and its pods."""
    job_name: pulumi.Output[str]
    """The Job."""
    role_name: pulumi.Output[str]
    """Role of the pods: attach what else the job may do."""
    role_arn: pulumi.Output[str]
    """ARN of the pods' role, for policies of buckets and keys."""

    def __init__(self, name: str, args: SpotJobArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        given = checked(name, args)
        super().__init__("spotbatch:index:SpotJob", name, {}, opts)
        child, tags = pulumi.ResourceOptions(parent=self), own_tags(given.get("tags"))

        role = aws.iam.Role(f"{name}-role", assume_role_policy=pod_trust(), tags=tags, opts=child)
        may_work = aws.iam.RolePolicy(f"{name}-may-work", role=role.name, policy=given["queue"]["worker_policy"], opts=child)
        association = aws.eks.PodIdentityAssociation(
            f"{name}-identity",
            cluster_name=given["pool"]["cluster_name"],
            namespace=name,
            service_account=name,
            role_arn=role.arn,
            tags=tags,
            opts=child,
        )
        # A pod that starts before its association has no keys, and never gets any. And a destroy waits until the namespace is empty, so
        # pods keep their permissions for as long as they save their work.
        place = kubernetes.core.v1.Namespace(
            f"{name}-namespace", metadata={"name": name}, opts=pulumi.ResourceOptions(parent=self, depends_on=[association, may_work])
        )
        namespace = place.metadata["name"]
        account = kubernetes.core.v1.ServiceAccount(
            f"{name}-account", metadata={"name": name, "namespace": namespace}, automount_service_account_token=False, opts=child
        )
        manifest = job_of(name, given, namespace)
        job = kubernetes.batch.v1.Job(
            f"{name}-job", metadata=manifest["metadata"], spec=manifest["spec"], opts=pulumi.ResourceOptions(parent=self, depends_on=[account])
        )

        self.namespace, self.job_name = namespace, job.metadata["name"]
        self.role_name, self.role_arn = role.name, role.arn
        self.register_outputs({"namespace": self.namespace, "jobName": self.job_name, "roleName": self.role_name, "roleArn": self.role_arn})


def job_of(name: str, given: SpotJobArgs, namespace: pulumi.Input[str]) -> dict:
    """The Job's manifest."""
    pod, pool = given.get("pod", {}), given["pool"]
    grace = pod.get("grace_seconds", pool["grace_seconds"] - SPARE_SECONDS)
    return job_manifest.job(
        name,
        namespace,
        name,
        given["tasks"],
        min(given.get("parallel", 20), given["tasks"]),
        pool["pool_names"],
        pool["taint_key"],
        {
            "image": given["image"],
            "command": ["python", "-m", "spotbatch.clouds.kubernetes", given["worker"], "--run", given["run"], "--grace", str(grace)],
            "environment": {**pod.get("environment", {}), "SPOTBATCH_QUEUE": given["queue"]["url"]},
            "requests": {"cpu": pod.get("cpu", "1"), "memory": pod.get("memory", "2Gi")},
            "grace_seconds": grace,
            "labels": pod.get("labels", {}),
            "annotations": pod.get("annotations", {}),
            "tolerations": [_toleration(one) for one in pod.get("tolerations", ())],
        },
    )


def _toleration(one: Toleration) -> Mapping[str, object]:
    return {**one, "operator": "Equal" if "value" in one else "Exists"}


_QUANTITY = r"([0-9]+(\.[0-9]+)?|\.[0-9]+)(m|[kMGTPE]|[KMGTPE]i)?"

_LABEL_KEY = r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]"
"""https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set"""

_RULES = {
    "run": like(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "the name of a run: up to 64 letters, digits, '.', '_' and '-'"),
    "tasks": between(1, 100_000),
    "parallel": between(1, 10_000),
    "image": like(r"[\w.-]+[\w./:@-]*", "a container image such as 123456789012.dkr.ecr.eu-west-1.amazonaws.com/job:1.4"),
    "worker": like(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", "MODULE:CLASS, such as etl:Survival"),
    "pod.cpu": like(r"([0-9]+(\.[0-9]+)?|\.[0-9]+)m?", 'CPUs such as "1", "0.5" or "500m"'),
    "pod.memory": like(_QUANTITY, "memory such as 2Gi or 512Mi"),
    "pod.grace_seconds": between(10),
    "pod.tolerations[].effect": one_of("NoSchedule", "PreferNoSchedule", "NoExecute"),
    "pod.labels[]": like(r"([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]|", "up to 63 letters, digits and - _ . between letters or digits"),
    "pool.taint_key": like(_LABEL_KEY, "the key of the pool's taint"),
}


def checked(name: str, args: SpotJobArgs) -> SpotJobArgs:
    """The arguments, whole and sound; InvalidArgs otherwise. For programs that want to know before they declare anything."""
    faults = Faults("SpotJob", name)
    given = faults.read(SpotJobArgs, args, _RULES)
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,50}[a-z0-9])?", name):
        faults.say("name", f"{name!r} is not allowed; allowed: up to 52 small letters, digits and -, as Kubernetes calls Job and namespace so")
    pod = given.get("pod", {})
    for variable in pod.get("environment", {}):
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):
            faults.add(f"pod.environment[{variable!r}]", variable, "the name of an environment variable: letters, digits and _")
        elif variable.startswith(("SPOTBATCH_", "JOB_COMPLETION_INDEX")):
            faults.add(f"pod.environment[{variable!r}]", variable, "a name that the runtime does not use itself")
    for field in ("labels", "annotations"):
        for key in pod.get(field, {}):
            if not re.fullmatch(_LABEL_KEY, key):
                faults.add(f"pod.{field}[{key!r}]", key, "a label's key: up to 63 letters, digits and - _ . with a domain and / before it if need be")
    if given.get("pool", {}).get("pool_names") == []:
        faults.say("pool.pool_names", "[] is not allowed; allowed: one or more node pools")
    grace = given.get("pool", {}).get("grace_seconds")
    if grace is not None:
        template = {
            "metadata": {"annotations": pod.get("annotations", {})},
            "spec": {"tolerations": pod.get("tolerations", []), "terminationGracePeriodSeconds": pod.get("grace_seconds", 0)},
        }
        for path, text in pod_faults(template, grace):
            faults.say(f"pod.{path}", text)
    check_tags(faults, given.get("tags"))
    faults.raise_any()
    return given
