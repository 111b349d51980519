"""Which machines Karpenter may launch for a pool."""

from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

from ..aws.instance_types import SPELLING, architecture, sold_as_spot, spelled_right
from ..validation import Faults

_ARCHITECTURES = {"x86_64": "amd64", "arm64": "arm64"}


class Requirement(TypedDict):
    """One more thing that a machine must fulfil, in Karpenter's own terms."""

    key: str
    """A label that Karpenter knows, such as `topology.kubernetes.io/zone`: https://karpenter.sh/v1.14/concepts/scheduling/#supported-labels."""
    operator: str
    """In, NotIn, Exists, DoesNotExist, Gt, Lt, Gte or Lte."""
    values: NotRequired[Sequence[str]]
    """Values of the label; numbers as strings. None with Exists and DoesNotExist."""
    min_values: NotRequired[int]
    """How many different values must be possible at a launch, 1 to 50. Karpenter launches nothing while they are not. Default: no such demand."""


class Instances(TypedDict):
    """Machines by name (`types`), or by kind (`categories`, `cpus`, `newer_than`)."""

    types: NotRequired[Sequence[str]]
    """EC2 instance types by name. Default: every type of the kind that the other arguments describe, which is some hundred."""
    categories: NotRequired[Sequence[str]]
    """Letters with which the families begin. Default: c, m, r."""
    cpus: NotRequired[Sequence[int]]
    """vCPUs of a machine. Default: 4, 8, 16."""
    newer_than: NotRequired[int]
    """Families of a later generation only. Default: 2."""
    architecture: NotRequired[str]
    """x86_64 or arm64. Default: x86_64, or that of `types`."""
    requirements: NotRequired[Sequence[Requirement]]
    """Anything else that Karpenter chooses by. Default: nothing."""


def check_instances(faults: Faults, instances: Instances) -> None:
    """Refuse types that EC2 would refuse or that contradict each other, before Karpenter finds nothing to launch."""
    types = instances.get("types")
    for index, name in enumerate(types or ()):
        path = f"instances.types[{index}]"
        if not spelled_right(name):
            faults.add(path, name, SPELLING)
        elif not sold_as_spot(name):
            faults.add(path, name, "a type that AWS sells as Spot; mac, hpc and high-memory (u) types are not")
        if name in (types or ())[:index]:
            faults.add(path, name, "each type once")
    if types is not None:
        for other in ("categories", "cpus", "newer_than"):
            if other in instances:
                faults.add(f"instances.{other}", instances.get(other), "left out where instances.types names the machines")
    kinds = {architecture(name) for name in types or () if spelled_right(name)} | (
        {instances["architecture"]} if "architecture" in instances else set()
    )
    if len(kinds) > 1:
        faults.add("instances.types", list(types or ()), "one architecture, as one container image serves all; g after a number is arm64")


def requirements(instances: Instances, capacity_types: Sequence[str]) -> list[dict[str, Any]]:
    """A NodePool's requirements; `instances` has been checked."""
    types = instances.get("types")
    kind = instances.get("architecture") or (architecture(types[0]) if types else "x86_64")
    found: list[dict[str, Any]] = [
        {"key": "karpenter.sh/capacity-type", "operator": "In", "values": list(capacity_types)},
        {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]},
        {"key": "kubernetes.io/arch", "operator": "In", "values": [_ARCHITECTURES[kind]]},
    ]
    if types is not None:
        found.append({"key": "node.kubernetes.io/instance-type", "operator": "In", "values": list(types)})
    else:
        found += [
            {"key": "karpenter.k8s.aws/instance-category", "operator": "In", "values": list(instances.get("categories", ("c", "m", "r")))},
            {"key": "karpenter.k8s.aws/instance-cpu", "operator": "In", "values": [str(count) for count in instances.get("cpus", (4, 8, 16))]},
            {"key": "karpenter.k8s.aws/instance-generation", "operator": "Gt", "values": [str(instances.get("newer_than", 2))]},
        ]
    for entry in instances.get("requirements", ()):
        more: dict[str, Any] = {"key": entry["key"], "operator": entry["operator"]}
        more |= {"values": list(entry["values"])} if "values" in entry else {}
        more |= {"minValues": entry["min_values"]} if "min_values" in entry else {}
        found.append(more)
    return found
