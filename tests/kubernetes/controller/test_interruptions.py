"""The real Karpenter controller on our queue, our rules and our pool: what becomes of the pods of our Job when a machine is taken."""

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi_spotbatch import eks

from lab.demo.count import count
from lab.karpenter.controller import KarpenterController
from lab.kubernetes.api import conditions, has_condition, wait_until
from tests.components.samples import SAMPLES

from .conftest import ETL, Rehearsal

INDEX = "batch.kubernetes.io/job-completion-index"
ITEMS, TASKS, SECONDS = 24, 4, 1.0
POOL, CLASS, JOB = ("karpenter.sh/v1", "NodePool"), ("karpenter.k8s.aws/v1", "EC2NodeClass"), ("batch/v1", "Job")
DISRUPTED = "karpenter.sh/disrupted"
QUIET_SECONDS = 6.0
"""Many times what the controller takes to act on a message."""


def items(seconds: float) -> list[str]:
    made = subprocess.run([sys.executable, "make_items.py", str(seconds)], cwd=ETL, capture_output=True, text=True, check=True).stdout
    return made.splitlines()[:ITEMS]


def test_pool_and_class_become_ready(rehearsal: Rehearsal) -> None:
    pool = rehearsal.api.read(*POOL, rehearsal.outputs["pool_name"])
    assert has_condition(pool, "Ready")
    assert has_condition(rehearsal.api.read(*CLASS, rehearsal.outputs["pool_name"]), "Ready")
    assert conditions(pool)["Ready"]["reason"] != "PlayedByTheLab"


def test_an_interrupted_pod_moves_and_the_result_is_that_of_an_undisturbed_run(rehearsal: Rehearsal, tmp_path: Path) -> None:
    listed = tmp_path / "items.jsonl"
    listed.write_text("\n".join(items(SECONDS)) + "\n")
    rehearsal.spotbatch("submit", "--items", str(listed), "--items-per-task", str(ITEMS // TASKS), "--run", "rehearsal")
    wait_until(lambda: len(rehearsal.running()) == 2, "two pods run", 90)

    # Another instance, and another source: nothing happens.
    rehearsal.publish("i-0123456789abcdef0")
    wait_until(lambda: rehearsal.waiting_messages() == 0, "the foreign warning is consumed", 30)
    rehearsal.publish("i-0123456789abcdef0", source="custom.drill")
    assert rehearsal.waiting_messages() == 0

    name, pod = next(iter(rehearsal.running().items()))
    claim, node = rehearsal.claim_of(name), rehearsal.node_of(name)
    assert all(DISRUPTED not in rehearsal.taints(node) for node in map(rehearsal.node_of, rehearsal.running()))
    wait_until(lambda: (pod.folder / "items.log").exists(), "an item is done", 60)
    offering = offering_of(claim)
    there = {index_of(each) for other, each in rehearsal.running().items() if rehearsal.node_of(other) == node}
    rehearsal.publish(claim["status"]["providerID"].rpartition("/")[2])

    wait_until(lambda: DISRUPTED in rehearsal.taints(node) or rehearsal.api.read("v1", "Node", node) is None, "the node is tainted", 30, every=0.02)
    moved = index_of(pod)
    target = wait_until(lambda: told(rehearsal, name), "the pod has DisruptionTarget", 30, every=0.02)
    assert target["reason"] == "EvictionByEvictionAPI"
    wait_until(lambda: pod.process.poll() is not None, "the pod has ended", 60)
    assert pod.process.returncode == 143
    successor = wait_until(lambda: successor_of(rehearsal, moved, name), "its index runs again", 90)
    assert offering_of(rehearsal.claim_of(successor)) != offering

    job = wait_until(lambda: complete(rehearsal), "the Job is complete", 180)
    assert "failed" not in job["status"] or job["status"]["failed"] <= 1
    assert not job["status"].get("failedIndexes")
    # One pod for each index, and one more for those of the machine that was taken: Karpenter moved nobody of its own accord.
    assert Counter(map(index_of, rehearsal.kubelet.pods.values())) == {str(index): 1 + (str(index) in there) for index in range(TASKS)}
    results = rehearsal.spotbatch("results", "rehearsal")
    logs = [ran.folder / "items.log" for ran in rehearsal.kubelet.pods.values() if (ran.folder / "items.log").exists()]
    counted = count(listed.read_text().splitlines(), results.splitlines(), logs)
    assert counted.lossless
    assert by_item(results) == undisturbed(tmp_path)


def index_of(pod: Any) -> str:
    return pod.manifest["metadata"]["annotations"][INDEX]


def told(rehearsal: Rehearsal, name: str) -> dict | None:
    pod = next((pod for pod in rehearsal.pods() if pod["metadata"]["name"] == name), None)
    return conditions(pod).get("DisruptionTarget")


def successor_of(rehearsal: Rehearsal, index: str, before: str) -> str | None:
    for name, pod in rehearsal.kubelet.pods.items():
        if name != before and pod.manifest["metadata"]["annotations"][INDEX] == index:
            return name
    return None


def complete(rehearsal: Rehearsal) -> dict | None:
    job = rehearsal.api.read(*JOB, rehearsal.outputs["job_name"], rehearsal.outputs["namespace"])
    assert not has_condition(job, "Failed"), conditions(job)
    return job if has_condition(job, "Complete") else None


def offering_of(claim: dict) -> tuple[str, ...]:
    labels = claim["metadata"]["labels"]
    return tuple(labels[key] for key in ("node.kubernetes.io/instance-type", "topology.kubernetes.io/zone", "karpenter.sh/capacity-type"))


def by_item(results: str) -> list[str]:
    return sorted(json.dumps(json.loads(line), sort_keys=True) for line in results.splitlines())


def undisturbed(tmp_path: Path) -> list[str]:
    """The same items by the job itself, without spotbatch's queue, ledger and processes."""
    program = "import etl, json, sys\njob = object.__new__(etl.SurvivalStatistics)\njob.setup()\n"
    program += "for line in sys.stdin: print(json.dumps(job.process_item(json.loads(line))))"
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ETL)!r})\n{program}"]
    done = subprocess.run(command, cwd=tmp_path, input="\n".join(items(0)), capture_output=True, text=True, check=True)
    return by_item(done.stdout)


def test_a_pod_that_asks_not_to_be_disrupted_is_not_told_and_our_job_refuses_to_ask(rehearsal: Rehearsal) -> None:
    protected = stand_alone_pod("protected", {"karpenter.sh/do-not-disrupt": "true"})
    rehearsal.api.create(protected)
    wait_until(lambda: "protected" in rehearsal.running(), "the protected pod runs", 90)
    node = rehearsal.node_of("protected")
    rehearsal.publish(rehearsal.claim_of("protected")["status"]["providerID"].rpartition("/")[2])
    wait_until(lambda: DISRUPTED in rehearsal.taints(node), "the node is tainted", 30)
    time.sleep(QUIET_SECONDS)
    pod = rehearsal.api.read("v1", "Pod", "protected", "default")
    assert pod and not pod["metadata"].get("deletionTimestamp") and "DisruptionTarget" not in conditions(pod)
    rehearsal.api.delete(pod, propagation="Background", grace_seconds=1)

    arguments: Any = {**SAMPLES["SpotJob"], "pod": {"annotations": {"karpenter.sh/do-not-disrupt": "true"}}}
    with pytest.raises(pulumi.RunError, match="do-not-disrupt"):
        eks.job.checked("job", arguments)


def test_a_controller_with_another_queue_looks_healthy_and_leaves_warnings_to_our_alarm(rehearsal: Rehearsal) -> None:
    """Last: the controller of the other tests ends here."""
    rehearsal.api.create(stand_alone_pod("unwarned", {}))
    wait_until(lambda: "unwarned" in rehearsal.running(), "the pod runs", 90)
    node, claim = rehearsal.node_of("unwarned"), rehearsal.claim_of("unwarned")
    rehearsal.controller.__exit__()
    with KarpenterController(rehearsal.folder, rehearsal.cluster, rehearsal.cloud.environment, {"INTERRUPTION_QUEUE": "misspelt"}) as misled:
        misled.wait_until_ready()
        rehearsal.publish(claim["status"]["providerID"].rpartition("/")[2])
        time.sleep(QUIET_SECONDS)
        assert misled.is_ready()
        assert DISRUPTED not in rehearsal.taints(node)
        assert rehearsal.waiting_messages() == 1
    alarms = rehearsal.cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]
    watching = [alarm for alarm in alarms if alarm["MetricName"] == "ApproximateAgeOfOldestMessage"]
    watched = [{"Name": "QueueName", "Value": rehearsal.outputs["interruption_queue"]}]
    assert watched in [alarm["Dimensions"] for alarm in watching]


def stand_alone_pod(name: str, annotations: dict[str, str]) -> dict:
    container = {"name": "main", "image": "any", "command": ["sleep", "600"], "resources": {"requests": {"cpu": "1"}}}
    spec = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 5,
        "nodeSelector": {"karpenter.sh/capacity-type": "spot"},
        "tolerations": [{"key": "batch", "operator": "Exists", "effect": "NoSchedule"}],
        "containers": [container],
    }
    metadata = {"name": name, "namespace": "default", "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
