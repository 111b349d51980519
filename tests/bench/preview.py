"""Preview of stacks `prod` and `eks-local` beside the same resources registered by a plain Pulumi program."""

import json
import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path

import yaml
from pulumi_spotbatch.aws import code_archive, interruption_archive

from lab.cloud import LocalCloud
from lab.engine import Engine
from lab.kubernetes import LocalCluster
from lab.places import CHECKOUT
from tests.bench.figures import Figure

ROUNDS = 15

PLAIN = """
import importlib
import json
import pathlib
import re

import pulumi
import pulumi_aws

plan = json.loads(pathlib.Path(__file__).with_name("plan.json").read_text())
made = {}


def known(value, unknown):
    if isinstance(value, dict):
        return {key: known(one, unknown) for key, one in value.items()}
    if isinstance(value, list):
        return [known(one, unknown) for one in value]
    if isinstance(value, str) and value.endswith("[random]"):
        return value.replace("[random]", "0000000")
    if value == "[asset]":
        return pulumi.FileAsset(plan["asset"])
    if value == "[archive]":
        return pulumi.AssetArchive({name: pulumi.FileAsset(path) for name, path in plan["archive"].items()})
    return unknown if value == "[unknown]" else value


def snake(name):
    return re.sub("([A-Z])", r"_\\1", name).lower()


def register(one, unknown):
    module, kind = one["type"].split(":")[1:]
    inputs = {snake(key): value for key, value in known(one["inputs"], unknown).items()}
    name = one["urn"].split("::")[-1]
    if one["type"].startswith("aws:"):
        service = module.split("/")[0]
        return getattr(getattr(pulumi_aws, {"lambda": "lambda_"}.get(service, service)), kind)(name, **inputs)
    if module.startswith("karpenter"):
        kind, home = "CustomResource", "apiextensions"
    else:
        home = {"helm.sh/v3": "helm.v3"}.get(module, module.replace("/", "."))
    return getattr(importlib.import_module("pulumi_kubernetes." + home), kind)(name, **inputs)


# The same look-ups as the stack makes.
LOOK_UPS
ours = ("aws:", "kubernetes:")
waiting = [one for one in plan["resources"] if one["type"].startswith(ours)]
while waiting:
    ready = [one for one in waiting if all(needed in made or not any(p in needed for p in ours) for needed in one["dependencies"])] or waiting
    for one in ready:
        needed = [made[name] for name in one["dependencies"] if name in made]
        unknown = needed[0].id if needed else "unknown"
        made[one["urn"]] = register(one, unknown)
        waiting.remove(one)
"""


_ZONES = "pulumi_aws.get_region_output(), pulumi_aws.get_availability_zones_output(state='available')"

LOOK_UPS = {
    "prod": f"""{_ZONES}
pulumi_aws.get_partition_output(), pulumi_aws.get_caller_identity_output()
pulumi_aws.ssm.get_parameter_output(name="/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64")""",
    "eks-local": _ZONES,
}


def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with LocalCloud(folder / "cloud") as cloud, LocalCluster(folder / "cluster") as cluster:
            return [
                _figure("prod", folder / "prod", cloud.environment),
                _figure("eks-local", folder / "eks", {**cloud.environment, **cluster.environment}),
            ]


def _figure(stack: str, folder: Path, environment: Mapping[str, str]) -> Figure:
    ours = Engine(CHECKOUT, folder / "ours", environment).stack(stack)
    project = folder / "plain"
    (project / "stacks").mkdir(parents=True)
    # The same files for the functions and for the machines, so that the engine reads and hashes as much.
    archive = {name: str(Path(asset.path).absolute()) for name, asset in interruption_archive.archive().assets.items()}  # pyright: ignore[reportAttributeAccessIssue]
    packed = {"archive": archive, "asset": str(code_archive.build(CHECKOUT / "examples/etl").path)}
    (project / "plan.json").write_text(json.dumps(ours.plan() | packed))
    (project / "__main__.py").write_text(PLAIN.replace("LOOK_UPS", LOOK_UPS[stack]))
    settings = yaml.safe_load((CHECKOUT / "Pulumi.yaml").read_text())
    settings["runtime"]["options"]["virtualenv"] = str(CHECKOUT / ".venv")
    (project / "Pulumi.yaml").write_text(yaml.safe_dump(settings))
    (project / f"stacks/Pulumi.{stack}.yaml").write_text(yaml.safe_dump({"config": {"aws:region": "us-east-1"}}))
    plain = Engine(project, folder / "theirs", environment).stack(stack)
    pairs = []
    for _ in range(ROUNDS):
        # In turns, so that whatever else the computer does falls on both.
        mine, other = ours.preview(), plain.preview()
        if not (mine.ok and other.ok):
            raise RuntimeError(mine.text + other.text)
        pairs.append((mine.seconds, other.seconds))
    ratio = statistics.median(mine / other for mine, other in pairs)
    mine, other = (statistics.median(column) for column in zip(*pairs, strict=True))
    told = f"{mine:.1f} s, {other:.1f} s: {ratio:.2f} x"
    return Figure(f"preview of {stack} beside the same resources in plain Pulumi", told, "<= 1.15 x", ratio <= 1.15)
