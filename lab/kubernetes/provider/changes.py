"""What differs between two versions of an object."""

from collections.abc import Iterator, Mapping
from typing import Any

from lab.provider.wire import same

_ABSENT = object()

MADE_ANEW = {
    "ConfigMap": ("data", "binaryData"),
    "DaemonSet": ("spec.selector",),
    "Deployment": ("spec.selector",),
    "Job": ("spec.completions", "spec.parallelism", "spec.selector", "spec.template"),
    "RoleBinding": ("roleRef",),
    "ClusterRoleBinding": ("roleRef",),
    "Secret": ("type", "stringData", "data"),
    "Service": ("spec.clusterIP",),
}
"""Fields whose change makes the provider replace an object, by its kind: `forceNew` in pulumi-kubernetes, provider/pkg/provider/diff.go."""
_IDENTITY = ("apiVersion", "kind", "metadata.name", "metadata.namespace")


def changed_paths(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """Paths of the fields that differ, as `spec.limits.cpu`; lists are compared as wholes."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in sorted({*old, *new}):
            yield from changed_paths(old.get(name, _ABSENT), new.get(name, _ABSENT), f"{path}.{name}" if path else name)
    elif old is _ABSENT or new is _ABSENT or not same(old, new):
        yield path


def replaces(kind: str, path: str) -> bool:
    """Whether a change of this field needs a new object."""
    return any(path == field or path.startswith(f"{field}.") for field in (*_IDENTITY, *MADE_ANEW.get(kind, ())))


def value_at(properties: Any, path: str) -> Any:
    """The value at a path, None where there is none. Keys may contain dots, as labels do."""
    if not path:
        return properties
    if isinstance(properties, Mapping):
        for name, value in properties.items():
            if path == name or path.startswith(f"{name}."):
                return value_at(value, path[len(name) + 1 :])
    return None


def with_value(properties: Any, path: str, value: Any) -> Any:
    """A copy of the properties with another value at a path, or without it where the value is None."""
    if not path:
        return value
    name = next((name for name in properties if path == name or path.startswith(f"{name}.")), path)
    changed = with_value(properties.get(name) or {}, path[len(name) + 1 :], value)
    others = {key: entry for key, entry in properties.items() if key != name}
    return others if changed is None else {**others, name: changed}
