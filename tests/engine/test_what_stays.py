"""Machine images, zones and data stay as they are until somebody changes them on purpose: components on the real engine."""

import json
from pathlib import Path
from typing import Any

import pytest

from lab.cloud import LocalCloud
from lab.engine import Engine
from lab.engine.cli import find_cli
from lab.engine.stack import Stack

NEWEST = "/images/newest"
"""Nobody but AWS may write its own parameters, so the look-up for the newest image is led to this one."""

PROGRAM = """
import json
from pathlib import Path

import pulumi
from pulumi_spotbatch.aws import SpotLaunchTemplate, SqsTaskQueue


def newest(look_up):
    if look_up.token == "aws:ssm/getParameter:getParameter":
        return pulumi.InvokeTransformResult(args={**look_up.args, "name": "/images/newest"}, opts=look_up.opts)


pulumi.runtime.register_invoke_transform(newest)
given = json.loads(Path("given.json").read_text())
queue = SqsTaskQueue("tasks", given["queue"])
machine = SpotLaunchTemplate("machine", {"queue": queue.access, "worker": "thumbnails:Thumbnails", **given["machine"]})
pulumi.export("version", machine.version)
"""


class Project:
    """A small Pulumi project of a user, on the lab."""

    def __init__(self, folder: Path, cloud: LocalCloud) -> None:
        self._folder = folder / "project"
        (self._folder / "stacks").mkdir(parents=True)
        (self._folder / "Pulumi.yaml").write_text("name: work\nruntime:\n  name: python\nstackConfigDir: stacks\n")
        (self._folder / "stacks" / "Pulumi.test.yaml").write_text("config:\n  aws:region: us-east-1\n")
        (self._folder / "__main__.py").write_text(PROGRAM)
        self._cloud = cloud
        self.stack: Stack = Engine(self._folder, folder / "engine", cloud.environment, find_cli()).stack("test")
        self.vpc_id = cloud.client("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]

    def write(self, *, queue: dict[str, Any] | None = None, **machine: Any) -> Stack:
        """The program with these arguments."""
        arguments = {"vpc_id": self.vpc_id, "code": {"requirement": "thumbnails==1"}, **machine}
        (self._folder / "given.json").write_text(json.dumps({"queue": queue or {}, "machine": arguments}))
        return self.stack

    def image(self) -> str:
        """The machine image in the template's newest version."""
        (version,) = self._cloud.client("ec2").describe_launch_template_versions(LaunchTemplateId=self._template(), Versions=["$Latest"])[
            "LaunchTemplateVersions"
        ]
        return version["LaunchTemplateData"]["ImageId"]

    def _template(self) -> str:
        (template,) = self._cloud.client("ec2").describe_launch_templates()["LaunchTemplates"]
        return template["LaunchTemplateId"]


@pytest.fixture
def project(cloud: LocalCloud, tmp_path: Path) -> Project:
    return Project(tmp_path, cloud)


def publish(cloud: LocalCloud, image: str) -> None:
    """What AWS does about once a week."""
    cloud.client("ssm").put_parameter(Name=NEWEST, Value=image, Type="String", Overwrite=True)


def test_images_and_data_stay_until_they_are_changed_on_purpose(project: Project, cloud: LocalCloud):
    publish(cloud, "ami-0000000000000aaaa")
    up = project.write().up()
    assert up.ok, up.text
    assert project.image() == "ami-0000000000000aaaa"

    publish(cloud, "ami-0000000000000bbbb")
    newer = project.stack.up("--expect-no-changes")
    assert newer.ok, newer.text
    assert project.image() == "ami-0000000000000aaaa"

    another_change = project.write(processes=3).up()
    assert another_change.ok, another_change.text
    assert project.stack.outputs()["version"] == "2"
    assert project.image() == "ami-0000000000000aaaa"

    released = project.write(processes=3, image={"release": "2026-11"}).up()
    assert released.ok, released.text
    assert project.stack.outputs()["version"] == "3"
    assert project.image() == "ami-0000000000000bbbb"

    refused = project.stack.destroy()
    assert not refused.ok
    assert "tasks-data-is-kept-unless-delete_data-is-true" in refused.text
    assert len(cloud.client("dynamodb").list_tables()["TableNames"]) == 1
    assert len(cloud.client("s3").list_buckets()["Buckets"]) == 1

    allowed = project.write(processes=3, image={"release": "2026-11"}, queue={"delete_data": True}).up()
    assert allowed.ok, allowed.text
    destroyed = project.stack.destroy()
    assert destroyed.ok, destroyed.text
    assert cloud.client("s3").list_buckets()["Buckets"] == []


def test_faults_in_arguments_end_a_preview_with_one_line_each_and_no_traceback(project: Project):
    preview = project.write(queue={"delete_dat": True}, processes=0, code={"folder": "nowhere"}).preview()
    assert not preview.ok
    assert "SqsTaskQueue 'tasks': 1 fault in its arguments, nothing of it was declared" in preview.text
    assert "delete_dat: no such argument; did you mean delete_data?" in preview.text
    assert "Traceback" not in preview.text
