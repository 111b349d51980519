"""An AWSNodeTemplate (or the `provider` of a Provisioner) as an EC2NodeClass."""

from collections.abc import Mapping
from itertools import product
from typing import Any

PLACEHOLDER = "replace-me"
"""Stands where the old form left something out that the new one needs; the notes name each place."""

TEMPLATE_FIELDS = {
    "amiFamily",
    "amiSelector",
    "apiVersion",
    "blockDeviceMappings",
    "context",
    "detailedMonitoring",
    "instanceProfile",
    "kind",
    "launchTemplate",
    "metadataOptions",
    "securityGroupSelector",
    "subnetSelector",
    "tags",
    "userData",
}

_ALIASES = {"AL2": "al2", "AL2023": "al2023", "Bottlerocket": "bottlerocket", "Windows2019": "windows2019", "Windows2022": "windows2022"}

_RESERVED = (
    "eks:eks-cluster-name",
    "karpenter.sh/nodepool",
    "karpenter.sh/nodeclaim",
    "karpenter.k8s.aws/ec2nodeclass",
    "karpenter.sh/provisioner-name",
)

_METADATA = {"httpEndpoint": "enabled", "httpProtocolIPv6": "disabled", "httpPutResponseHopLimit": 2, "httpTokens": "required"}
"""The old default: https://karpenter.sh/v0.31/concepts/node-templates/#specmetadataoptions"""


def node_class(name: str, template: Mapping[str, Any] | None, kubelet: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """The EC2NodeClass; what is missing or different goes to `notes`."""

    def say(what: str, text: str) -> None:
        notes.append(f"EC2NodeClass {name}: {what}: {text}")

    given = template or {}
    if template is None:
        say("spec", f"no AWSNodeTemplate {name} in the file: what it said has to be filled in wherever {PLACEHOLDER} stands")
    spec: dict[str, Any] = {"instanceProfile": given.get("instanceProfile") or PLACEHOLDER}
    if not given.get("instanceProfile"):
        say("spec.instanceProfile", f"missing (the old Karpenter had a default in its settings): put it for {PLACEHOLDER}, or name a role instead")
    spec |= _images(given, say)
    spec["subnetSelectorTerms"] = _selected(given.get("subnetSelector"), "subnet", say)
    spec["securityGroupSelectorTerms"] = _selected(given.get("securityGroupSelector"), "securityGroup", say)
    spec["metadataOptions"] = {**_METADATA, **(given.get("metadataOptions") or {})}
    if "httpPutResponseHopLimit" not in (given.get("metadataOptions") or {}):
        say("spec.metadataOptions", "hop limit 2 written out, the old default: pods reach the node's keys. The new default is 1")
    tags = dict(given.get("tags") or {})
    for key in sorted(tags):
        if key in _RESERVED or key.startswith("kubernetes.io/cluster"):
            say(f"spec.tags[{key}]", "dropped: Karpenter sets it itself, and refuses it here")
            del tags[key]
    spec |= {"tags": tags} if tags else {}
    for kept in ("blockDeviceMappings", "context", "detailedMonitoring", "userData"):
        if kept in given:
            spec[kept] = given[kept]
    if given.get("launchTemplate"):
        say("spec.launchTemplate", f"{given['launchTemplate']!r} dropped: launch templates of one's own are gone; move what it says into this class")
    if kubelet:
        spec["kubelet"] = dict(kubelet)
    return {"apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass", "metadata": {"name": name}, "spec": spec}


def _images(given: Mapping[str, Any], say: Any) -> dict[str, Any]:
    family = given.get("amiFamily") or "AL2"
    if given.get("amiSelector"):
        terms = _terms(given["amiSelector"], "ami")
        if family == "Ubuntu":
            say("spec.amiFamily", "Ubuntu has become AL2, whose start script it shares: Karpenter has no family Ubuntu any more")
            family = "AL2"
        return {"amiFamily": family, "amiSelectorTerms": terms}
    if family not in _ALIASES:
        say("spec.amiSelectorTerms", f"{family} has no image of its own any more: put the id of yours for ami-{PLACEHOLDER.replace('-', '')}")
        return {"amiFamily": "AL2" if family == "Ubuntu" else "Custom", "amiSelectorTerms": [{"id": f"ami-{PLACEHOLDER.replace('-', '')}"}]}
    if family == "AL2":
        say("spec.amiFamily", "AL2 written out, the old default; Amazon Linux 2 has no images for Kubernetes 1.33 and later: take al2023")
    say("spec.amiSelectorTerms", f"{_ALIASES[family]}@latest, as before: each new image replaces nodes once drift is allowed. Pin a version instead")
    return {"amiSelectorTerms": [{"alias": f"{_ALIASES[family]}@latest"}]}


def _selected(selector: Mapping[str, str] | None, what: str, say: Any) -> list[dict[str, Any]]:
    if selector:
        return _terms(selector, what)
    say(f"spec.{what}SelectorTerms", f"missing: put your cluster's name for {PLACEHOLDER}, or better name ids")
    return [{"tags": {"karpenter.sh/discovery": PLACEHOLDER}}]


def _terms(selector: Mapping[str, str], what: str) -> list[dict[str, Any]]:
    """One term for each value: a comma said "or" in the old form, and so do several terms in the new one.

    https://karpenter.sh/v0.31/concepts/node-templates/#specsubnetselector
    """
    ids = next((selector[key] for key in ("aws::ids", "aws-ids") if key in selector), None)
    if ids is not None:
        return [{"id": one.strip()} for one in ids.split(",")]
    names = [one.strip() for one in selector["aws::name"].split(",")] if "aws::name" in selector else [None]
    owners = [one.strip() for one in selector["aws::owners"].split(",")] if "aws::owners" in selector else [None]
    tags = {key: [one.strip() for one in str(value).split(",")] for key, value in selector.items() if not key.startswith("aws::")}
    terms: list[dict[str, Any]] = []
    for name, owner, *values in product(names, owners, *tags.values()):
        term: dict[str, Any] = {"name": name} if name else {}
        term |= {"owner": owner} if owner else {}
        term |= {"tags": dict(zip(tags, values, strict=True))} if tags else {}
        terms.append(term)
    return terms
