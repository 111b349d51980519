"""Objects of a cluster as resources of the engine."""

import json
import random
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

from lab.kubernetes.api import KubernetesApi, Manifest, conditions, has_condition
from lab.kubernetes.provider.changes import changed_paths, value_at, with_value
from lab.kubernetes.refused import Refused
from lab.provider.fault import Fault
from lab.provider.wire import UNKNOWN, Properties, is_known

WAIT_FOR = "pulumi.com/waitFor"
SKIP_AWAIT = "pulumi.com/skipAwait"
AUTO_NAMED = "pulumi.com/autonamed"
_AWAIT_SECONDS = 600.0
"""As long as the real provider waits: https://www.pulumi.com/registry/packages/kubernetes/installation-configuration (custom timeouts)."""
_NEW_KIND_SECONDS = 30.0
"""How long a kind may be unknown whose definition was made a moment ago."""
_NEEDS_MACHINES = frozenset({"DaemonSet", "Deployment", "Ingress", "PersistentVolumeClaim", "Pod", "ReplicationController", "Service", "StatefulSet"})
"""Kinds that the real provider waits for, and that get ready on no cluster without machines."""
_SERVER_OWN = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "deletionGracePeriodSeconds")


class Objects:
    """Makes, reads, changes and removes any kind of object that the cluster serves."""

    def __init__(self, api: KubernetesApi | None, namespace: str) -> None:
        self._api = api
        self._namespace = namespace

    def named(self, inputs: Properties, olds: Properties, urn: str, seed: bytes) -> Properties:
        """Give an object without a name one: the old one, or its Pulumi name and eight digits that the engine's seed decides."""
        metadata = inputs.get("metadata") or {}
        if metadata.get("name") or metadata.get("generateName") or not isinstance(metadata, Mapping):
            return inputs
        old = olds.get("metadata") or {}
        kept = old.get("name") if AUTO_NAMED in (old.get("annotations") or {}) else None
        name = kept or f"{urn.split('::')[-1]}-{random.Random(seed).getrandbits(32):08x}"
        annotations = {**(metadata.get("annotations") or {}), AUTO_NAMED: "true"}
        return {**inputs, "metadata": {**metadata, "name": name, "annotations": annotations}}

    def faults(self, inputs: Properties) -> Iterator[Fault]:
        """What the provider itself refuses; everything else is for the API server to judge."""
        for name in ("apiVersion", "kind"):
            if not isinstance(inputs.get(name), str):
                yield Fault(name, f"an object needs {name}")
        notes = value_at(inputs, "metadata.annotations") or {}
        kind, skips = inputs.get("kind"), str(notes.get(SKIP_AWAIT)).lower() == "true"
        if kind in _NEEDS_MACHINES and not skips:
            yield Fault(
                "kind", f"the lab's cluster has no machines, so a {kind} never gets ready there; allowed: with annotation {SKIP_AWAIT}: 'true'"
            )
        waits = notes.get(WAIT_FOR)
        if waits not in (None, UNKNOWN) and not all(map(_condition, _expressions(waits))):
            yield Fault(
                f"metadata.annotations.{WAIT_FOR}", f"{waits!r}; allowed in the lab: condition=NAME, condition=NAME=STATUS, or a JSON list of them"
            )

    def preview(self, inputs: Properties) -> Properties:
        """What the API server would make of it. Where it cannot be asked yet, the inputs as they are."""
        if self._api is None or not is_known(inputs):
            return inputs
        try:
            return _shown(self._api.apply(self._placed(inputs), dry_run=True))
        except Refused as refused:
            # Its kind, or its namespace, may be made by this very update.
            if refused.code == 404:
                return inputs
            raise

    def create(self, inputs: Properties, seconds: float) -> tuple[str, Properties]:
        """Apply it; the id NAMESPACE/NAME and the object. Await it with `awaited`."""
        until = time.monotonic() + min(seconds or _NEW_KIND_SECONDS, _NEW_KIND_SECONDS)
        while True:
            try:
                made = self._known_api.apply(self._placed(inputs))
                return _identity(made), _shown(made)
            except Refused as refused:
                if refused.code != 404 or time.monotonic() > until:
                    raise
                time.sleep(0.5)

    def awaited(self, inputs: Properties, seconds: float) -> Properties:
        """Wait as the annotation says, for a Job until it is complete; the object as it is then.

        Raises TimeoutError with its conditions when time is up, RuntimeError when a Job has failed.
        """
        notes = value_at(inputs, "metadata.annotations") or {}
        wanted = [_condition(entry) for entry in _expressions(notes[WAIT_FOR])] if notes.get(WAIT_FOR) else []
        if inputs["kind"] == "Job" and not wanted and str(notes.get(SKIP_AWAIT)).lower() != "true":
            wanted = [("Complete", "True")]
        until = time.monotonic() + (seconds or _AWAIT_SECONDS)
        while True:
            live = self.live(inputs)
            if live is None:
                raise RuntimeError("it was deleted while it was waited for")
            missing = [pair for pair in wanted if pair and not has_condition(live, *pair)]
            if not missing:
                return _shown(live)
            if inputs["kind"] == "Job" and has_condition(live, "Failed"):
                raise RuntimeError(f"the Job has failed: {conditions(live)['Failed'].get('message', '')}")
            if time.monotonic() > until:
                words = ", ".join(f"{name}={status}" for name, status in missing)
                raise TimeoutError(f"{words}: not after {seconds or _AWAIT_SECONDS:.0f} s; its conditions are {_in_short(live)}")
            time.sleep(0.2)

    def live(self, inputs: Properties) -> Manifest | None:
        metadata = self._placed(inputs)["metadata"]
        return self._known_api.read(inputs["apiVersion"], inputs["kind"], metadata["name"], metadata.get("namespace", ""))

    def drifted(self, inputs: Properties, live: Manifest) -> Properties:
        """The program's inputs, with the cluster's value where applying them again would change it."""
        if not inputs:
            return {name: value for name, value in _without_server_own(live).items() if name != "status"}
        try:
            applied = self._known_api.apply(self._placed(inputs), dry_run=True)
        except Refused:
            applied = inputs
        for path in changed_paths(_without_server_own(applied), _without_server_own(live)):
            if not path.startswith("status") and value_at(inputs, path) is not None:
                inputs = with_value(inputs, path, value_at(live, path))
        return inputs

    def delete(self, inputs: Properties, seconds: float) -> None:
        """Foreground deletion: returns when it and everything it owns are gone. Raises TimeoutError that says what holds it."""
        manifest = self._placed(inputs)
        try:
            self._known_api.delete(manifest)
        except Refused as refused:
            # A kind that is not served any more has no objects either.
            if refused.code != 404:
                raise
            return
        until = time.monotonic() + (seconds or _AWAIT_SECONDS)
        while (live := self.live(inputs)) is not None:
            if time.monotonic() > until:
                raise TimeoutError(f"still there after {seconds or _AWAIT_SECONDS:.0f} s; it is held by {live['metadata'].get('finalizers')}")
            time.sleep(0.1)

    @property
    def _known_api(self) -> KubernetesApi:
        assert self._api is not None, "only a preview runs before the cluster is known"
        return self._api

    def _placed(self, inputs: Properties) -> Manifest:
        manifest = {name: value for name, value in inputs.items() if not name.startswith("__") and name != "status"}
        metadata = dict(manifest.get("metadata") or {})
        if not metadata.get("namespace") and self._known_api.namespaced(inputs["apiVersion"], inputs["kind"]):
            metadata["namespace"] = self._namespace
        return {**manifest, "metadata": metadata}


def _expressions(value: str) -> list[str]:
    """The annotation is one expression, or a JSON list of them."""
    try:
        listed = json.loads(value)
    except ValueError:
        return [value]
    return listed if isinstance(listed, list) else [value]


def _condition(expression: Any) -> tuple[str, str] | None:
    found = re.fullmatch(r"condition=([\w./-]+)(?:=(\w+))?", expression) if isinstance(expression, str) else None
    return (found[1], found[2] or "True") if found else None


def _identity(made: Manifest) -> str:
    namespace = made["metadata"].get("namespace")
    return f"{namespace}/{made['metadata']['name']}" if namespace else made["metadata"]["name"]


def _shown(made: Manifest) -> Properties:
    metadata = {name: value for name, value in made["metadata"].items() if name != "managedFields"}
    return {**made, "metadata": metadata}


def _without_server_own(manifest: Mapping[str, Any]) -> Manifest:
    metadata = {name: value for name, value in manifest["metadata"].items() if name not in _SERVER_OWN}
    return {**manifest, "metadata": metadata}


def _in_short(live: Manifest) -> str:
    said = [f"{name}={entry['status']} {entry.get('reason', '')}: {entry.get('message', '')}" for name, entry in conditions(live).items()]
    return "; ".join(said) or "none"
