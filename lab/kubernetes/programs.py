"""The Go programs that the lab's Kubernetes is made of, each built once per machine from a module in lab/tools."""

from collections.abc import Iterable
from pathlib import Path

from lab.engine.go_tool import GoTool, Progress, ToolError

CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
HELM = "helm"
KARPENTER = "karpenter"
CLUSTER = (*CONTROL_PLANE, HELM)
"""What a stack with Kubernetes objects needs; the controller itself is for rehearsals of interruptions only."""

_REPORTED_VERSION = "k8s.io/component-base/version.gitVersion"


def get_program(name: str, progress: Progress = lambda *_: None) -> Path:
    """The program, built now unless it was before (each of the large ones takes minutes, once). Raises `ToolError`."""
    return _tool(name).build(progress)


def find_program(name: str) -> Path:
    """The program if it was built before. Raises `ToolError` that says how to build it."""
    path = _tool(name).path
    if not path.exists():
        raise ToolError(f"{name} has not been built yet: {path} does not exist (make setup KUBERNETES=1)")
    return path


def get_programs(names: Iterable[str], progress: Progress = lambda *_: None) -> None:
    """Build what is missing, one after another, since each build uses every core. Raises `ToolError`."""
    for name in names:
        get_program(name, progress)


def missing_programs(names: Iterable[str]) -> list[str]:
    """Which of them have not been built yet."""
    missing = []
    for name in names:
        try:
            find_program(name)
        except ToolError:
            missing.append(name)
    return missing


def version_of(name: str) -> str:
    """The release that lab/tools pins, for example v1.36.3."""
    return _tool(name).version


def _tool(name: str) -> GoTool:
    return GoTool(name, _REPORTED_VERSION if name.startswith("kube-") else "")
