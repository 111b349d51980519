"""The handler's functions under the very policies that the component declares, with IAM enforced: they work, and no action is spare.

Lambda itself fetches from the events queue and writes the logs; what it needs for that is AWS's own list, and the local cloud does not
ask for it: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html, .../monitoring-cloudwatchlogs.html
"""

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pulumi
import pytest
from pulumi_spotbatch.aws import QueueAccess
from pulumi_spotbatch.aws.iam import trust
from pulumi_spotbatch.aws.interruption_policies import for_notices, for_sweeps

from lab.cloud import LocalCloud
from spotbatch.clouds.aws_store import DynamoStore
from spotbatch.machine import Machine
from spotbatch.owner import Owner
from spotbatch.settle import write
from spotbatch.task import Task, task_key
from tests.components.recorder import deploy
from tests.lab.cloud.fleets import eventually, make_template, members
from tests.lab.cloud.test_auto_scaling_groups import create_group, mixed

ACCOUNT = "arn:aws:{}:us-east-1:000000000000:{}"
LAMBDA_ITSELF = {"logs:CreateLogStream", "logs:PutLogEvents", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
RUN = "import json, sys; from spotbatch.clouds.aws_lambda import handle; print('ANSWER', json.dumps(handle(json.load(sys.stdin), None)))"

NOTICES = [
    "autoscaling:CompleteLifecycleAction",
    "autoscaling:DetachInstances",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "sqs:ListQueueTags",
    "sqs:SendMessage on dead-letters",
    "sqs:SendMessage on events",
    "sqs:SendMessage on tasks",
]
SWEEP = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "sqs:ListQueueTags", "sqs:SendMessage on tasks"]


@dataclass(frozen=True)
class Outcome:
    failed: bool
    said: str
    requeued: bool
    """The task of the machine that is gone."""


class Handler:
    """The two functions, run as Lambda would run them, with their roles' keys."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud, sqs = cloud, cloud.client("sqs")
        self.store = DynamoStore(cloud.client("dynamodb"), "ledger")
        _table(cloud)
        cloud.client("s3").create_bucket(Bucket="payloads")
        self.dead = sqs.create_queue(QueueName="dead-letters")["QueueUrl"]
        tags = {"spotbatch:table": "ledger", "spotbatch:bucket": "payloads", "spotbatch:dead-letters": self.dead}
        self.tasks = sqs.create_queue(QueueName="tasks", tags=tags)["QueueUrl"]
        self.events = sqs.create_queue(QueueName="events")["QueueUrl"]
        self.group = create_group(cloud, mixed(make_template(cloud), ["m5.xlarge"]))
        trusted = _documents(lambda: trust("lambda.amazonaws.com"))[0]
        self.roles = {
            name: cloud.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trusted)["Role"]["Arn"] for name in ("notices", "sweep")
        }

    def policy(self, role: str) -> dict[str, Any]:
        """What the component declares for these queues and this group."""
        queue = QueueAccess(
            url=self.tasks,
            arn=ACCOUNT.format("sqs", "tasks"),
            name="tasks",
            bucket_name="payloads",
            bucket_arn="arn:aws:s3:::payloads",
            table_name="ledger",
            table_arn=ACCOUNT.format("dynamodb", "table/ledger"),
            dead_letters_url=self.dead,
            dead_letters_arn=ACCOUNT.format("sqs", "dead-letters"),
            worker_policy="{}",
        )
        logs = ACCOUNT.format("logs", "log-group:logs")
        events, dead = ACCOUNT.format("sqs", "events"), ACCOUNT.format("sqs", "dead-letters")
        if role == "sweep":
            return json.loads(_documents(lambda: for_sweeps(queue, logs))[0])
        return json.loads(_documents(lambda: for_notices(queue, events, dead, logs, [self.group]))[0])

    def allow(self, role: str, policy: dict[str, Any]) -> None:
        self.cloud.client("iam").put_role_policy(RoleName=role, PolicyName="own", PolicyDocument=json.dumps(policy))

    def notices(self, group: str = "") -> Outcome:
        """One of everything: a warning for a machine of the group, a machine that is gone, a stranger's hook, and rubbish."""
        group = group or self.group
        warned = eventually(lambda: members(self.cloud, group))[0].id
        gone = f"i-{uuid.uuid4().hex[:17]}"
        self._machine_at_work(warned)
        task = self._machine_at_work(gone)
        hook = {
            "LifecycleActionToken": "t",
            "AutoScalingGroupName": group,
            "LifecycleHookName": "spotbatch-drain",
            "EC2InstanceId": "i-00000000",
        }
        return self._run(
            "notices",
            task,
            [
                _event("aws.ec2", "EC2 Spot Instance Interruption Warning", **{"instance-id": warned, "instance-action": "terminate"}),
                _event("aws.ec2", "EC2 Instance State-change Notification", **{"instance-id": gone, "state": "terminated"}),
                _event("aws.autoscaling", "EC2 Instance-terminate Lifecycle Action", **hook),
                "rubbish",
            ],
            group,
        )

    def sweep(self) -> Outcome:
        return self._run("sweep", self._machine_at_work(f"i-{uuid.uuid4().hex[:17]}", beat=time.time() - 1000), None)

    def _machine_at_work(self, machine: str, beat: float = 0.0) -> str:
        """A machine that registered long ago and holds a task; the task's key."""
        now, owner = time.time(), Owner(machine, "boot", "agent", "process")
        record = Machine(machine, "boot", "agent", now - 3600, beat or now).to_record()
        known = self.store.read(record["key"])
        write(self.store, record, known["version"] if known else 0)
        run = uuid.uuid4().hex[:8]
        write(self.store, Task(run, "000000", "running", 1, epoch=1, owner=owner).to_record(), 0)
        return task_key(run, "000000")

    def _run(self, role: str, task: str, bodies: list[str] | None, group: str = "") -> Outcome:
        keys = self.cloud.client("sts").assume_role(RoleArn=self.roles[role], RoleSessionName="function")["Credentials"]
        environment = {
            **self.cloud.environment,
            "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
            "AWS_SESSION_TOKEN": keys["SessionToken"],
            "SPOTBATCH_QUEUE": self.tasks,
            "SPOTBATCH_EVENTS_QUEUE": self.events,
            "SPOTBATCH_DEAD_LETTERS": self.dead,
            "SPOTBATCH_GROUPS": group,
        }
        records = {"Records": [{"messageId": str(number), "body": body} for number, body in enumerate(bodies or [])]}
        event = json.dumps({"spotbatch": "sweep"} if bodies is None else records)
        done = subprocess.run([sys.executable, "-c", RUN], input=event, env=environment, capture_output=True, text=True, timeout=60)
        answered = [line for line in done.stdout.splitlines() if line.startswith("ANSWER")]
        failed = done.returncode != 0 or '"itemIdentifier"' in answered[0]
        record = self.store.read(task)
        return Outcome(failed, done.stdout + done.stderr, record is not None and record["state"] == "queued")


@pytest.fixture(scope="module")
def handler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Handler]:
    with LocalCloud(tmp_path_factory.mktemp("cloud"), auth=True) as cloud:
        yield Handler(cloud)


def test_with_its_own_policy_the_handler_marks_detaches_empties_and_keeps_rubbish(handler: Handler):
    handler.allow("notices", handler.policy("notices"))
    outcome = handler.notices()
    assert not outcome.failed, outcome.said
    assert outcome.requeued
    assert '"event": "detached"' in outcome.said
    sqs = handler.cloud.client("sqs")
    assert json.loads(sqs.receive_message(QueueUrl=handler.tasks)["Messages"][0]["Body"])["task"] == "000000"
    assert sqs.receive_message(QueueUrl=handler.dead)["Messages"][0]["Body"] == "rubbish"
    waiting = sqs.get_queue_attributes(QueueUrl=handler.events, AttributeNames=["ApproximateNumberOfMessagesDelayed"])
    assert waiting["Attributes"]["ApproximateNumberOfMessagesDelayed"] == "1", "the reminder of the deadline"


def test_with_its_own_policy_the_sweep_takes_back_what_a_silent_machine_held(handler: Handler):
    handler.allow("sweep", handler.policy("sweep"))
    outcome = handler.sweep()
    assert not outcome.failed, outcome.said
    assert outcome.requeued


def test_a_group_that_was_not_given_is_out_of_reach(handler: Handler):
    handler.allow("notices", handler.policy("notices"))
    outcome = handler.notices(create_group(handler.cloud, mixed(make_template(handler.cloud), ["c5.large"])))
    assert outcome.failed
    assert "permission missing: allow autoscaling:DetachInstances" in outcome.said


def test_the_controls_below_take_away_every_action_that_the_functions_call_themselves(handler: Handler):
    for role, controls in (("notices", NOTICES), ("sweep", SWEEP)):
        declared = {_named(action, statement) for statement in handler.policy(role)["Statement"] for action in _actions(statement)}
        assert {name for name in declared if name.split()[0] not in LAMBDA_ITSELF} == set(controls)


@pytest.mark.parametrize(("role", "taken"), [*(("notices", one) for one in NOTICES), *(("sweep", one) for one in SWEEP)])
def test_without_one_of_its_actions_a_function_fails_and_names_it(handler: Handler, role: str, taken: str):
    policy = handler.policy(role)
    for statement in policy["Statement"]:
        statement["Action"] = [action for action in _actions(statement) if _named(action, statement) != taken]
    policy["Statement"] = [statement for statement in policy["Statement"] if statement["Action"]]
    handler.allow(role, policy)
    outcome = handler.notices() if role == "notices" else handler.sweep()
    handler.allow(role, handler.policy(role))
    assert outcome.failed
    assert f"permission missing: allow {taken.split()[0]}" in outcome.said, outcome.said


def _actions(statement: dict[str, Any]) -> list[str]:
    return [statement["Action"]] if isinstance(statement["Action"], str) else list(statement["Action"])


def _named(action: str, statement: dict[str, Any]) -> str:
    """Messages are sent to three queues, each for a reason of its own."""
    return f"{action} on {statement['Resource'].rpartition(':')[2]}" if action == "sqs:SendMessage" else action


def _event(source: str, kind: str, **detail: str) -> str:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return json.dumps({"source": source, "detail-type": kind, "time": stamp, "detail": detail})


def _documents(*makers: Any) -> list[str]:
    """Policy documents as text."""
    made: list[str] = []

    def program() -> None:
        for make in makers:
            output: pulumi.Output[str] = make()
            output.apply(made.append)

    deploy(program)
    return made


def _table(cloud: LocalCloud) -> None:
    indexes = {"by_run": ("run", "key"), "by_state": ("state", "machine"), "by_kind": ("kind", "key")}
    cloud.client("dynamodb").create_table(
        TableName="ledger",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("key", "kind", "machine", "run", "state")],
        GlobalSecondaryIndexes=[
            {
                "IndexName": index,
                "Projection": {"ProjectionType": "ALL"},
                "KeySchema": [{"AttributeName": first, "KeyType": "HASH"}, {"AttributeName": second, "KeyType": "RANGE"}],
            }
            for index, (first, second) in indexes.items()
        ],
    )
