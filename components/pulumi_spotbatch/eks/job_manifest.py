"""The indexed Job that survives interruptions, from plain arguments."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

INTERRUPTED, GIVEN_UP, BAD_JOB, UNREACHABLE = 143, 42, 64, 75
"""What a pod of ours ends with beside 0 and 1: see `spotbatch.clouds.kubernetes`."""

LOSSES = 10
"""Pods of one index that may fail; the ledger's own budgets are no larger, and say why."""

CONTAINER = "worker"


def job(
    name: str,
    namespace: pulumi.Input[str],
    service_account: str,
    completions: int,
    parallelism: int,
    pool_names: Sequence[pulumi.Input[str]],
    taint_key: str,
    pod: Mapping[str, Any],
) -> dict[str, Any]:
    """`pod`: image, command, environment, requests, grace_seconds, labels, annotations, tolerations."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        # Pulumi would wait until the last task is done.
        "metadata": {"name": name, "namespace": namespace, "annotations": {"pulumi.com/skipAwait": "true"}},
        "spec": {
            "completionMode": "Indexed",
            "completions": completions,
            "parallelism": parallelism,
            "backoffLimitPerIndex": LOSSES,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                    _on_exit("FailIndex", GIVEN_UP, BAD_JOB),
                    # A pod that Karpenter deletes late has no DisruptionTarget: https://github.com/kubernetes-sigs/karpenter/issues/3218
                    _on_exit("Ignore", UNREACHABLE, INTERRUPTED),
                ]
            },
            "template": {
                "metadata": {"labels": dict(pod["labels"]), "annotations": dict(pod["annotations"])},
                "spec": {
                    "restartPolicy": "Never",
                    "terminationGracePeriodSeconds": pod["grace_seconds"],
                    "serviceAccountName": service_account,
                    "automountServiceAccountToken": False,
                    "affinity": _only_on(pool_names),
                    "tolerations": [{"key": taint_key, "operator": "Exists", "effect": "NoSchedule"}, *pod["tolerations"]],
                    "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
                    "containers": [
                        {
                            "name": CONTAINER,
                            "image": pod["image"],
                            "command": list(pod["command"]),
                            "env": [*({"name": key, "value": value} for key, value in pod["environment"].items()), *_WHO],
                            "resources": {"requests": dict(pod["requests"]), "limits": {"memory": pod["requests"]["memory"]}},
                            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                        }
                    ],
                },
            },
        },
    }


_WHO = [
    {"name": f"SPOTBATCH_POD_{field.upper()}", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.{field}"}}}
    for field in ("name", "uid")
]


def _on_exit(action: str, *codes: int) -> dict[str, Any]:
    return {"action": action, "onExitCodes": {"containerName": CONTAINER, "operator": "In", "values": list(codes)}}


def _only_on(pool_names: Sequence[pulumi.Input[str]]) -> dict[str, Any]:
    terms = [{"matchExpressions": [{"key": "karpenter.sh/nodepool", "operator": "In", "values": list(pool_names)}]}]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
