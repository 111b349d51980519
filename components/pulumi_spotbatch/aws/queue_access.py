"""How components are told which queue they serve."""

from typing import TypedDict

import pulumi


class QueueAccess(TypedDict):
    """What others need of a queue: pass `SqsTaskQueue.access`, or fill it in for a queue of another stack."""

    url: pulumi.Input[str]
    """URL of the doorbell queue: the queue's name for workers and for the command line."""
    arn: pulumi.Input[str]
    """ARN of the doorbell queue."""
    name: pulumi.Input[str]
    """Name of the doorbell queue, the `Queue` dimension of its metrics."""
    bucket_name: pulumi.Input[str]
    """Bucket with items, checkpoints, results and code."""
    bucket_arn: pulumi.Input[str]
    """ARN of the bucket."""
    table_name: pulumi.Input[str]
    """Ledger table."""
    table_arn: pulumi.Input[str]
    """ARN of the ledger table."""
    dead_letters_url: pulumi.Input[str]
    """URL of the queue that keeps messages nobody could read."""
    dead_letters_arn: pulumi.Input[str]
    """ARN of the queue that keeps messages nobody could read."""
    worker_policy: pulumi.Input[str]
    """IAM policy document (JSON) that lets a machine work on this queue and on nothing else."""
