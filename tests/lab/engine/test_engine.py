"""The real engine in the lab: whole lives of small stacks."""

import json
import os
import signal
import subprocess
import threading
import uuid
from pathlib import Path

import pytest

from lab.engine import command
from lab.engine.plan import plan_text
from lab.engine.stack import EngineError
from tests.lab.engine.conftest import command_line_of, processes_with, until

TWO_THINGS = """
first = Thing("first", zone="a")
second = Thing("second", of=first.token)
pulumi.export("token", second.token)
"""


def test_a_stack_is_made_stays_as_it_is_and_goes(small):
    stack = small(TWO_THINGS)
    assert stack.preview().changes == {"create": 3}
    up = stack.up()
    assert up.ok, up.text
    assert up.changes == {"create": 3}
    assert stack.outputs() == {"token": "t-1"}
    assert stack.up("--expect-no-changes").ok
    assert stack.refresh("--expect-no-changes").ok
    destroyed = stack.destroy()
    assert destroyed.ok
    assert destroyed.changes == {"delete": 3}


def test_no_command_prints_a_warning(small):
    stack = small(TWO_THINGS)
    for result in (stack.preview(), stack.up(), stack.refresh(), stack.destroy()):
        assert result.warnings == []
        assert "warning" not in result.text.lower()


def test_each_line_is_told_while_the_command_runs(small):
    lines: list[str] = []
    stack = small(TWO_THINGS)
    stack._on_line = lines.append
    stack.up()
    assert any("echo:index:Thing first created" in line for line in lines)


def test_the_projects_own_files_stay_as_they_are(small, tmp_path: Path):
    stack = small(TWO_THINGS, configuration="config:\n  small:size: 3\n")
    stack.up()
    files = {path.name: path.read_text() for path in (tmp_path / "project").rglob("*.yaml")}
    assert files["Pulumi.local.yaml"] == "config:\n  small:size: 3\n"
    assert sorted(files) == ["Pulumi.local.yaml", "Pulumi.yaml"]


def test_a_changed_configuration_is_seen_by_the_next_up(small):
    program = 'pulumi.export("size", pulumi.Config().require_int("size"))\n'
    assert small(program, "config:\n  small:size: 3\n").up().ok
    stack = small(program, "config:\n  small:size: 4\n")
    assert stack.up().ok
    assert stack.outputs() == {"size": 4}


def test_a_stack_that_has_no_file_is_refused_with_those_that_have(small):
    stack = small(TWO_THINGS)
    stack.name = "staging"
    with pytest.raises(EngineError, match=r"there is no stack 'staging': .*stacks are local"):
        stack.up()


def test_a_run_error_is_told_without_a_traceback(small):
    preview = small('raise pulumi.RunError("fleet.target: -1 is too small; at least 0")\n').preview()
    assert not preview.ok
    assert "fleet.target: -1 is too small; at least 0" in preview.text
    assert "Traceback" not in preview.text
    assert preview.warnings == ["fleet.target: -1 is too small; at least 0"]


def test_any_other_error_is_told_with_the_lines_of_the_program_alone(small):
    preview = small("def break_it():\n    return 1 / 0\n\nbreak_it()\n").preview()
    assert not preview.ok
    assert "ZeroDivisionError" in preview.text
    assert "break_it()" in preview.text
    assert "runpy" not in preview.text
    assert "program.py" not in preview.text


def test_an_error_in_an_apply_fails_the_preview(small):
    preview = small('Thing("first", zone="a").urn.apply(lambda urn: 1 / 0)\n').preview()
    assert not preview.ok
    assert "ZeroDivisionError" in preview.text
    assert "run_until_complete" not in preview.text


def test_a_program_that_exits_fails_with_its_code(small):
    preview = small("import sys\nsys.exit(3)\n").preview()
    assert not preview.ok
    assert "exit code 3" in preview.text


def test_what_a_program_prints_is_shown(small):
    assert "three machines" in small('print("three machines")\n').preview().text


def test_a_module_beside_the_program_can_be_imported_whatever_its_name(small, tmp_path: Path):
    stack = small('import plan\npulumi.export("answer", plan.ANSWER)\n')
    (tmp_path / "project" / "plan.py").write_text("ANSWER = 42\n")
    assert stack.up().ok
    assert stack.outputs() == {"answer": 42}


def test_a_policy_pack_that_refuses_ends_the_preview(small):
    pack = str(Path(__file__).parent / "strict_policy")
    allowed = small('Thing("fine")\n').preview("--policy-pack", pack)
    assert allowed.ok, allowed.text
    refused = small('Thing("forbidden")\n').preview("--policy-pack", pack)
    assert not refused.ok
    assert "forbidden is not a name" in refused.text


def test_secrets_reach_the_outputs_and_are_hidden_on_the_way(small):
    stack = small('pulumi.export("password", Thing("first", password=pulumi.Output.secret("hunter2")).token.apply(lambda _: "x"))\n')
    up = stack.up()
    assert up.ok
    assert "hunter2" not in up.text
    assert "hunter2" not in plan_text(stack.plan())


def test_killing_the_command_line_leaves_no_process_and_the_next_up_works(small, tmp_path: Path):
    mark = uuid.uuid4().hex
    stack = small('Thing("slow", wait=60)\n', LAB_TEST_MARK=mark)
    results: list[command.CommandResult] = []
    running = threading.Thread(target=lambda: results.append(stack.up()))
    running.start()
    assert until(lambda: len(processes_with(mark)) >= 4, 30), "command line, host, program and provider"
    os.kill(command_line_of(mark), signal.SIGKILL)
    assert until(lambda: not processes_with(mark), 10), f"left behind: {processes_with(mark)}"
    running.join(timeout=60)
    assert [result.code for result in results] == [-signal.SIGKILL]
    again = small('Thing("slow", wait=0)\n')
    up = again.up()
    assert up.ok, up.text


@pytest.mark.parametrize("half_written", ["local.json", "local.json.attrs"])
def test_what_a_killed_command_line_left_half_written_is_mended(small, tmp_path: Path, half_written: str):
    stack = small(TWO_THINGS)
    assert stack.up().ok
    assert stack.up().ok
    file = tmp_path / "lab" / "backend" / ".pulumi" / "stacks" / "small" / half_written
    file.write_text(file.read_text()[:20])
    again = stack.up("--expect-no-changes")
    assert again.ok, again.text


def test_killing_a_command_line_that_nobody_watches_leaves_no_process(small, tmp_path: Path):
    mark = uuid.uuid4().hex
    stack = small('Thing("slow", wait=60)\n', LAB_TEST_MARK=mark)
    stack.preview()
    up = [stack._cli, "up", "--yes", "--skip-preview", *stack._options()]
    with subprocess.Popen(up, cwd=tmp_path / "project", env=stack._environment, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT) as process:
        assert until(lambda: len(processes_with(mark)) >= 4, 30)
        process.kill()
    assert until(lambda: not processes_with(mark), 10), f"left behind: {processes_with(mark)}"


def test_a_command_that_takes_too_long_is_stopped_and_says_so(small, tmp_path: Path):
    mark = uuid.uuid4().hex
    stack = small("import time\ntime.sleep(60)\n", LAB_TEST_MARK=mark)
    stack.exists()
    stack._make()
    result = command.run([stack._cli, "preview", *stack._options()], tmp_path / "project", stack._environment, seconds=3)
    assert not result.ok
    assert "was not done after 3 s" in result.text
    assert until(lambda: not processes_with(mark), 5), f"left behind: {processes_with(mark)}"


def test_two_plans_are_the_same_to_the_byte_and_say_what_is_unknown_secret_or_random(small, tmp_path: Path):
    program = """
first = Thing("first", password=pulumi.Output.secret("hunter2"), code=pulumi.AssetArchive({"a": pulumi.StringAsset("x")}), digest="a" * 64)
Thing("second", pulumi.ResourceOptions(parent=first), of=first.token, near=first.name, text=pulumi.StringAsset("x"))
"""
    stack = small(program)
    plan = stack.plan()
    assert plan_text(plan) == plan_text(small(program, home="another").plan())
    rows = {row["urn"].rpartition("::")[2]: row for row in plan["resources"]}
    assert plan["stack"] == "local"
    assert rows["first"]["inputs"] == {"code": "[archive]", "digest": "[sha256]", "name": "first-[random]", "password": "[secret]"}
    assert rows["second"]["inputs"] == {"name": "second-[random]", "near": "first-[random]", "of": "[unknown]", "text": "[asset]"}
    assert rows["second"]["dependencies"] == [rows["first"]["urn"]]
    assert rows["second"]["parent"] == rows["first"]["urn"]
    assert rows["second"]["provider"] == "urn:pulumi:local::small::pulumi:providers:echo::default"
    assert list(rows["first"]) == ["urn", "type", "parent", "provider", "dependencies", "inputs"]
    assert json.loads(plan_text(plan)) == plan


def test_a_plan_is_the_same_whether_or_not_the_stack_is_deployed(small):
    stack = small(TWO_THINGS)
    before = stack.plan()
    stack.up()
    assert stack.plan() == before


def test_a_plan_of_a_program_that_fails_raises_what_the_preview_said(small):
    with pytest.raises(EngineError, match="too small") as raised:
        small('raise pulumi.RunError("fleet.target: -1 is too small")\n').plan()
    assert "Traceback" not in str(raised.value)
