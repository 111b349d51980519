"""The lab's commands, as the Makefile calls them: `python -m lab COMMAND`."""

import os
import sys
import time
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.console import Console
from rich.table import Table

from lab.cloud import LocalCloud
from lab.cloud.ministack_environment import ministack_python
from lab.engine import Engine
from lab.engine.cli import CliMissing, get_cli
from lab.engine.command_result import CommandResult
from lab.engine.go_tool import ToolError
from lab.engine.plan import plan_text
from lab.engine.real_account import run_for_real
from lab.engine.stack import EngineError
from lab.karpenter.rehearsal_cloud import moto_python
from lab.kubernetes import LocalCluster
from lab.kubernetes.programs import CLUSTER as CLUSTER_PROGRAMS
from lab.kubernetes.programs import KARPENTER, get_programs
from lab.places import CHECKOUT, state_folder
from lab.progress import ProgressDisplay

LOCAL = ("local", "eks-local")
"""Stacks that live in the lab alone. Any other goes to the account of whoever calls, unless --lab is given."""

CLOUD = state_folder() / "cloud"
CLUSTER = state_folder() / "cluster"
ENGINE = state_folder() / "engine"

app = typer.Typer(
    help="""A cloud on this machine, and the real Pulumi engine to deploy to it.

    `up`, `preview` and `down` of stacks `local` and `eks-local` run here: the local cloud is started if need be, for `eks-local` with a
    Kubernetes API server, and your own Pulumi, AWS and Kubernetes settings are neither read nor changed. Of any other stack they run
    plain `pulumi` with your own Pulumi home, backend and credentials, in your account; with --lab they run here too. `plan` always runs
    here and needs no credentials.""",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Stack = Annotated[str, typer.Argument(help="name of a file stacks/Pulumi.STACK.yaml", metavar="STACK")]
Kubernetes = Annotated[bool, typer.Option("--kubernetes", help="with a Kubernetes API server; its programs are built once, which takes a while")]
Lab = Annotated[bool, typer.Option("--lab", help="in the local cloud, whatever the stack is")]


class Action(StrEnum):
    """What AWS does with a Spot machine that it takes away."""

    terminate = "terminate"
    stop = "stop"
    hibernate = "hibernate"


@app.command()
def setup(kubernetes: Kubernetes = False) -> None:
    """Get the Pulumi CLI and MiniStack; nothing to do the second time."""
    with ProgressDisplay() as progress:
        progress("MiniStack, the local cloud")
        ministack_python()
        try:
            get_cli(progress)
        except CliMissing as missing:
            if os.environ.get("CI") == "true":
                raise
            # The rest of the project works without it, so `make test` can go on and say at its end what it left out.
            print(f"WARNING: whatever needs the real Pulumi engine will not run: {missing}", file=sys.stderr)
        if kubernetes:
            moto_python()
            try:
                get_programs((*CLUSTER_PROGRAMS, KARPENTER), progress)
            except ToolError as missing:
                if os.environ.get("CI") == "true":
                    raise
                print(f"WARNING: whatever needs a Kubernetes API server will not run: {missing}", file=sys.stderr)


@app.command()
def start(kubernetes: Kubernetes = False) -> None:
    """Start the local cloud, and print how to reach it."""
    cloud = _cloud()
    _say_where(cloud, _cluster() if kubernetes else None)


@app.command()
def stop() -> None:
    """End the local cloud with every machine it started; what was deployed in it is gone, and so are its stacks."""
    cloud = LocalCloud.attach(CLOUD)
    if cloud:
        cloud.stop()
    if cluster := LocalCluster.attach(CLUSTER):
        cluster.stop()
    Engine.forget(ENGINE)
    print("stopped" if cloud else "the local cloud was not running")


@app.command()
def status() -> None:
    """Say whether the local cloud runs, and list its machines."""
    cloud = LocalCloud.attach(CLOUD)
    if not cloud:
        print("the local cloud is not running (make lab)")
        raise typer.Exit(1)
    _say_where(cloud, LocalCluster.attach(CLUSTER))
    table = Table("machine", "type", "zone", "state", "taken in", "fleet or group")
    for machine in cloud.market.living():
        left = f"{max(0, machine.deadline - time.time()):.0f} s" if machine.deadline else ""
        table.add_row(machine.id, machine.instance_type, machine.zone, machine.state, left, machine.owner)
    # Never narrower than the ids, which people copy.
    Console(width=max(110, Console().width)).print(table)


@app.command()
def up(stack: Stack, lab: Lab = False) -> None:
    """`pulumi up`: without a question in the lab, with Pulumi's own question in a real account."""
    if lab or stack in LOCAL:
        cloud, cluster = _cloud(), _cluster_of(stack)
        _end(_engine(cloud, cluster).stack(stack, print).up())
        _say_where(cloud, cluster)
    else:
        run_for_real("up", stack)


@app.command()
def preview(stack: Stack, lab: Lab = False) -> None:
    """`pulumi preview`."""
    if lab or stack in LOCAL:
        _end(_engine(_cloud(), _cluster_of(stack)).stack(stack, print).preview("--diff"))
    else:
        run_for_real("preview", stack)


@app.command()
def down(stack: Stack, lab: Lab = False) -> None:
    """`pulumi destroy`: without a question in the lab, with Pulumi's own question in a real account."""
    if not (lab or stack in LOCAL):
        run_for_real("destroy", stack)
    elif cloud := LocalCloud.attach(CLOUD):
        _end(_engine(cloud, _cluster_of(stack)).stack(stack, print).destroy())
    else:
        print("the local cloud is not running: nothing is deployed in it")


@app.command()
def plan(stack: Stack, to: Annotated[Path, typer.Option(help="file to write")] = Path("plan.json")) -> None:
    """Write what a first `up` of a stack would make, from a real preview in the lab: the same project gives the same file."""
    running = LocalCloud.attach(CLOUD)
    cloud = running or LocalCloud(state_folder() / "plan-cloud").start()
    try:
        planned = _engine(cloud).stack(stack).plan()
    finally:
        if not running:
            cloud.stop()
    to.write_text(plan_text(planned))
    print(f"{to}: {len(planned['resources'])} resources")


@app.command()
def interrupt(
    machines: Annotated[list[str], typer.Argument(help="instance ids, as `status` lists them", metavar="ID...")],
    notice_seconds: Annotated[float, typer.Option(min=0, help="how long before the machine goes it is told; AWS: 120")] = 120,
    action: Annotated[Action, typer.Option(help="what becomes of it")] = Action.terminate,
) -> None:
    """Take Spot machines of the local cloud away, as AWS does: notice first, a hard end at the deadline."""
    cloud = LocalCloud.attach(CLOUD)
    if not cloud:
        raise ToolError("the local cloud is not running (make lab)")
    there = {machine.id for machine in cloud.market.living()}
    if unknown := [machine for machine in machines if machine not in there]:
        raise ToolError(f"no such machine: {', '.join(unknown)}; there are {', '.join(sorted(there)) or 'none'}")
    deadlines = cloud.market.interrupt(machines, notice_seconds=notice_seconds, action=action)
    for machine, deadline in deadlines.items():
        print(f"{machine}: {action} at {datetime.fromtimestamp(deadline):%H:%M:%S}, told now")


def _cloud() -> LocalCloud:
    """The cloud that runs, else a new one: which knows nothing of stacks that an earlier one held."""
    if running := LocalCloud.attach(CLOUD):
        return running
    Engine.forget(ENGINE)
    return LocalCloud(CLOUD).start(background=True)


def _cluster_of(stack: str) -> LocalCluster | None:
    """The cluster for a stack that declares Kubernetes objects."""
    path = CHECKOUT / "stacks" / f"Pulumi.{stack}.yaml"
    declares = path.exists() and "spotbatch:eks" in (yaml.safe_load(path.read_text()).get("config") or {})
    return _cluster() if declares else None


def _cluster() -> LocalCluster:
    """The cluster that runs, else a new one."""
    if running := LocalCluster.attach(CLUSTER):
        return running
    with ProgressDisplay() as progress:
        get_programs(CLUSTER_PROGRAMS, progress)
        progress("starting the Kubernetes API server")
        return LocalCluster(CLUSTER).start(background=True)


def _engine(cloud: LocalCloud, cluster: LocalCluster | None = None) -> Engine:
    with ProgressDisplay() as progress:
        cli = get_cli(progress)
    return Engine(CHECKOUT, ENGINE, {**cloud.environment, **(cluster.environment if cluster else {})}, cli)


def _say_where(cloud: LocalCloud, cluster: LocalCluster | None = None) -> None:
    print("The local cloud answers here (make lab-stop ends it):")
    for name, value in {**cloud.environment, **(cluster.environment if cluster else {})}.items():
        print(f"  export {name}={value}")


def _end(result: CommandResult) -> None:
    if not result.ok:
        raise typer.Exit(1)


if __name__ == "__main__":
    try:
        app()
    except (ToolError, EngineError, RuntimeError) as error:
        sys.exit(f"error: {error}")
