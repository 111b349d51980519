"""Run the test lanes one after another: `python -m tests.lanes [LANE]`. Each lane is a set of folders, run on two cores."""

import os
import subprocess
import sys
import time
from pathlib import Path

LANES = {
    "unit": ["tests/spotbatch", "tests/components", "tests/stacks", "tests/project"],
    "engine": ["tests/lab", "tests/engine"],
    "flow": ["tests/flow"],
    "fire": ["tests/fire"],
    "simulate": ["tests/simulate"],
    "kubernetes": ["tests/kubernetes"],
    "gcp": ["tests/gcp"],
}


def missing_engine() -> str | None:
    """Why the real engine cannot run here, or None."""
    from lab.engine.cli import CliMissing, find_cli

    try:
        find_cli()
    except CliMissing as why:
        return str(why)
    return None


def missing_kubernetes() -> str | None:
    """Why no cluster can run here, or None. Building takes long, so it is done when asked for."""
    from lab.karpenter.own_network import missing_network
    from lab.kubernetes.programs import CLUSTER, KARPENTER, missing_programs

    if missing := missing_programs((*CLUSTER, KARPENTER)):
        return f"{', '.join(missing)} not built yet: make setup KUBERNETES=1"
    return missing_engine() or missing_network() or None


def missing_google() -> str | None:
    """Why Google Cloud's storage and messages cannot run here, or None. They are built if need be, a minute each."""
    from lab.engine.go_tool import GoTool, ToolError
    from lab.google.local_google import PROGRAMS

    try:
        for name in PROGRAMS:
            GoTool(name).build()
    except ToolError as why:
        return str(why)
    return None


NEEDS = {"engine": missing_engine, "flow": missing_engine, "kubernetes": missing_kubernetes, "gcp": missing_google}
"""What says why a lane cannot run on this machine."""


def run(lane: str) -> int:
    """pytest's exit code; 0 for a lane that has no tests yet."""
    folders = [folder for folder in LANES[lane] if Path(folder).is_dir()]
    if not folders:
        return 0
    print(f"\n== lane {lane}: {' '.join(folders)}", flush=True)
    return subprocess.call([sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadgroup", *folders])


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in LANES]
    if unknown:
        print(f"LANE: {', '.join(map(repr, unknown))} is none of {', '.join(LANES)}", file=sys.stderr)
        return 2
    lanes = names or list(LANES)
    skipped = {lane: why for lane in lanes if lane in NEEDS and (why := NEEDS[lane]())}
    if skipped and os.environ.get("CI") == "true":
        print("\n".join(f"CI=true, and lane {lane} cannot run: {why}" for lane, why in skipped.items()), file=sys.stderr)
        return 1
    lanes = [lane for lane in lanes if lane not in skipped]
    codes = {}
    for lane in lanes:
        started = time.monotonic()
        code = run(lane)
        codes[lane] = f"{'passed' if code == 0 else f'FAILED ({code})'} in {time.monotonic() - started:.0f} s"
    print("\n" + "\n".join(f"lane {lane}: {outcome}" for lane, outcome in codes.items()))
    for lane, why in skipped.items():
        print(f"!!! NOT RUN: lane {lane}: {why}")
    return int(any("FAILED" in outcome for outcome in codes.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
