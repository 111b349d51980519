"""What keeps pods from being told that their node is about to go."""

from collections.abc import Iterator, Mapping
from typing import Any

PROTECTION = "karpenter.sh/do-not-disrupt"

SPARE_SECONDS = 20
"""A pod whose grace comes closer to the node's is deleted at once instead of evicted, and then nobody can tell it from a failure.
https://github.com/kubernetes-sigs/karpenter/blob/v1.14.1/pkg/controllers/node/termination/terminator/terminator.go"""


def pod_faults(template: Mapping[str, Any], node_grace_seconds: int) -> Iterator[tuple[str, str]]:
    """Path in a pod (template) and what is wrong there, for each thing that delays or hides an interruption."""
    annotations = template.get("metadata", {}).get("annotations") or {}
    if PROTECTION in annotations and annotations[PROTECTION] != "false":
        yield (
            f"annotations[{PROTECTION!r}]",
            f"{annotations[PROTECTION]!r} is not allowed; allowed: left out, as Karpenter then never tells the pod of an interruption",
        )
    spec = template.get("spec", {})
    for index, toleration in enumerate(spec.get("tolerations") or ()):
        if _tolerates_everything(toleration):
            yield (
                f"tolerations[{index}]",
                f"{dict(toleration)!r} is not allowed; allowed: one with a key, as the drain leaves out what tolerates karpenter.sh/disrupted",
            )
    longest, grace = node_grace_seconds - SPARE_SECONDS, spec.get("terminationGracePeriodSeconds", 30)
    if grace > longest:
        yield "grace_seconds", f"{grace} is not allowed; allowed: up to {longest}, {SPARE_SECONDS} s less than the node has ({node_grace_seconds} s)"


def budget_faults(budget: Mapping[str, Any], template: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The same for a PodDisruptionBudget: one that covers the pods of a Job holds the drain up until the machine is gone."""
    selector = budget.get("spec", {}).get("selector")
    if selector is not None and _selects(selector, template.get("metadata", {}).get("labels") or {}):
        name = budget.get("metadata", {}).get("name", "")
        yield (
            "PodDisruptionBudget",
            f"{name!r} covers the pods; allowed: none over pods of a Job, as it would keep Karpenter from telling them of an interruption",
        )


def _tolerates_everything(toleration: Mapping[str, Any]) -> bool:
    key, effect = toleration.get("key"), toleration.get("effect") or "NoSchedule"
    return effect == "NoSchedule" and (not key or key == "karpenter.sh/disrupted")


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#resources-that-support-set-based-requirements"""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for expression in selector.get("matchExpressions") or ():
        key, operator, values = expression["key"], expression["operator"], expression.get("values") or ()
        held = {
            "In": labels.get(key) in values,
            "NotIn": labels.get(key) not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }
        if not held[operator]:
            return False
    return True
