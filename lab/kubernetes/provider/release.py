"""Helm releases, by the real Helm against the API server, from the charts in Karpenter's Go module."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from lab.kubernetes.karpenter import chart_folder
from lab.kubernetes.programs import HELM, KARPENTER, find_program, version_of
from lab.provider.fault import Fault
from lab.provider.wire import UNKNOWN, Properties, is_known

_IN_WORKS = {"skipAwait", "compat", "timeout", "atomic", "cleanupOnFail", "waitForJobs", "resourceNames", "maxHistory"}
"""Settings that change how a release is waited for and kept, not what it makes. The lab never waits: no machine runs what a chart declares."""
_FOLLOWED = {"chart", "version", "name", "namespace", "values", "repositoryOpts", "skipCrds", "createNamespace", "takeOwnership"}


class Releases:
    """Installs, upgrades and removes releases of the charts that the lab has, under `kubeconfig` (None: not known yet)."""

    def __init__(self, kubeconfig: str | None) -> None:
        self._kubeconfig = kubeconfig

    def named(self, inputs: Properties, olds: Properties, urn: str, seed: bytes) -> Properties:
        """A release without a name gets its Pulumi name and the engine's random digits, as the real provider does."""
        if inputs.get("name"):
            return inputs
        return {**inputs, "name": olds.get("name") or f"{urn.split('::')[-1]}-{seed.hex()[:8] or '0'}", "__autoname": True}

    def faults(self, inputs: Properties) -> Iterator[Fault]:
        """Charts and settings that the lab cannot follow."""
        for name in sorted(set(inputs) - _FOLLOWED - _IN_WORKS):
            if not name.startswith("__") and inputs[name] not in (None, False, [], {}):
                yield Fault(name, f"the lab's Helm cannot follow this setting; it follows {', '.join(sorted(_FOLLOWED))}")
        chart = inputs.get("chart")
        if isinstance(chart, str) and chart != UNKNOWN and _chart_name(chart) not in ("karpenter", "karpenter-crd"):
            yield Fault("chart", f"the lab has no chart {chart!r}; it has karpenter and karpenter-crd, from Karpenter's Go module")
        there = version_of(KARPENTER).removeprefix("v")
        if inputs.get("version") not in (None, UNKNOWN, there):
            yield Fault("version", f"the lab has no release {inputs['version']!r} of the chart; it has {there} (lab/tools/karpenter)")

    def preview(self, inputs: Properties, old: Properties | None = None) -> Properties:
        """Render it and have the cluster check what comes out; nothing is made. Raises RuntimeError with Helm's own words."""
        if self._kubeconfig is not None and is_known(inputs):
            self._helm("upgrade" if old else "install", *self._target(inputs), "--dry-run=server", inputs=inputs)
        return inputs

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        """Install it; its id NAMESPACE/NAME and what it is."""
        more = ["--create-namespace"] if inputs.get("createNamespace") else []
        self._helm("install", *self._target(inputs), *more, inputs=inputs)
        return f"{_namespace(inputs)}/{inputs['name']}", self._outputs(inputs)

    def update(self, inputs: Properties) -> Properties:
        self._helm("upgrade", *self._target(inputs), inputs=inputs)
        return self._outputs(inputs)

    def live(self, inputs: Properties) -> Properties | None:
        """What is installed: its values and version, or None."""
        try:
            kept = json.loads(self._helm("get", "values", inputs["name"], "--namespace", _namespace(inputs), "--output", "json"))
        except RuntimeError as error:
            if "not found" in str(error):
                return None
            raise
        return {**inputs, "values": kept or {}}

    def delete(self, inputs: Properties, seconds: float) -> None:
        """Uninstall it and wait until its objects are gone."""
        try:
            self._helm("uninstall", inputs["name"], "--namespace", _namespace(inputs), "--wait", "--timeout", f"{seconds or 300:.0f}s")
        except RuntimeError as error:
            if "not found" not in str(error):
                raise

    def _outputs(self, inputs: Properties) -> Properties:
        status = {"name": inputs["name"], "namespace": _namespace(inputs), "status": "deployed", "version": inputs.get("version")}
        return {**inputs, "namespace": _namespace(inputs), "status": status}

    def _target(self, inputs: Properties) -> list[str]:
        more = ["--skip-crds"] if inputs.get("skipCrds") else []
        more += ["--take-ownership"] if inputs.get("takeOwnership") else []
        return [inputs["name"], "--namespace", _namespace(inputs), *more]

    def _helm(self, verb: str, *arguments: str, inputs: Mapping[str, Any] | None = None) -> str:
        with tempfile.TemporaryDirectory(prefix="helm-") as scratch:
            folder = Path(scratch)
            command = [str(find_program(HELM)), verb, *arguments]
            if self._kubeconfig is not None:
                (folder / "kubeconfig").touch(mode=0o600)
                (folder / "kubeconfig").write_text(self._kubeconfig)
                command += ["--kubeconfig", str(folder / "kubeconfig")]
            if inputs is not None:
                (folder / "values.json").write_text(json.dumps(inputs.get("values") or {}))
                command[3:3] = [str(_released_chart(inputs["chart"], folder))]
                command += ["--values", str(folder / "values.json")]
            environment = {"PATH": os.defpath, "HOME": scratch}
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise RuntimeError(f"helm {verb}: {done.stderr.strip().removeprefix('Error: ')}")
        return done.stdout


def _released_chart(chart: str, folder: Path) -> Path:
    """The chart as it is published: in the sources it still bears an older version, which the release process overwrites."""
    source, copied = chart_folder(_chart_name(chart)), folder / _chart_name(chart)
    for file in source.rglob("*"):
        if file.is_file():
            target = copied / file.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    about = copied / "Chart.yaml"
    version = version_of(KARPENTER).removeprefix("v")
    about.write_text(yaml.safe_dump({**yaml.safe_load(about.read_text()), "version": version, "appVersion": version}))
    return copied


def _chart_name(chart: str) -> str:
    return chart.rpartition("/")[2]


def _namespace(inputs: Mapping[str, Any]) -> str:
    return inputs.get("namespace") or "default"
