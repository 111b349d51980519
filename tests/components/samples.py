"""Arguments with which every exported component can be declared: the contract test and others start from these."""

from pathlib import Path
from typing import Any

from pulumi_spotbatch import aws, eks
from pulumi_spotbatch.aws import QueueAccess, Template
from pulumi_spotbatch.eks import KarpenterAccess, Placement

JOB = Path(__file__).parent / "job"
"""A job to pack."""

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

TEMPLATE: Template = {"id": "lt-0123456789abcdef0", "version": "3", "role_name": "workers-role", "pool_tag": "workers-work-test"}

SUBNETS = ["subnet-0aaaaaaaaaaaaaaaa", "subnet-0bbbbbbbbbbbbbbbb", "subnet-0cccccccccccccccc"]

STOP_ALARM = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:dead-letters"

SCALING = {"queue_name": "tasks", "max": 10, "tasks_per_unit": 1}

CLUSTER = f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/batch"

KARPENTER: KarpenterAccess = {
    "cluster_name": "batch",
    "node_role_name": "karpenter-node-1a2b3c4",
    "interruption_queue": "karpenter-interruptions-1a2b3c4",
}

PLACEMENT: Placement = {"cluster_name": "batch", "pool_names": ["batch-workers"], "taint_key": "batch", "grace_seconds": 120}

SAMPLES: dict[str, dict[str, Any]] = {
    "InterruptionDrill": {"pool_tag": "workers-work-test", "stop_alarm_arn": STOP_ALARM, "tags": {"team": "batch"}},
    "InterruptionHandler": {"queue": QUEUE, "group_names": ["workers"], "drill_source": True, "tags": {"team": "batch"}},
    "Karpenter": {"cluster_arn": CLUSTER, "subnet_ids": SUBNETS, "tags": {"team": "batch"}},
    "Network": {"tags": {"team": "batch"}},
    "SpotAutoScalingGroup": {"template": TEMPLATE, "subnet_ids": SUBNETS, "scaling": SCALING, "tags": {"team": "batch"}},
    "SpotFleet": {"template": TEMPLATE, "subnet_ids": SUBNETS, "scaling": SCALING, "tags": {"team": "batch"}},
    "SpotJob": {
        "queue": QUEUE,
        "pool": PLACEMENT,
        "run": "clips",
        "tasks": 100,
        "image": "job:1.0",
        "worker": "thumbnails:Thumbnails",
        "tags": {"team": "batch"},
    },
    "SpotLaunchTemplate": {
        "worker": "thumbnails:Thumbnails",
        "queue": QUEUE,
        "vpc_id": "vpc-0123456789abcdef0",
        "code": {"folder": str(JOB)},
        "tags": {"team": "batch"},
    },
    "SpotNodePool": {"karpenter": KARPENTER, "subnet_ids": SUBNETS, "limits": {"cpu": 1000}, "tags": {"team": "batch"}},
    "SqsTaskQueue": {"tags": {"team": "batch"}},
}
"""Least arguments by class name, with tags; add yours with the component."""


def component(name: str) -> Any:
    """The exported class of that name."""
    return getattr(eks if hasattr(eks, name) else aws, name)
