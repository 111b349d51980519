from typing import Any

import pulumi
import pytest
from pulumi_spotbatch.eks import SpotJob, job
from pulumi_spotbatch.eks.drain_lint import budget_faults, pod_faults
from pulumi_spotbatch.validation import InvalidArgs

from tests.components.recorder import Deployment, deploy
from tests.components.samples import PLACEMENT, QUEUE, SAMPLES

SOUND = SAMPLES["SpotJob"]


def declared(preview: bool = False, **changes: Any) -> Deployment:
    return deploy(lambda: SpotJob("clips", {**SOUND, **changes}), preview=preview)  # pyright: ignore[reportArgumentType]


def faults(name: str = "clips", **changes: Any) -> list[str]:
    args: Any = {key: value for key, value in {**SOUND, **changes}.items() if value is not None}
    with pytest.raises(InvalidArgs) as raised:
        job.checked(name, args)
    return list(raised.value.faults)


def spec(**changes: Any) -> dict[str, Any]:
    return declared(**changes).only("Job").inputs["spec"]


def pod(**changes: Any) -> dict[str, Any]:
    return spec(**changes)["template"]["spec"]


def test_interruptions_count_as_no_failure_whether_kubernetes_knows_of_them_or_not():
    disrupted, failed, ignored = spec()["podFailurePolicy"]["rules"]
    assert (disrupted["action"], disrupted["onPodConditions"]) == ("Ignore", [{"type": "DisruptionTarget", "status": "True"}])
    assert (ignored["action"], ignored["onExitCodes"]["values"]) == ("Ignore", [75, 143])
    assert (failed["action"], failed["onExitCodes"]["values"]) == ("FailIndex", [42, 64])


def test_a_successor_starts_only_once_its_pod_is_gone():
    found = spec()
    assert (found["podReplacementPolicy"], found["completionMode"]) == ("Failed", "Indexed")
    assert found["template"]["spec"]["restartPolicy"] == "Never"
    assert "maxFailedIndexes" not in found, "one bad task stops no other"


def test_a_pod_has_a_hundred_seconds_of_the_two_minutes():
    found = pod()
    assert found["terminationGracePeriodSeconds"] == 100
    assert found["containers"][0]["command"][-2:] == ["--grace", "100"]
    assert pod(pod={"grace_seconds": 30})["containers"][0]["command"][-2:] == ["--grace", "30"]


def test_index_k_does_task_k_of_the_run_with_the_queues_ledger():
    found = spec()
    assert (found["completions"], found["parallelism"]) == (100, 20)
    (container,) = found["template"]["spec"]["containers"]
    assert container["command"][:6] == ["python", "-m", "spotbatch.clouds.kubernetes", "thumbnails:Thumbnails", "--run", "clips"]
    assert {"name": "SPOTBATCH_QUEUE", "value": QUEUE["url"]} in container["env"]
    assert {one["name"] for one in container["env"]} == {"SPOTBATCH_QUEUE", "SPOTBATCH_POD_NAME", "SPOTBATCH_POD_UID"}
    assert spec(tasks=3)["parallelism"] == 3, "no more pods than tasks"


def test_pods_tolerate_the_pools_taint_and_no_other_and_run_nowhere_else():
    found = pod()
    assert found["tolerations"] == [{"key": "batch", "operator": "Exists", "effect": "NoSchedule"}]
    (term,) = found["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term["matchExpressions"] == [{"key": "karpenter.sh/nodepool", "operator": "In", "values": ["batch-workers"]}]


def test_pods_have_the_queues_permissions_by_their_service_account_and_no_key_of_the_cluster():
    deployment = declared()
    association, account = deployment.only("PodIdentityAssociation").inputs, deployment.only("ServiceAccount").inputs
    assert (association["namespace"], association["serviceAccount"]) == (account["metadata"]["namespace"], account["metadata"]["name"])
    assert deployment.only("Job").inputs["spec"]["template"]["spec"]["serviceAccountName"] == account["metadata"]["name"]
    assert deployment.only("RolePolicy").inputs["policy"] == QUEUE["worker_policy"]
    assert account["automountServiceAccountToken"] is False


def test_pods_have_their_permissions_before_they_start_and_until_the_last_has_saved_its_work():
    deployment = declared()

    def needs(name: str) -> set[str]:
        return {urn.split("::")[-1] for urn in deployment.named(name).raw.dependencies}

    assert {"clips-account", "clips-namespace"} <= needs("clips-job")
    # The engine takes a namespace away, and waits until it is empty, before what it depends on.
    assert {"clips-identity", "clips-may-work"} <= needs("clips-namespace")


def test_up_does_not_wait_for_the_work():
    assert declared().only("Job").inputs["metadata"]["annotations"] == {"pulumi.com/skipAwait": "true"}


def test_what_a_pod_needs_is_asked_for_and_memory_is_never_shared():
    (container,) = pod(pod={"cpu": "500m", "memory": "4Gi", "environment": {"LEVEL": "3"}})["containers"]
    assert container["resources"] == {"requests": {"cpu": "500m", "memory": "4Gi"}, "limits": {"memory": "4Gi"}}
    assert {"name": "LEVEL", "value": "3"} in container["env"]


def test_placement_that_becomes_known_later_is_taken(preview: bool):
    def program() -> None:
        names = [pulumi.Output.from_input("batch-workers")]
        placement: Any = {**PLACEMENT, "cluster_name": pulumi.Output.from_input("batch"), "pool_names": names}
        SpotJob("clips", {**SOUND, "pool": placement})  # pyright: ignore[reportArgumentType]

    assert deploy(program, preview=preview).only("Job")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        # what keeps a pod from being told
        ({"pod": {"annotations": {"karpenter.sh/do-not-disrupt": "true"}}}, "pod.annotations['karpenter.sh/do-not-disrupt']: 'true' is not allowed"),
        ({"pod": {"annotations": {"karpenter.sh/do-not-disrupt": "30m"}}}, "pod.annotations['karpenter.sh/do-not-disrupt']: '30m' is not allowed"),
        ({"pod": {"tolerations": [{"key": ""}]}}, "pod.tolerations[0]: {'key': ''} is not allowed; allowed: one with a key"),
        ({"pod": {"tolerations": [{"key": "karpenter.sh/disrupted"}]}}, "pod.tolerations[0]: {'key': 'karpenter.sh/disrupted'} is not allowed"),
        ({"pod": {"grace_seconds": 101}}, "pod.grace_seconds: 101 is not allowed; allowed: up to 100, 20 s less than the node has (120 s)"),
        ({"pod": {"grace_seconds": 600}}, "pod.grace_seconds: 600 is not allowed; allowed: up to 100"),
        # the rest
        ({"pod": {"grace_seconds": 5}}, "pod.grace_seconds: 5 is not allowed; allowed: 10 or more"),
        ({"pod": {"tolerations": [{"operator": "Exists"}]}}, "pod.tolerations[0].operator: no such argument"),
        ({"pod": {"tolerations": [{"key": "a", "effect": "NoRun"}]}}, "pod.tolerations[0].effect: 'NoRun' is not allowed; allowed: one of"),
        ({"pod": {"cpu": "one"}}, "pod.cpu: 'one' is not allowed; allowed: CPUs such as"),
        ({"pod": {"cpu": 1}}, "pod.cpu: 1 is not allowed; allowed: a string"),
        ({"pod": {"memory": "2GB"}}, "pod.memory: '2GB' is not allowed; allowed: memory such as 2Gi or 512Mi"),
        ({"pod": {"environment": {"1A": "b"}}}, "pod.environment['1A']: '1A' is not allowed; allowed: the name of an environment variable"),
        ({"pod": {"environment": {"SPOTBATCH_QUEUE": "b"}}}, "pod.environment['SPOTBATCH_QUEUE']: 'SPOTBATCH_QUEUE' is not allowed"),
        ({"pod": {"labels": {"a b": "c"}}}, "pod.labels['a b']: 'a b' is not allowed; allowed: a label's key"),
        ({"pod": {"labels": {"team": "c d"}}}, "pod.labels['team']: 'c d' is not allowed; allowed: up to 63 letters"),
        ({"run": "a b"}, "run: 'a b' is not allowed; allowed: the name of a run"),
        ({"tasks": 0}, "tasks: 0 is not allowed; allowed: 1 to 100000"),
        ({"tasks": 100_001}, "tasks: 100001 is not allowed; allowed: 1 to 100000"),
        ({"tasks": "ten"}, "tasks: 'ten' is not allowed; allowed: a whole number"),
        ({"parallel": 0}, "parallel: 0 is not allowed; allowed: 1 to 10000"),
        ({"image": "a job"}, "image: 'a job' is not allowed; allowed: a container image"),
        ({"worker": "clips.Clips"}, "worker: 'clips.Clips' is not allowed; allowed: MODULE:CLASS"),
        ({"pool": {**PLACEMENT, "pool_names": []}}, "pool.pool_names: [] is not allowed; allowed: one or more node pools"),
        ({"pool": {**PLACEMENT, "taint_key": ""}}, "pool.taint_key: '' is not allowed; allowed: the key of the pool's taint"),
        ({"pool": None}, "pool: missing; allowed: a dictionary like Placement"),
        ({"queue": None}, "queue: missing; allowed: a dictionary like QueueAccess"),
        ({"tags": {"aws:team": "a"}}, "tags['aws:team']: 'aws:team' is not allowed"),
    ],
    ids=str,
)
def test_a_planted_fault_is_refused_before_the_api_server_is_asked(changes: dict[str, Any], said: str):
    told = faults(**changes)
    assert any(fault.startswith(said) for fault in told), told


def test_a_blanket_toleration_is_found_in_anybodys_pod():
    template = {"spec": {"tolerations": [{"operator": "Exists"}], "terminationGracePeriodSeconds": 10}}
    assert [path for path, _ in pod_faults(template, 120)] == ["tolerations[0]"]
    template["spec"]["tolerations"] = [{"operator": "Exists", "effect": "NoExecute"}]  # pyright: ignore[reportArgumentType]
    assert list(pod_faults(template, 120)) == []


@pytest.mark.parametrize(
    ("selector", "covers"),
    [
        ({}, True),
        ({"matchLabels": {"app": "clips"}}, True),
        ({"matchLabels": {"app": "other"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["clips", "x"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["clips"]}]}, False),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False),
    ],
    ids=str,
)
def test_a_disruption_budget_over_the_pods_is_found(selector: dict[str, Any], covers: bool):
    budget = {"kind": "PodDisruptionBudget", "metadata": {"name": "keep"}, "spec": {"minAvailable": 1, "selector": selector}}
    found = list(budget_faults(budget, {"metadata": {"labels": {"app": "clips"}}}))
    assert bool(found) == covers
    assert all(text.startswith("'keep' covers the pods") for _, text in found)
