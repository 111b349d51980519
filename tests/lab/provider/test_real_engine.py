"""The stand-in under the real engine: one program with many types, through its whole life."""

from pathlib import Path

import pytest

from lab.cloud import LocalCloud
from lab.engine import Engine
from lab.engine.cli import find_cli
from lab.engine.command_result import CommandResult
from lab.engine.stack import Stack

PROGRAM = Path(__file__).parent / "program.py.txt"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "stacks").mkdir(parents=True)
    (folder / "Pulumi.yaml").write_text("name: many\nruntime: python\nstackConfigDir: stacks\n")
    (folder / "stacks" / "Pulumi.many.yaml").write_text("config:\n  aws:region: us-east-1\n")
    (folder / "__main__.py").write_text(PROGRAM.read_text())
    return folder


@pytest.fixture
def stack(cloud: LocalCloud, project: Path, tmp_path: Path) -> Stack:
    return Engine(project, tmp_path / "home", cloud.environment, find_cli()).stack("many")


def test_many_types_go_up_stay_drift_heal_and_go(cloud: LocalCloud, stack: Stack, project: Path, tmp_path: Path) -> None:
    assert "warning" not in _ok(stack.preview())
    assert "errored" not in _ok(stack.up())
    assert "to update" not in _ok(stack.preview("--expect-no-changes"))
    _ok(stack.refresh("--expect-no-changes"))

    outputs = stack.outputs()
    assert outputs["password"] == "s3cret"
    state = (tmp_path / "home" / "backend" / ".pulumi" / "stacks" / "many" / "many.json").read_text()
    assert "many-bells" in state
    assert "s3cret" not in state, "a secret is kept encrypted"

    cloud.client("sqs").delete_queue(QueueUrl=outputs["queue"])
    assert "2 deleted" in _ok(stack.refresh()), "the queue, and its policy with it"
    assert "2 created" in _ok(stack.up())

    program = (project / "__main__.py").read_text()
    (project / "__main__.py").write_text(program.replace('instance_type="m5.large"', 'instance_type="c5.large"'))
    shown = _ok(stack.preview())
    assert "replace" in shown, "the fleet follows the new template version, and the preview says so"
    changed = _ok(stack.up())
    assert "1 updated" in changed
    assert "1 replaced" in changed

    _ok(stack.destroy())
    assert cloud.client("sqs").list_queues(QueueNamePrefix="many-").get("QueueUrls", []) == []
    assert cloud.client("iam").list_roles(PathPrefix="/many/")["Roles"] == []


def test_a_fault_stops_the_preview_and_names_property_and_value(stack: Stack, project: Path) -> None:
    program = (project / "__main__.py").read_text()
    (project / "__main__.py").write_text(program.replace("visibility_timeout_seconds=60", "visibility_timeout_seconds=43_201"))
    refused = stack.preview()
    assert not refused.ok
    assert "visibilityTimeoutSeconds" in refused.text
    assert "Must be between 0 and 43200" in refused.text


def test_what_was_made_by_half_is_kept_and_can_be_destroyed(cloud: LocalCloud, stack: Stack, project: Path) -> None:
    (project / "__main__.py").write_text('import pulumi_aws as aws\n\naws.iam.InstanceProfile("half", name="half-of-two-calls", role="nobody")\n')
    failed = stack.up()
    assert not failed.ok
    assert "is not complete" in failed.text
    assert cloud.client("iam").get_instance_profile(InstanceProfileName="half-of-two-calls")
    _ok(stack.destroy())
    left = [one["InstanceProfileName"] for one in cloud.client("iam").list_instance_profiles()["InstanceProfiles"]]
    assert "half-of-two-calls" not in left


def _ok(result: CommandResult) -> str:
    assert result.ok, result.text
    return result.text
