"""Arguments with which every exported component can be declared: the contract test and others start from these."""

from typing import Any

from pulumi_spotbatch import aws as components
from pulumi_spotbatch.aws import QueueAccess

ACCOUNT, REGION = "123456789012", "us-east-1"

QUEUE: QueueAccess = {
    "url": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/tasks",
    "arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:tasks",
    "name": "tasks",
    "bucket_name": "tasks-bucket",
    "bucket_arn": "arn:aws:s3:::tasks-bucket",
    "table_name": "tasks-ledger",
    "table_arn": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/tasks-ledger",
    "dead_letters_url": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/tasks-dead-letters",
    "dead_letters_arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:tasks-dead-letters",
    "worker_policy": '{"Version": "2012-10-17", "Statement": []}',
}

SAMPLES: dict[str, dict[str, Any]] = {
    "SqsTaskQueue": {"tags": {"team": "batch"}},
}
"""Least arguments by class name, with tags; add yours with the component."""


def component(name: str) -> Any:
    """The exported class of that name."""
    return getattr(components, name)
