"""The Kubernetes stand-in's side of the conversation with the engine."""

import contextlib
import json
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc
from urllib3.exceptions import HTTPError

from lab.engine.go_tool import ToolError
from lab.kubernetes.api import KubernetesApi
from lab.kubernetes.provider.changes import changed_paths, replaces
from lab.kubernetes.provider.cluster import NoCluster, kubeconfig_text
from lab.kubernetes.provider.objects import AUTO_NAMED, Objects
from lab.kubernetes.provider.release import Releases
from lab.kubernetes.refused import Refused
from lab.provider.half_made import refuse_with_state
from lab.provider.wire import UNKNOWN, Properties, read, write

RELEASE = "kubernetes:helm.sh/v3:Release"
_NOT_SERVED = ("kubernetes:helm.sh/v4:", "kubernetes:yaml:", "kubernetes:yaml/v2:", "kubernetes:kustomize:")
_KIND = provider_pb2.PropertyDiff


class KubernetesProvider(provider_pb2_grpc.ResourceProviderServicer):
    """Serves every kind of object that the cluster serves, and Helm releases of Karpenter's charts."""

    def __init__(self) -> None:
        self._objects = Objects(None, "default")
        self._releases = Releases(None)

    def Handshake(self, request: Any, context: Any) -> provider_pb2.ProviderHandshakeResponse:
        return provider_pb2.ProviderHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=version("pulumi-kubernetes"))

    def GetSchema(self, request: Any, context: Any) -> provider_pb2.GetSchemaResponse:
        return provider_pb2.GetSchemaResponse(schema=json.dumps({"name": "kubernetes", "version": version("pulumi-kubernetes"), "resources": {}}))

    def CheckConfig(self, request: Any, context: Any) -> provider_pb2.CheckResponse:
        wanted = read(request.news)
        failures = []
        if str(wanted.get("enableServerSideApply", "true")).lower() != "true":
            reason = "the lab applies on the server's side only; allowed: true, or left out"
            failures.append(provider_pb2.CheckFailure(property="enableServerSideApply", reason=reason))
        if wanted.get("kubeconfig") != UNKNOWN:
            try:
                kubeconfig_text(wanted.get("kubeconfig"))
            except NoCluster as fault:
                failures.append(provider_pb2.CheckFailure(property="kubeconfig", reason=str(fault)))
        return provider_pb2.CheckResponse(inputs=request.news, failures=failures)

    def DiffConfig(self, request: Any, context: Any) -> provider_pb2.DiffResponse:
        # Its address and keys may change with every lab, and no object of it with them.
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: Any) -> provider_pb2.ConfigureResponse:
        given = {**{name.rpartition(":")[2]: value for name, value in request.variables.items()}, **read(request.args)}
        if given.get("kubeconfig") != UNKNOWN:
            with _in_words(context, "reading the provider's settings"):
                kubeconfig = kubeconfig_text(given.get("kubeconfig"))
                self._objects = Objects(KubernetesApi(kubeconfig), given.get("namespace") or "default")
                self._releases = Releases(kubeconfig)
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    def Check(self, request: Any, context: Any) -> provider_pb2.CheckResponse:
        if request.type.startswith(_NOT_SERVED) or request.type.endswith("Patch"):
            failure = provider_pb2.CheckFailure(reason=f"the lab's Kubernetes has no {request.type}; it has objects by their kind, and {RELEASE}")
            return provider_pb2.CheckResponse(inputs=request.news, failures=[failure])
        kind = self._kind(request)
        wanted = kind.named(read(request.news), read(request.olds), request.urn, bytes(request.randomSeed))
        failures = [provider_pb2.CheckFailure(property=fault.path, reason=fault.reason) for fault in kind.faults(wanted)]
        return provider_pb2.CheckResponse(inputs=write(wanted), failures=failures)

    def Diff(self, request: Any, context: Any) -> provider_pb2.DiffResponse:
        old, new = read(request.old_inputs), read(request.news)
        paths = [path for path in changed_paths(old, new) if not path.startswith("__") and path not in request.ignoreChanges]
        kind = new.get("kind", "")
        if request.type == RELEASE:
            anew = [path for path in paths if path in ("name", "namespace")]
            chosen_name = not new.get("__autoname")
        else:
            anew = [path for path in paths if replaces(kind, path)]
            chosen_name = AUTO_NAMED not in ((new.get("metadata") or {}).get("annotations") or {})
        same_name = chosen_name and not {"metadata.name", "metadata.namespace", "name", "namespace"} & set(anew)
        details = {path: _KIND(kind=_KIND.UPDATE_REPLACE if path in anew else _KIND.UPDATE, inputDiff=True) for path in paths}
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if paths else provider_pb2.DiffResponse.DIFF_NONE,
            replaces=anew,
            diffs=sorted({path.split(".")[0] for path in paths}),
            detailedDiff=details,
            hasDetailedDiff=True,
            deleteBeforeReplace=bool(anew) and same_name,
        )

    def Create(self, request: Any, context: Any) -> provider_pb2.CreateResponse:
        wanted, kind = read(request.properties), self._kind(request)
        with _in_words(context, f"creating {request.urn}"):
            if request.preview:
                return provider_pb2.CreateResponse(id="", properties=write(_as_planned(wanted, kind.preview(wanted))))
            if isinstance(kind, Releases):
                identity, made = kind.create(wanted)
                return provider_pb2.CreateResponse(id=identity, properties=write(made))
            identity, made = kind.create(wanted, request.timeout)
        try:
            made = kind.awaited(wanted, request.timeout)
        except (Refused, TimeoutError, RuntimeError, HTTPError) as error:
            refuse_with_state(context, identity, wanted, f"{request.urn} was made as {identity}, but is not ready: {error}")
        return provider_pb2.CreateResponse(id=identity, properties=write(made))

    def Update(self, request: Any, context: Any) -> provider_pb2.UpdateResponse:
        wanted, kind = read(request.news), self._kind(request)
        with _in_words(context, f"updating {request.urn}"):
            if isinstance(kind, Releases):
                shown = kind.preview(wanted, read(request.olds)) if request.preview else kind.update(wanted)
                return provider_pb2.UpdateResponse(properties=write(shown))
            if request.preview:
                return provider_pb2.UpdateResponse(properties=write(_as_planned(wanted, kind.preview(wanted))))
            kind.create(wanted, request.timeout)
            return provider_pb2.UpdateResponse(properties=write(kind.awaited(wanted, request.timeout)))

    def Read(self, request: Any, context: Any) -> provider_pb2.ReadResponse:
        inputs, kind = read(request.inputs) or read(request.properties), self._kind(request)
        with _in_words(context, f"reading {request.urn}"):
            live = kind.live(inputs)
            if live is None:
                return provider_pb2.ReadResponse()
            shown = live if isinstance(kind, Releases) else kind.drifted(inputs, live)
            outputs = {**read(request.properties), **live} if isinstance(kind, Releases) else live
            return provider_pb2.ReadResponse(id=request.id, properties=write(outputs), inputs=write(shown))

    def Delete(self, request: Any, context: Any) -> empty_pb2.Empty:
        known = read(request.old_inputs) or read(request.properties)
        with _in_words(context, f"deleting {request.urn}"):
            self._kind(request).delete(known, request.timeout)
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> provider_pb2.InvokeResponse:
        failure = provider_pb2.CheckFailure(reason=f"the lab's Kubernetes cannot look up {request.tok}; it makes objects and releases only")
        return provider_pb2.InvokeResponse(failures=[failure])

    def Cancel(self, request: Any, context: Any) -> empty_pb2.Empty:
        return empty_pb2.Empty()

    def _kind(self, request: Any) -> Objects | Releases:
        return self._releases if request.type == RELEASE else self._objects


def _as_planned(wanted: Properties, answer: Properties) -> Properties:
    """A preview's answer without what only the real thing will have."""
    metadata = {name: value for name, value in (answer.get("metadata") or {}).items() if name not in ("uid", "creationTimestamp")}
    return {**wanted, **answer, "metadata": metadata} if "metadata" in answer else {**wanted, **answer}


@contextlib.contextmanager
def _in_words(context: Any, doing: str) -> Iterator[None]:
    """Turn an error into what the engine prints: what was being done, and the cluster's own words."""
    try:
        yield
    except (Refused, NoCluster, ToolError, TimeoutError, RuntimeError, HTTPError, ValueError, LookupError) as error:
        context.abort(grpc.StatusCode.UNKNOWN, f"{doing}: {error}")
