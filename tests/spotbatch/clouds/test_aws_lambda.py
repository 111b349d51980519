import io
import json
import subprocess
import sys
import time
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest
from pulumi_spotbatch.aws.interruption_archive import ENTRY, archive

from lab.cloud import LocalCloud
from spotbatch.clouds import aws_lambda
from spotbatch.clouds.aws import connect
from spotbatch.ledger import Ledger
from spotbatch.machine import machine_key
from spotbatch.notice import MalformedEvent
from spotbatch.owner import Owner
from spotbatch.protocols import Identity
from spotbatch.settle import write
from spotbatch.submit import Submission, submit
from spotbatch.task import Task
from tests.spotbatch.clock import wait_until
from tests.spotbatch.clouds.conftest import make_queue, messages

RUN = "run"


class Account:
    """A queue with one machine at work, and the queues of its handler."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud, self.queue = cloud, make_queue(cloud)
        self.ledger = Ledger(connect(self.queue))
        self.name = self.queue.rpartition("/")[2]
        sqs = cloud.client("sqs")
        self.events = sqs.create_queue(QueueName=f"{self.name}-events")["QueueUrl"]
        self.dead = sqs.create_queue(QueueName=f"{self.name}-unread")["QueueUrl"]
        self.environment = {"SPOTBATCH_QUEUE": self.queue, "SPOTBATCH_EVENTS_QUEUE": self.events, "SPOTBATCH_DEAD_LETTERS": self.dead}
        list(submit(self.ledger, Submission.read([str(number).encode() for number in range(6)], 2, RUN)))
        self.machine = f"i-{uuid.uuid4().hex[:17]}"
        self.owner = self.register(self.machine)
        self.claim = self.ledger.claim(RUN, "000000", self.owner)

    def register(self, machine: str) -> Owner:
        """A machine that registered an hour ago."""
        made = self.ledger.machines.register(Identity(machine, "boot"), "agent")
        record = self.ledger.store.read(machine_key(machine))
        assert record is not None
        write(self.ledger.store, {**record, "registered": made.registered - 3600}, made.version)
        return Owner(machine, "boot", "agent", "process")

    def task(self, name: str = "000000") -> Task:
        found = self.ledger.task(RUN, name)
        assert found is not None
        return found

    def event(self, kind: str, **detail: str) -> dict[str, Any]:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return {"source": "aws.ec2", "detail-type": kind, "time": stamp, "detail": {"instance-id": self.machine, **detail}}

    @property
    def warning(self) -> dict[str, Any]:
        return self.event("EC2 Spot Instance Interruption Warning", **{"instance-action": "terminate"})

    @property
    def gone(self) -> dict[str, Any]:
        return self.event("EC2 Instance State-change Notification", state="terminated")


@pytest.fixture
def account(cloud: LocalCloud) -> Iterator[Account]:
    account = Account(cloud)
    for made in (aws_lambda._handler, aws_lambda._dead_letters, aws_lambda._sqs):
        made.cache_clear()
    with pytest.MonkeyPatch.context() as environment:
        for name, value in account.environment.items():
            environment.setenv(name, value)
        yield account


def batch(*bodies: Any) -> dict[str, Any]:
    texts = [body if isinstance(body, str) else json.dumps(body) for body in bodies]
    return {"Records": [{"messageId": f"m{number}", "body": text} for number, text in enumerate(texts)]}


def failed(answer: dict[str, Any] | None) -> list[str]:
    assert answer is not None
    return [entry["itemIdentifier"] for entry in answer["batchItemFailures"]]


def lines(said: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.splitlines()]


def metrics(said: str) -> dict[str, float]:
    """What CloudWatch would read: names and values."""
    found: dict[str, float] = {}
    for line in lines(said):
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
            assert directive["Dimensions"] == [["Queue"]] and line["Queue"] and directive["Namespace"] == "spotbatch"
            found |= {metric["Name"]: line[metric["Name"]] for metric in directive["Metrics"]}
    return found


def test_a_warning_marks_the_machine_and_its_deadline_comes_back_as_a_message(account: Account, capsys: pytest.CaptureFixture[str]):
    assert failed(aws_lambda.handle(batch(account.warning), None)) == []
    machine = account.ledger.machines.read(account.machine)
    assert machine is not None and machine.state == "draining"
    delayed = account.cloud.client("sqs").get_queue_attributes(QueueUrl=account.events, AttributeNames=["ApproximateNumberOfMessagesDelayed"])
    assert delayed["Attributes"]["ApproximateNumberOfMessagesDelayed"] == "1"
    assert metrics(capsys.readouterr().out) == {"Notices": 1}


def test_a_machine_that_is_gone_has_its_task_queued_again_and_rung_for(account: Account):
    bells = messages(account.cloud, account.queue)
    assert failed(aws_lambda.handle(batch(account.gone), None)) == []
    assert account.task().state == "queued"
    assert [json.loads(message["Body"]) for message in messages(account.cloud, account.queue)] == [{"run": RUN, "task": "000000"}]
    assert len(bells) == 3


def test_one_bad_record_never_fails_its_neighbours(account: Account, capsys: pytest.CaptureFixture[str]):
    account.register("i-damaged")
    record = account.ledger.store.read("machine/i-damaged")
    assert record is not None
    write(account.ledger.store, {**record, "condition": "on fire"}, record["version"])
    damaged = account.event("EC2 Instance Rebalance Recommendation", **{"instance-id": "i-damaged"})
    stranger = account.event("EC2 Instance Rebalance Recommendation", **{"instance-id": "i-stranger"})
    answer = aws_lambda.handle(batch("rubbish", damaged, {**account.gone, "time": None}, stranger, [], account.gone), None)
    assert failed(answer) == ["m1"]
    assert account.task().state == "queued"
    letters = {message["Body"]: message["MessageAttributes"]["reason"]["StringValue"] for message in messages(account.cloud, account.dead)}
    assert letters == {
        "rubbish": "not JSON: Expecting value: line 1 column 1 (char 0)",
        json.dumps({**account.gone, "time": None}): "time: missing in an event of detail-type 'EC2 Instance State-change Notification'",
        "[]": "event: [] is not an object",
    }
    said = capsys.readouterr().out
    assert metrics(said) == {"Notices": 1, "NoticesNotOurs": 1}
    [fault] = [line for line in lines(said) if line.get("event") == "message failed"]
    assert fault["message"] == "m1" and "on fire" in fault["error"]


def test_a_body_too_deep_to_read_is_kept_like_any_other_rubbish(account: Account):
    assert failed(aws_lambda.handle(batch("[" * 100_000), None)) == []
    [letter] = messages(account.cloud, account.dead)
    assert "not JSON" in letter["MessageAttributes"]["reason"]["StringValue"]


def test_when_nothing_of_a_batch_could_be_handled_the_function_itself_fails(account: Account, capsys: pytest.CaptureFixture[str]):
    account.cloud.client("dynamodb").delete_table(TableName=account.name)
    with pytest.raises(ExceptionGroup, match="no message of the batch") as faults:
        aws_lambda.handle(batch(account.warning, account.gone), None)
    assert f"dynamodb:GetItem on table/{account.name}" in str(faults.value.exceptions[0])


def test_a_malformed_message_stays_in_the_queue_while_the_dead_letters_cannot_be_written(account: Account):
    account.cloud.client("sqs").delete_queue(QueueUrl=account.dead)
    assert failed(aws_lambda.handle(batch("rubbish", account.gone), None)) == ["m0"]


def test_with_no_time_left_records_are_handed_back_untouched(account: Account):
    left = iter([9000, 1000, 900])
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: next(left))
    assert failed(aws_lambda.handle(batch(account.warning, account.gone, account.gone), context)) == ["m1", "m2"]
    assert account.task().state == "running"


@pytest.mark.parametrize(("seconds", "expected"), [(0.0, 1), (0.2, 1), (119.0, 119), (119.4, 120), (899.5, 900), (900.5, 900), (86400.0, 900)])
def test_a_reminder_comes_at_its_deadline_or_a_quarter_of_an_hour_from_now(seconds: float, expected: int):
    assert aws_lambda.delay(seconds) == expected


def test_the_sweep_publishes_the_backlog(account: Account, capsys: pytest.CaptureFixture[str]):
    account.ledger.claim(RUN, "000001", account.owner)
    assert aws_lambda.handle({"spotbatch": "sweep"}, None) is None
    said = capsys.readouterr().out
    assert metrics(said) == {"Backlog": 3}
    assert all(line["Queue"] == account.name for line in lines(said) if "_aws" in line)


def test_an_empty_queue_has_a_backlog_of_nothing(account: Account, capsys: pytest.CaptureFixture[str]):
    for task in list(account.ledger.store.run_tasks(RUN)):
        account.ledger.cancel(RUN, task["task"])
    aws_lambda.handle({"spotbatch": "sweep"}, None)
    assert metrics(capsys.readouterr().out) == {"Backlog": 0}


def test_a_record_that_the_sweep_cannot_read_is_an_error_after_all_the_others(account: Account, capsys: pytest.CaptureFixture[str]):
    task = account.ledger.store.read(account.task("000001").key)
    assert task is not None
    write(account.ledger.store, {**task, "attempts": "many", "state": "running", "machine": "-"}, task["version"])
    record = account.ledger.store.read(machine_key(account.machine))
    assert record is not None
    write(account.ledger.store, {**record, "beat": record["beat"] - 600}, record["version"])
    with pytest.raises(ExceptionGroup, match="cannot be read") as faults:
        aws_lambda.handle({"spotbatch": "sweep"}, None)
    assert "task/run/000001: attempts is 'many'" in str(faults.value.exceptions[0])
    assert account.task().state == "queued"
    assert "Backlog" in metrics(capsys.readouterr().out)


def test_a_call_that_is_neither_batch_nor_sweep_is_refused_in_words():
    with pytest.raises(MalformedEvent, match="neither a batch of the events queue nor a sweep"):
        aws_lambda.handle({"source": "aws.ec2"}, None)


def test_a_setting_that_lacks_is_named(account: Account):
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("SPOTBATCH_QUEUE")
        with pytest.raises(ValueError, match="SPOTBATCH_QUEUE is not set"):
            aws_lambda.handle({"spotbatch": "sweep"}, None)


def test_importing_the_entry_loads_little_and_calls_nobody():
    code = """
import socket, sys
def refuse(*a, **k): raise AssertionError("a network call at import")
socket.socket.connect = refuse
import spotbatch.clouds.aws_lambda
heavy = {"boto3", "s3transfer", "sqlite3", "asyncio", "pulumi", "typer", "rich", "multiprocessing"}
print(sorted({name.split(".")[0] for name in sys.modules} & heavy))
"""
    function = {"AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    for environment in ({}, function):
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
        assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


# The real archive in the local cloud's own Lambda.


def zipped() -> bytes:
    """The component's archive, as the engine would upload it."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name, asset in archive().assets.items():
            assert isinstance(asset, pulumi.FileAsset)
            file.writestr(name, Path(asset.path).read_bytes())
    return content.getvalue()


def test_the_archive_runs_in_lambda_behind_its_queue(account: Account):
    client = account.cloud.client("lambda")
    role = account.cloud.client("iam").create_role(RoleName=account.name, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    environment = {**account.environment, **{name: account.cloud.environment[name] for name in ("AWS_ENDPOINT_URL",)}}
    sqs = account.cloud.client("sqs")
    sqs.set_queue_attributes(QueueUrl=account.events, Attributes={"VisibilityTimeout": "30"})
    client.create_function(
        FunctionName=account.name,
        Runtime="python3.13",
        Handler=ENTRY,
        Role=role,
        Code={"ZipFile": zipped()},
        Timeout=10,
        Environment={"Variables": environment},
    )
    arn = sqs.get_queue_attributes(QueueUrl=account.events, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    mapping = client.create_event_source_mapping(
        FunctionName=account.name, EventSourceArn=arn, BatchSize=10, FunctionResponseTypes=["ReportBatchItemFailures"]
    )
    for body in ("rubbish", json.dumps(account.warning), json.dumps(account.gone)):
        sqs.send_message(QueueUrl=account.events, MessageBody=body)
    wait_until(lambda: account.task().state == "queued", 30, "the task is queued again")
    wait_until(lambda: [letter["Body"] for letter in messages(account.cloud, account.dead)] == ["rubbish"], 10)
    client.delete_event_source_mapping(UUID=mapping["UUID"])
    swept = client.invoke(FunctionName=account.name, Payload=json.dumps({"spotbatch": "sweep"}))
    assert "FunctionError" not in swept, swept["Payload"].read()
