"""Every stack file of the project, on the real engine."""

import difflib
import re
from pathlib import Path

import pytest

from lab.cloud import LocalCloud
from lab.engine import Engine
from lab.engine.cli import find_cli
from lab.engine.plan import plan_text
from lab.places import CHECKOUT
from tests.engine.conftest import STACKS
from tests.engine.golden import GOLDEN


@pytest.mark.parametrize("name", STACKS)
def test_a_stack_previews_without_credentials_and_with_no_warning_but_of_its_own_few_types(engine: Engine, name: str):
    preview = engine.stack(name).preview()
    assert preview.ok, preview.text
    few = r"instance_types: 4 types are few|instances\.types: 4 types are thin"
    assert [warning for warning in preview.warnings if not re.match(few, warning)] == []


@pytest.mark.parametrize("name", STACKS)
def test_a_stack_would_make_what_its_golden_plan_says(engine: Engine, name: str):
    golden = (GOLDEN / f"{name}.json").read_text()
    plan = plan_text(engine.stack(name).plan())
    changed = "".join(difflib.unified_diff(golden.splitlines(True), plan.splitlines(True), "golden", "now", n=2))
    assert not changed, f"{changed}\nIf this is meant: python -m tests.engine.golden {name}"


def test_there_is_a_golden_plan_for_each_stack_and_no_other():
    assert sorted(path.stem for path in GOLDEN.glob("*.json")) == STACKS


def test_stack_local_comes_up_stays_as_it_is_and_goes_with_every_machine(tmp_path: Path):
    with LocalCloud(tmp_path / "cloud") as cloud:
        _live_and_go(cloud, Engine(CHECKOUT, tmp_path / "engine", cloud.environment, find_cli()))


def _live_and_go(cloud: LocalCloud, engine: Engine) -> None:
    stack = engine.stack("local")
    up = stack.up()
    assert up.ok, up.text
    assert "warning" not in up.text.lower()
    assert cloud.market.living(), "no machine came up"
    again = stack.up("--expect-no-changes")
    assert again.ok, again.text
    previewed = stack.preview("--expect-no-changes", "--diff")
    assert previewed.ok, previewed.text
    refreshed = stack.refresh("--expect-no-changes")
    assert refreshed.ok, refreshed.text
    destroyed = stack.destroy()
    assert destroyed.ok, destroyed.text
    assert cloud.market.living() == []
    assert cloud.client("sqs").list_queues().get("QueueUrls", []) == []
    assert cloud.client("dynamodb").list_tables()["TableNames"] == []
    assert cloud.client("s3").list_buckets()["Buckets"] == []
    assert cloud.client("lambda").list_functions()["Functions"] == []
    assert cloud.client("events").list_rules()["Rules"] == []


# Those with a cluster need an API server: tests/kubernetes/test_eks_local.py.
@pytest.mark.parametrize("name", [name for name in STACKS if name != "local" and not name.startswith("eks")])
def test_a_stack_for_a_real_account_comes_up_in_the_lab_and_stays_as_it_is(cloud: LocalCloud, engine: Engine, name: str):
    stack = engine.stack(name)
    up = stack.up()
    assert up.ok, up.text
    again = stack.up("--expect-no-changes")
    assert again.ok, again.text
    refreshed = stack.refresh("--expect-no-changes")
    assert refreshed.ok, refreshed.text
    destroyed = stack.destroy()
    assert cloud.market.living() == []
    if name == "dev":
        assert destroyed.ok, destroyed.text
    else:
        assert not destroyed.ok
        assert "data-is-kept-unless-delete_data-is-true" in destroyed.text
        assert [table for table in cloud.client("dynamodb").list_tables()["TableNames"] if table.startswith("queue-ledger")]
        assert [bucket for bucket in cloud.client("s3").list_buckets()["Buckets"] if bucket["Name"].startswith("queue-bucket")]
