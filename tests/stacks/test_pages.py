"""The pages on stack files and alarms say what is."""

import json
import re
from pathlib import Path

import yaml
from pulumi_spotbatch.aws import InterruptionHandler

from stacks.settings import AwsSettings
from stacks.stack_file import parse_aws
from tests.components.recorder import deploy
from tests.components.samples import QUEUE

DOCS = Path(__file__).parents[2] / "docs"
STACK_FILES, ALARMS = (DOCS / "stack-files.md").read_text(), (DOCS / "when-an-alarm-goes-off.md").read_text()


def test_the_examples_of_stack_files_have_no_fault():
    examples = re.findall(r"```yaml\n(.*?)```", STACK_FILES, re.S)
    assert len(examples) == 2
    for example in examples:
        assert parse_aws(json.dumps(yaml.safe_load(example)["config"]["spotbatch:aws"]))[1] == []


def test_the_page_lists_every_section_beside_the_file_that_documents_it():
    rows = dict(re.findall(r"^\| `(\w+)` \| .* \| `(.*)` \|$", STACK_FILES, re.M))
    assert list(rows) == [section for section in AwsSettings.model_fields if section != "tags"]
    assert [path for path in rows.values() if not (DOCS.parent / path).is_file()] == []


def test_the_faults_shown_are_told_like_that():
    given = {"fleet": {"targetCapcity": 3}, "queue": {"deleteData": "yes"}, "network": {"zones": 1}, "machine": {"worker": "etl:SurvivalStatistics"}}
    given["machine"]["code"] = {"folder": "examples/etl"}  # pyright: ignore[reportArgumentType]
    told = parse_aws(json.dumps(given))[1]
    assert len(told) == 3
    for fault in told:
        assert f"  - spotbatch:aws{fault}\n" in STACK_FILES


def test_every_alarm_has_a_line_that_says_what_to_do():
    deployment = deploy(lambda: InterruptionHandler("h", {"queue": QUEUE, "drill_source": True}))
    for alarm in deployment.all("MetricAlarm"):
        role = alarm.name.removeprefix("h-")
        assert f"`{role}`" in ALARMS or role.endswith("-undelivered"), role
    assert "`…-undelivered`" in ALARMS
