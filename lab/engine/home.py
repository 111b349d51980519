"""The lab's own Pulumi home: its plugins, its backend, and the environment of every command that runs in the lab."""

import os
import shlex
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from lab.engine.cli import has_own_language_host
from lab.engine.go_tool import ToolError
from lab.places import CHECKOUT, python


class Home:
    """A folder that the command line takes for the user's `~/.pulumi`, so that a lab neither reads nor changes anything of theirs.

    `LAB_REAL_PROVIDER=1` uses the machine's own `pulumi-resource-aws` against the local cloud instead of the stand-in; raises
    `ToolError` where there is none.
    """

    def __init__(self, folder: Path, cli: Path) -> None:
        self.folder = folder
        self.backend = folder / "backend"
        self.projects = folder / "projects"
        self._plugins = folder / "home" / "plugins"
        self._cli = cli

    @property
    def provider_settings(self) -> dict[str, str]:
        """Settings that a stack's own provider needs beside the environment. A local address cannot carry the bucket as a host name."""
        return {"aws:s3UsePathStyle": "true"} if _real_provider() else {}

    def prepare(self) -> None:
        """Write the launchers of the stand-ins; cheap, and nothing changes the second time."""
        for needed in (self.backend, self.projects, self._plugins):
            needed.mkdir(parents=True, exist_ok=True)
        if not has_own_language_host(self._cli):
            write_language_host(self._plugins / f"language-python-v{version('pulumi')}")
        provider = self._plugins / f"resource-aws-v{version('pulumi-aws')}" / "pulumi-resource-aws"
        if _real_provider():
            _link_real_provider(provider)
        else:
            _write_launcher(provider, _module("lab.provider"))
        kubernetes = self._plugins / f"resource-kubernetes-v{version('pulumi-kubernetes')}" / "pulumi-resource-kubernetes"
        _write_launcher(kubernetes, _module("lab.kubernetes.provider"))

    def environment(self, cloud: Mapping[str, str]) -> dict[str, str]:
        """The caller's environment without any Pulumi, AWS or Kubernetes setting of theirs, then the lab's and the local cloud's."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PULUMI_", "AWS_", "KUBECONFIG"))}
        return {
            **kept,
            "PULUMI_HOME": str(self.folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{self.backend}",
            "PULUMI_CONFIG_PASSPHRASE": "",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            # Without this a provider that happens to be on PATH wins, with a warning.
            "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
            # Makes the command line accept --event-log.
            "PULUMI_DEBUG_COMMANDS": "true",
            **cloud,
        }


def write_language_host(folder: Path) -> None:
    """Put a program `pulumi-language-python` into a folder that starts the stand-in with the checkout's own Python."""
    host = CHECKOUT / "lab" / "engine" / "language_host.py"
    _write_launcher(folder / "pulumi-language-python", f"exec {_quoted(python(), host)}")


def _module(name: str) -> str:
    return f"PYTHONPATH={_quoted(CHECKOUT)} exec {_quoted(python())} -m {name}"


def _write_launcher(path: Path, script: str) -> None:
    text = f'#!/bin/sh\n{script} "$@"\n'
    if path.is_symlink() or not path.exists() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}")
        unfinished.write_text(text)
        unfinished.chmod(0o755)
        unfinished.replace(path)


def _link_real_provider(path: Path) -> None:
    installed = Path.home() / ".pulumi" / "plugins" / path.parent.name / path.name
    found = str(installed) if installed.exists() else shutil.which(path.name)
    if not found:
        raise ToolError(f"LAB_REAL_PROVIDER=1, but there is no {path.name}: neither {installed} nor on PATH (pulumi plugin install resource aws)")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(found)


def _real_provider() -> bool:
    return os.environ.get("LAB_REAL_PROVIDER") == "1"


def _quoted(*parts: Path) -> str:
    return " ".join(shlex.quote(str(part)) for part in parts)
