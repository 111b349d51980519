"""What the SDK's own type tables say about a resource: the one place that reads Pulumi's private `_types`."""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args, get_origin

import pulumi
from pulumi import _types

ACCOUNT, REGION = "123456789012", "us-east-1"


_ARN_PATHS = {"eks": "cluster/"}


def resource_class(token: str) -> type | None:
    """The SDK class behind a token like `aws:sqs/queue:Queue`; None where no SDK has one."""
    package, module, name = token.split(":")
    if package == "pulumi":
        return getattr(pulumi, name, None)
    folder = module.split("/")[0]
    if package == "kubernetes":
        folder = {"helm.sh/v3": "helm.v3"}.get(module, module.replace(".k8s.io", "").replace("/", "."))
    for spelling in (folder, folder + "_"):
        try:
            return getattr(importlib.import_module(f"pulumi_{package}.{spelling}".removesuffix(".index")), name)
        except (ImportError, AttributeError):
            continue
    return None


def unknown_properties(token: str, inputs: Mapping[str, Any]) -> list[str]:
    """Each input that the resource does not have, or whose kind it does not take, at any depth."""
    cls = resource_class(token)
    if cls is None or cls is pulumi.Stash:
        return []
    return list(_strangers(_types.resource_types(cls), inputs, cls.__name__, ""))


def filled_outputs(token: str, name: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The resource's state after creation: its inputs, and for every other property a value of the right kind."""
    cls = resource_class(token)
    if cls is pulumi.Stash:
        return {**inputs, "output": inputs.get("input")}
    if cls is None:
        return dict(inputs)
    service = token.split(":")[1].split("/")[0]
    filled = {key: _filling(key, hint, service, name) for key, hint in _types.resource_types(cls).items()}
    return {**filled, **inputs}


def _strangers(table: Mapping[str, Any], given: Mapping[str, Any], owner: str, path: str) -> Iterator[str]:
    for key, value in given.items():
        # The SDK of Kubernetes sends `compat` with a Release by itself.
        if key.startswith("__") or (owner, key) == ("Release", "compat"):
            continue
        where = f"{path}.{key}" if path else key
        if key not in table:
            yield f"{where}: no such property on {owner}"
        else:
            yield from _misfits(_types.unwrap_type(table[key]), value, where)


def _misfits(hint: Any, value: Any, where: str) -> Iterator[str]:
    kind = get_origin(hint) or hint
    if isinstance(value, list):
        if not (isinstance(kind, type) and issubclass(kind, Sequence)) or kind is str:
            yield f"{where}: a list where {hint} is expected"
            return
        for index, entry in enumerate(value):
            yield from _misfits(_types.unwrap_type(get_args(hint)[0]), entry, f"{where}[{index}]")
    elif isinstance(value, dict) and isinstance(kind, type) and _types.is_output_type(kind):
        yield from _strangers(_types.output_type_types(kind), value, kind.__name__, where)
    elif not _is_unknown(value) and _wrong_scalar(kind, value):
        yield f"{where}: {value!r} where {kind.__name__} is expected"


def _wrong_scalar(kind: Any, value: object) -> bool:
    if kind is str:
        return isinstance(value, bool | int | float)
    if kind is bool:
        return not isinstance(value, bool)
    return kind in (int, float) and isinstance(value, str | bool)


def _is_unknown(value: object) -> bool:
    return isinstance(value, pulumi.output.Unknown) or value == pulumi.runtime.rpc.UNKNOWN


def _filling(key: str, hint: Any, service: str, name: str) -> Any:
    hint = _types.unwrap_type(hint)
    kind = get_origin(hint) or hint
    if kind is bool:
        return False
    if kind in (int, float):
        return 1
    if kind is str:
        if key == "arn" or key.endswith("Arn"):
            return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{_ARN_PATHS.get(service, '')}{name}"
        if key == "region":
            return REGION
        if key in ("url", "queueUrl"):
            return f"https://{service}.{REGION}.amazonaws.com/{ACCOUNT}/{name}"
        return name if key in ("name", "bucket") else f"{name}-{key}"
    if isinstance(kind, type) and issubclass(kind, Mapping):
        return {}
    if isinstance(kind, type) and _types.is_output_type(kind):
        return {}
    return []
