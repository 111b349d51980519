"""Write the golden plans anew: `python -m tests.engine.golden [STACK...]`. What a change did to every stack is then in the diff."""

import sys
import tempfile
from pathlib import Path

from lab.cloud import LocalCloud
from lab.engine import Engine
from lab.engine.cli import find_cli
from lab.engine.plan import plan_text
from lab.places import CHECKOUT
from tests.engine.conftest import STACKS

GOLDEN = Path(__file__).parent / "golden"


def main(stacks: list[str]) -> None:
    """Plan each stack, by default all, and keep the plan."""
    GOLDEN.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, LocalCloud(Path(scratch) / "cloud") as cloud:
        engine = Engine(CHECKOUT, Path(scratch) / "engine", cloud.environment, find_cli())
        for stack in stacks or STACKS:
            plan = engine.stack(stack).plan()
            (GOLDEN / f"{stack}.json").write_text(plan_text(plan))
            print(f"{stack}: {len(plan['resources'])} resources")


if __name__ == "__main__":
    main(sys.argv[1:])
