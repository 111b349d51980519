"""A worker's deeds under the very policy that SqsTaskQueue declares for it, with IAM enforced: they work, and no action is spare."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from pulumi_spotbatch.aws.iam import trust
from pulumi_spotbatch.aws.task_queue import worker_policy

from lab.cloud import LocalCloud
from spotbatch import clouds
from spotbatch.ledger import Ledger
from spotbatch.submit import Submission, submit
from tests.components.recorder import deploy
from tests.spotbatch.clouds.conftest import make_queue

DEEDS = """
import os
from spotbatch import clouds
from spotbatch.checkpoint import Progress
from spotbatch.cleaning import clean
from spotbatch.clouds import aws_client
from spotbatch.ledger import Ledger
from spotbatch.owner import Owner
from spotbatch.protocols import Identity, Missing
from spotbatch.sweep import Sweep

bucket = os.environ["BUCKET"]
backend = clouds.connect(os.environ["SPOTBATCH_QUEUE"])
assert aws_client.client("s3", "us-east-1").get_object(Bucket=bucket, Key="code/archive.tar.gz")["Body"].read() == b"code"
ledger = Ledger(backend)
machine = ledger.machines.register(Identity(os.environ["MACHINE"], "boot"), "agent")
ledger.machines.beat(machine, metadata_ok=True)

bell = backend.doorbell.wait(2)
backend.doorbell.leave(bell)
bell = backend.doorbell.wait(2)
claim = ledger.claim(bell.run, bell.task, Owner(os.environ["MACHINE"], "boot", "agent", "process"))
backend.doorbell.silence(bell)
assert len(ledger.items(claim)) == 2
claim = ledger.save(claim, 1, Progress(os.urandom(100_000), []))
claim = ledger.give_back(claim, "interrupted", "a rehearsal")
try:
    backend.payloads.get("runs/none/tasks/000000/nothing")
except Missing:
    print("missing is told as missing")
# AWS would have said 403, where this cloud says 404: then the bucket looks whether the key is there.
assert not list(backend.payloads.keys("runs/none/"))
assert clean(ledger, claim) == 0
backend.payloads.put(f"runs/{claim.run}/tasks/{claim.id}/000000-000000-left", b"by a worker that was fenced")
assert clean(ledger, claim) == 1
Sweep(ledger).everything()
assert backend.doorbell.wait(2) is not None
print("all done")
"""

CONTROLS = [
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "s3:DeleteObject",
    "s3:GetObject on code/*",
    "s3:GetObject on runs/*",
    "s3:ListBucket",
    "s3:PutObject",
    "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessage",
    "sqs:ListQueueTags",
    "sqs:ReceiveMessage",
    "sqs:SendMessage on the queue",
    "sqs:SendMessage on the dead letters",
]


class Worker:
    """A queue with a role of its own; each try works on a task of its own."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.url = make_queue(cloud)
        self.name = self.url.rpartition("/")[2]
        self.backend = clouds.connect(self.url)
        cloud.client("s3").put_object(Bucket=self.name, Key="code/archive.tar.gz", Body=b"code")
        made: list[str] = []
        sqs, table = "arn:aws:sqs:us-east-1:000000000000:{}", f"arn:aws:dynamodb:us-east-1:000000000000:table/{self.name}"

        def documents() -> None:
            trust("ec2.amazonaws.com").apply(made.append)
            worker_policy(sqs.format(self.name), sqs.format(f"{self.name}-dead-letters"), table, f"arn:aws:s3:::{self.name}").apply(made.append)

        deploy(documents)
        trusted, policy = sorted(made, key=len)
        self.policy: dict[str, Any] = json.loads(policy)
        self._role = cloud.client("iam").create_role(RoleName=self.name, AssumeRolePolicyDocument=trusted)["Role"]["Arn"]
        self._tries = 0

    def work(self, policy: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        """Everything that a worker does, with this policy and nothing else: an unreadable bell waits, then a task of two items."""
        self._tries += 1
        sqs = self.cloud.client("sqs")
        sqs.purge_queue(QueueUrl=self.url)
        sqs.send_message(QueueUrl=self.url, MessageBody="rubbish")
        list(submit(Ledger(self.backend), Submission.read([b"1", b"2"], 2, f"run-{self._tries}")))
        self.cloud.client("iam").put_role_policy(RoleName=self.name, PolicyName="work", PolicyDocument=json.dumps(policy))
        keys = self.cloud.client("sts").assume_role(RoleArn=self._role, RoleSessionName="worker")["Credentials"]
        environment = {
            **self.cloud.environment,
            "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
            "AWS_SESSION_TOKEN": keys["SessionToken"],
            "SPOTBATCH_QUEUE": self.url,
            "BUCKET": self.name,
            "MACHINE": f"i-{self._tries:017x}",
        }
        return subprocess.run([sys.executable, "-c", DEEDS], env=environment, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    with LocalCloud(tmp_path_factory.mktemp("cloud"), auth=True) as cloud, pytest.MonkeyPatch.context() as patch:
        for name, value in cloud.environment.items():
            patch.setenv(name, value)
        yield Worker(cloud)


def test_with_its_policy_a_worker_does_all_it_has_to(worker: Worker):
    done = worker.work(worker.policy)
    assert done.returncode == 0, done.stderr
    assert "missing is told as missing" in done.stdout
    letters = worker.cloud.client("sqs").get_queue_url(QueueName=f"{worker.name}-dead-letters")["QueueUrl"]
    assert worker.cloud.client("sqs").receive_message(QueueUrl=letters)["Messages"][0]["Body"] == "rubbish"


def test_the_controls_below_take_away_every_action_of_the_policy(worker: Worker):
    assert {_named(action, statement) for statement in worker.policy["Statement"] for action in _actions(statement)} == set(CONTROLS)


@pytest.mark.parametrize("taken", CONTROLS)
def test_without_one_of_its_actions_a_worker_stops_and_names_it(worker: Worker, taken: str):
    policy = json.loads(json.dumps(worker.policy))
    for statement in policy["Statement"]:
        statement["Action"] = [action for action in _actions(statement) if _named(action, statement) != taken]
    policy["Statement"] = [statement for statement in policy["Statement"] if statement["Action"]]
    done = worker.work(policy)
    assert done.returncode != 0
    if taken != "s3:GetObject on code/*":
        assert f"permission missing: allow {taken.split()[0]}" in done.stderr, done.stderr


def _actions(statement: dict[str, Any]) -> list[str]:
    return [statement["Action"]] if isinstance(statement["Action"], str) else list(statement["Action"])


def _named(action: str, statement: dict[str, Any]) -> str:
    """Two actions are allowed on two things, each for a reason of its own."""
    if action == "s3:GetObject":
        return f"{action} on {statement['Resource'].partition('/')[2]}"
    if action == "sqs:SendMessage":
        return f"{action} on the {'dead letters' if statement['Resource'].endswith('-dead-letters') else 'queue'}"
    return action
