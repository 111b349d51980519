"""What the Karpenter release that lab/tools pins brings along: its charts and the definitions of its objects."""

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from lab.engine.go_tool import ToolError
from lab.places import CHECKOUT

_MODULE = "github.com/aws/karpenter-provider-aws"


@cache
def module_folder() -> Path:
    """The sources of Karpenter's AWS provider in Go's module cache. Raises `ToolError` without Go or without the module."""
    command = ["go", "mod", "download", "-json", _MODULE]
    try:
        told = subprocess.run(command, cwd=CHECKOUT / "lab" / "tools" / "karpenter", capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise ToolError("Go is not on PATH (https://go.dev/dl), and Karpenter's charts come from its Go module") from None
    if told.returncode:
        raise ToolError(f"{' '.join(command)} failed:\n{told.stdout}{told.stderr}")
    return Path(json.loads(told.stdout)["Dir"])


def chart_folder(chart: str) -> Path:
    """A chart by the last part of its address, `karpenter` or `karpenter-crd`. Raises `ToolError` for any other."""
    folder = module_folder() / "charts" / chart
    if not (folder / "Chart.yaml").exists():
        there = sorted(path.parent.name for path in folder.parent.glob("*/Chart.yaml"))
        raise ToolError(f"the lab has no chart {chart!r}; it has {', '.join(there)}")
    return folder


def definitions() -> list[dict[str, Any]]:
    """The CustomResourceDefinitions of this release: NodePool, EC2NodeClass, NodeClaim and two more."""
    files = sorted((module_folder() / "pkg" / "apis" / "crds").glob("*.yaml"))
    return [yaml.safe_load(file.read_text()) for file in files]
