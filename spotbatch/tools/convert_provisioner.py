"""Karpenter's old forms into those that run today: v1alpha5 Provisioner and AWSNodeTemplate into v1 NodePool and EC2NodeClass.

What the old Karpenter took for granted is written out, so that the new one does the same; what cannot be carried over is said.
https://karpenter.sh/v0.32/upgrading/v1beta1-migration/ and https://karpenter.sh/v1.0/upgrading/v1-migration/
"""

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spotbatch.tools.convert_template import TEMPLATE_FIELDS, node_class

PROVISIONER, TEMPLATE = ("karpenter.sh/v1alpha5", "Provisioner"), ("karpenter.k8s.aws/v1alpha1", "AWSNodeTemplate")

_FIELDS = {
    "annotations",
    "consolidation",
    "kubeletConfiguration",
    "labels",
    "limits",
    "provider",
    "providerRef",
    "requirements",
    "startupTaints",
    "taints",
    "ttlSecondsAfterEmpty",
    "ttlSecondsUntilExpired",
    "weight",
}

_NARROWING = (
    "node.kubernetes.io/instance-type",
    "karpenter.k8s.aws/instance-family",
    "karpenter.k8s.aws/instance-category",
    "karpenter.k8s.aws/instance-generation",
)

_DEFAULTS = {
    "kubernetes.io/os": ["linux"],
    "kubernetes.io/arch": ["amd64"],
    "karpenter.sh/capacity-type": ["on-demand"],
}
"""https://github.com/aws/karpenter-provider-aws/blob/v0.31.4/pkg/apis/v1alpha5/provisioner_defaults.go"""

_ANNOTATIONS = {"karpenter.sh/do-not-evict": "karpenter.sh/do-not-disrupt", "karpenter.sh/do-not-consolidate": "karpenter.sh/do-not-disrupt"}

_OLD_POOL, _POOL = "karpenter.sh/provisioner-name", "karpenter.sh/nodepool"


class BadProvisioner(ValueError):
    """What was given is no Provisioner that the old Karpenter would have taken; one line per fault."""


@dataclass
class Conversion:
    """The new manifests, in the order in which to apply them, and everything that is not simply the same."""

    manifests: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """`KIND NAME: what: what became of it`"""


def convert_provisioner(documents: Sequence[Mapping[str, Any]]) -> Conversion:
    """Convert every Provisioner among the documents of a YAML file, with its AWSNodeTemplate or without. Raises BadProvisioner."""
    faults = _faults(documents)
    if faults:
        raise BadProvisioner("\n".join(faults))
    templates = {document["metadata"]["name"]: document.get("spec") or {} for document in documents if _kind(document) == TEMPLATE}
    conversion, classes = Conversion(), dict[tuple[str, str], str]()
    for provisioner in documents:
        if _kind(provisioner) != PROVISIONER:
            continue
        name, spec = provisioner["metadata"]["name"], provisioner.get("spec") or {}
        notes = _Notes(f"Provisioner {name}", conversion.notes)
        kubelet = _kubelet(spec.get("kubeletConfiguration"), notes)
        source = spec.get("providerRef", {}).get("name", name)
        if not spec.get("provider") and not spec.get("providerRef"):
            notes.say("spec.providerRef", f"missing, which the old Karpenter refused: taken for {name}")
        # Kubelet settings have moved to the class: two Provisioners with different ones can no longer share it.
        key = (source, json.dumps(kubelet, sort_keys=True))
        if key not in classes:
            classes[key] = source if source not in classes.values() else f"{source}-{name}"
            template = spec.get("provider") or templates.get(source)
            conversion.manifests.append(node_class(classes[key], template, kubelet, conversion.notes))
        conversion.manifests.append(_node_pool(provisioner, classes[key], notes))
    for name, template in templates.items():
        if name not in {source for source, _ in classes}:
            conversion.manifests.append(node_class(name, template, {}, conversion.notes))
    return conversion


class _Notes:
    """Notes on one object."""

    def __init__(self, about: str, notes: list[str]) -> None:
        self._about, self._notes = about, notes

    def say(self, what: str, text: str) -> None:
        self._notes.append(f"{self._about}: {what}: {text}")


def _node_pool(provisioner: Mapping[str, Any], class_name: str, notes: _Notes) -> dict[str, Any]:
    metadata, spec = provisioner["metadata"], provisioner.get("spec") or {}
    for dropped in sorted(set(metadata) - {"name", "labels", "annotations"}):
        notes.say(f"metadata.{dropped}", "dropped, as the cluster sets it anew")
    if "status" in provisioner:
        notes.say("status", "dropped, as the cluster sets it anew")
    limits = (spec.get("limits") or {}).get("resources")
    if not limits:
        notes.say("spec.limits", "missing: nothing holds the pool back; give it limits.cpu, as it would otherwise buy without end")
    template: dict[str, Any] = {
        "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": class_name},
        "requirements": _requirements(spec.get("requirements") or [], spec.get("labels") or {}, notes),
        "expireAfter": _expiry(spec, notes),
    }
    for taints in ("taints", "startupTaints"):
        if spec.get(taints):
            template[taints] = [dict(taint) for taint in spec[taints]]
    labels, annotations = _labels(spec.get("labels") or {}, notes), _annotations(spec.get("annotations") or {}, notes)
    marks = {**({"labels": labels} if labels else {}), **({"annotations": annotations} if annotations else {})}
    own = {key: dict(metadata[key]) for key in ("labels", "annotations") if metadata.get(key)}
    own.get("annotations", {}).pop("kubectl.kubernetes.io/last-applied-configuration", None)
    return {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": metadata["name"], **{key: value for key, value in own.items() if value}},
        "spec": {
            **({"weight": spec["weight"]} if spec.get("weight") else {}),
            **({"limits": dict(limits)} if limits else {}),
            "disruption": _disruption(spec, notes),
            "template": {**({"metadata": marks} if marks else {}), "spec": template},
        },
    }


def _requirements(given: Sequence[Mapping[str, Any]], labels: Mapping[str, str], notes: _Notes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for index, requirement in enumerate(given):
        if requirement["key"] == _OLD_POOL:
            notes.say(f"spec.requirements[{index}]", f"dropped: {_OLD_POOL} has become {_POOL}, which a pool may not require of itself")
        else:
            found.append(dict(requirement))
    stated = {requirement["key"] for requirement in found} | set(labels)
    for key, values in _DEFAULTS.items():
        if key not in stated:
            found.append({"key": key, "operator": "In", "values": values})
            notes.say("spec.requirements", f"{key} In {values} written out, which the old Karpenter took for granted and the new one does not")
    if not stated & set(_NARROWING):
        found.append({"key": "karpenter.k8s.aws/instance-category", "operator": "In", "values": ["c", "m", "r"]})
        found.append({"key": "karpenter.k8s.aws/instance-generation", "operator": "Gt", "values": ["2"]})
        notes.say("spec.requirements", "categories c, m, r newer than generation 2 written out, which the old Karpenter took for granted")
    return found


def _disruption(spec: Mapping[str, Any], notes: _Notes) -> dict[str, Any]:
    after = spec.get("ttlSecondsAfterEmpty")
    if (spec.get("consolidation") or {}).get("enabled"):
        how = {"consolidationPolicy": "WhenEmptyOrUnderutilized", "consolidateAfter": "0s"}
        notes.say(
            "spec.consolidation.enabled",
            "true has become WhenEmptyOrUnderutilized after 0s, which moves pods at their work: for batch take WhenEmpty instead",
        )
    elif after is not None:
        how = {"consolidationPolicy": "WhenEmpty", "consolidateAfter": f"{after}s"}
        notes.say("spec.ttlSecondsAfterEmpty", f"{after} has become WhenEmpty after {after}s")
    else:
        how = {"consolidationPolicy": "WhenEmpty", "consolidateAfter": "Never"}
        notes.say("spec.disruption", "consolidateAfter Never written out: neither consolidation nor ttlSecondsAfterEmpty was given")
    # Drift was off unless a feature gate was set, and nothing counted how many nodes were taken at once.
    budgets = [{"nodes": "0", "reasons": ["Drifted"]}, {"nodes": "100%", "reasons": ["Underutilized", "Empty"]}]
    notes.say("spec.disruption.budgets", "written out: no node for drift, which was off, and no bound for the rest; the new default is 10% for each")
    return {**how, "budgets": budgets}


def _expiry(spec: Mapping[str, Any], notes: _Notes) -> str:
    seconds = spec.get("ttlSecondsUntilExpired")
    if seconds is None:
        notes.say("spec.ttlSecondsUntilExpired", "absent: expireAfter Never written out, as the new default is 720h, whatever runs then")
        return "Never"
    notes.say("spec.ttlSecondsUntilExpired", f"{seconds} has become expireAfter {seconds}s, which no longer waits for pods")
    return f"{seconds}s"


def _labels(given: Mapping[str, str], notes: _Notes) -> dict[str, str]:
    if _OLD_POOL in given:
        notes.say(f"spec.labels[{_OLD_POOL}]", f"dropped: Karpenter sets {_POOL} itself; selectors in your pods have to follow")
    return {key: value for key, value in given.items() if key != _OLD_POOL}


def _annotations(given: Mapping[str, str], notes: _Notes) -> dict[str, str]:
    for old in sorted(set(given) & set(_ANNOTATIONS)):
        notes.say(f"spec.annotations[{old}]", f"has become {_ANNOTATIONS[old]}")
    return {_ANNOTATIONS.get(key, key): value for key, value in given.items()}


def _kubelet(given: Mapping[str, Any] | None, notes: _Notes) -> dict[str, Any]:
    kubelet = dict(given or {})
    if "containerRuntime" in kubelet:
        notes.say("spec.kubeletConfiguration.containerRuntime", f"{kubelet.pop('containerRuntime')!r} dropped: containerd is the only one left")
    if kubelet:
        notes.say("spec.kubeletConfiguration", "has moved to the EC2NodeClass, as kubelet")
    return kubelet


def _kind(document: Mapping[str, Any]) -> tuple[Any, Any]:
    return document.get("apiVersion"), document.get("kind")


def _faults(documents: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the old Karpenter's webhooks would have refused, but for a missing provider; and what is no such object at all."""
    faults: list[str] = []
    names: set[tuple[str, str]] = set()
    for number, document in enumerate(documents, 1):
        if not isinstance(document, Mapping) or _kind(document) not in (PROVISIONER, TEMPLATE):
            shown = " ".join(map(str, _kind(document))) if isinstance(document, Mapping) else repr(document)
            faults.append(
                f"document {number}: {shown:.80} is not allowed; allowed: {' or '.join(' '.join(kind) for kind in (PROVISIONER, TEMPLATE))}"
            )
            continue
        name = (document.get("metadata") or {}).get("name")
        if not isinstance(name, str) or not name:
            faults.append(f"document {number}: metadata.name: missing")
            continue
        about = f"{document['kind']} {name}"
        if (document["kind"], name) in names:
            faults.append(f"{about}: given twice; allowed: once")
        names.add((document["kind"], name))
        spec = document.get("spec") or {}
        if not isinstance(spec, Mapping):
            faults.append(f"{about}: spec: {spec!r} is not a mapping")
            continue
        known = _FIELDS if document["kind"] == "Provisioner" else TEMPLATE_FIELDS
        faults += [f"{about}: spec.{key}: no such field{_nearest(key, known)}" for key in spec if key not in known]
        if document["kind"] == "Provisioner":
            faults += [f"{about}: {fault}" for fault in _provisioner_faults(spec)]
    if not faults and not any(kind == "Provisioner" for kind, _ in names):
        faults.append("no Provisioner in it; allowed: one or more, of karpenter.sh/v1alpha5")
    return faults


def _provisioner_faults(spec: Mapping[str, Any]) -> list[str]:
    """https://github.com/kubernetes-sigs/karpenter/blob/v0.31.4/pkg/apis/v1alpha5/provisioner_validation.go"""
    faults: list[str] = []
    if spec.get("provider") and spec.get("providerRef"):
        faults.append("spec.provider: beside spec.providerRef; allowed: one of them")
    if spec.get("provider") is not None and not isinstance(spec["provider"], Mapping):
        faults.append(f"spec.provider: {spec['provider']!r} is not a mapping")
    elif spec.get("provider"):
        faults += [f"spec.provider.{key}: no such field{_nearest(key, TEMPLATE_FIELDS)}" for key in spec["provider"] if key not in TEMPLATE_FIELDS]
    if (spec.get("consolidation") or {}).get("enabled") and spec.get("ttlSecondsAfterEmpty") is not None:
        faults.append("spec.consolidation.enabled: beside spec.ttlSecondsAfterEmpty; allowed: one of them")
    for key in ("ttlSecondsAfterEmpty", "ttlSecondsUntilExpired"):
        value = spec.get(key)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
            faults.append(f"spec.{key}: {value!r} is not allowed; allowed: a whole number of seconds, 0 or more")
    for index, requirement in enumerate(spec.get("requirements") or []):
        if not isinstance(requirement, Mapping) or not {"key", "operator"} <= set(requirement):
            faults.append(f"spec.requirements[{index}]: {requirement!r:.80} is not allowed; allowed: key, operator and values")
        elif requirement["operator"] not in _OPERATORS:
            faults.append(f"spec.requirements[{index}].operator: {requirement['operator']!r} is not allowed; allowed: {', '.join(_OPERATORS)}")
        elif requirement["operator"] in ("In", "Gt", "Lt") and not requirement.get("values"):
            faults.append(f"spec.requirements[{index}].values: missing; allowed: one or more with {requirement['operator']}")
    for key in ("taints", "startupTaints"):
        for index, taint in enumerate(spec.get(key) or []):
            if not isinstance(taint, Mapping) or not taint.get("key") or taint.get("effect") not in _EFFECTS:
                faults.append(f"spec.{key}[{index}]: {taint!r:.80} is not allowed; allowed: a key, and an effect of {', '.join(_EFFECTS)}")
    return faults


_ALLOWED = " or ".join(" ".join(kind) for kind in (PROVISIONER, TEMPLATE))

_OPERATORS, _EFFECTS = ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"), ("NoSchedule", "PreferNoSchedule", "NoExecute")


def _nearest(key: str, known: set[str]) -> str:
    near = difflib.get_close_matches(key, known, 1)
    return f"; did you mean {near[0]}?" if near else f"; known: {', '.join(sorted(known))}"
