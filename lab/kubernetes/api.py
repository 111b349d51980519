"""Any object of a cluster by its apiVersion and kind, through the official client."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import yaml
from kubernetes import client, config

from lab.kubernetes.refused import Refused

Manifest = dict[str, Any]

MANAGER = "pulumi-kubernetes"
"""Who owns the fields that are applied."""
_CALL_SECONDS = 60


class KubernetesApi:
    """A cluster that a kubeconfig names, with server-side apply for every kind of object that its API server serves.

    Every method raises `Refused` with the API server's own words.
    """

    def __init__(self, kubeconfig: str) -> None:
        """`kubeconfig` is its text, not its path. Raises ValueError if no cluster can be read from it."""
        try:
            settings = yaml.safe_load(kubeconfig)
            self._client = config.new_client_from_config_dict(settings)
        except (yaml.YAMLError, config.ConfigException, TypeError, AttributeError) as error:
            raise ValueError(f"kubeconfig: {error}") from error
        self._kinds: dict[tuple[str, str], tuple[str, bool]] = {}
        self._lock = threading.Lock()

    @property
    def client(self) -> client.ApiClient:
        """For typed calls, `client.CoreV1Api(api.client)`."""
        return self._client

    def apply(self, manifest: Mapping[str, Any], *, dry_run: bool = False, force: bool = True, field_manager: str = MANAGER) -> Manifest:
        """Server-side apply; the object as it is then, or with `dry_run` as it would be."""
        query = [("fieldManager", field_manager), ("force", str(force).lower()), ("fieldValidation", "Strict")]
        query += [("dryRun", "All")] if dry_run else []
        return self._call("PATCH", self.path_of(manifest), query, dict(manifest), "application/apply-patch+yaml")

    def create(self, manifest: Mapping[str, Any], *, dry_run: bool = False) -> Manifest:
        """Create, which fails where the object exists."""
        query = [("fieldValidation", "Strict")] + ([("dryRun", "All")] if dry_run else [])
        return self._call("POST", self.path_of(manifest).rpartition("/")[0], query, dict(manifest))

    def merge(self, manifest: Mapping[str, Any], change: Mapping[str, Any], part: str = "") -> Manifest:
        """Merge a change into an object, or into a `part` of it such as `status`."""
        return self._call("PATCH", self.path_of(manifest) + (f"/{part}" if part else ""), [], dict(change), "application/merge-patch+json")

    def read(self, api_version: str, kind: str, name: str, namespace: str = "") -> Manifest | None:
        """The object, or None where there is none."""
        try:
            return self._call("GET", f"{self.collection(api_version, kind, namespace)}/{name}")
        except Refused as refused:
            if refused.code == 404:
                return None
            raise

    def entries(self, api_version: str, kind: str, namespace: str = "", labels: str = "") -> list[Manifest]:
        """Every object of a kind, of all namespaces unless one is given."""
        query = [("labelSelector", labels)] if labels else []
        found = self._call("GET", self.collection(api_version, kind, namespace), query)
        return [{"apiVersion": api_version, "kind": kind, **entry} for entry in found["items"]]

    def delete(self, manifest: Mapping[str, Any], *, propagation: str = "Foreground", grace_seconds: int | None = None) -> bool:
        """Ask for its deletion; False if it is gone already."""
        query = [("propagationPolicy", propagation)]
        query += [("gracePeriodSeconds", str(grace_seconds))] if grace_seconds is not None else []
        try:
            self._call("DELETE", self.path_of(manifest), query)
        except Refused as refused:
            if refused.code == 404:
                return False
            raise
        return True

    def path_of(self, manifest: Mapping[str, Any]) -> str:
        metadata = manifest["metadata"]
        return f"{self.collection(manifest['apiVersion'], manifest['kind'], metadata.get('namespace') or 'default')}/{metadata['name']}"

    def collection(self, api_version: str, kind: str, namespace: str = "") -> str:
        """Path of a kind's objects; the namespace counts only for kinds that live in one."""
        plural, namespaced = self._kind(api_version, kind)
        root = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
        return f"{root}/namespaces/{namespace}/{plural}" if namespaced and namespace else f"{root}/{plural}"

    def namespaced(self, api_version: str, kind: str) -> bool:
        """Whether objects of this kind live in a namespace."""
        return self._kind(api_version, kind)[1]

    def _kind(self, api_version: str, kind: str) -> tuple[str, bool]:
        with self._lock:
            if (api_version, kind) not in self._kinds:
                root = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
                served = self._served(root)
                self._kinds |= {(api_version, entry["kind"]): (entry["name"], entry["namespaced"]) for entry in served if "/" not in entry["name"]}
            if (api_version, kind) not in self._kinds:
                raise Refused(404, f'no matches for kind "{kind}" in version "{api_version}"')
            return self._kinds[api_version, kind]

    def _served(self, root: str) -> list[dict[str, Any]]:
        try:
            return self._call("GET", root)["resources"]
        except Refused as refused:
            if refused.code == 404:
                return []
            raise

    def _call(
        self, method: str, path: str, query: list[tuple[str, str]] | None = None, body: Any = None, content: str = "application/json"
    ) -> Manifest:
        headers = {"Accept": "application/json", "Content-Type": content}
        try:
            answer: Any = self._client.call_api(
                path,
                method,
                query_params=query or [],
                header_params=headers,
                body=body,
                _preload_content=False,
                auth_settings=["BearerToken"],
                _request_timeout=_CALL_SECONDS,
            )
        except client.ApiException as error:
            raise Refused(error.status or 0, _words(error)) from error
        return json.loads(answer.data)


def conditions(manifest: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """An object's conditions by their type."""
    return {entry["type"]: entry for entry in ((manifest or {}).get("status") or {}).get("conditions") or []}


def has_condition(manifest: Mapping[str, Any] | None, name: str, status: str = "True") -> bool:
    """Whether a condition stands, for the object's present generation where that is said."""
    found = conditions(manifest).get(name, {})
    generation = (manifest or {}).get("metadata", {}).get("generation")
    return found.get("status") == status and found.get("observedGeneration", generation) == generation


def wait_until(happened: Callable[[], Any], what: str, seconds: float, every: float = 0.1) -> Any:
    """Return the first truthy answer. Raises TimeoutError that names what was waited for."""
    until = time.monotonic() + seconds
    while not (answer := happened()):
        if time.monotonic() > until:
            raise TimeoutError(f"{what}: not after {seconds:.0f} s")
        time.sleep(every)
    return answer


def _words(error: client.ApiException) -> str:
    try:
        return json.loads(error.body or "")["message"]
    except (ValueError, KeyError, TypeError):
        return f"{error.status} {error.reason}"
