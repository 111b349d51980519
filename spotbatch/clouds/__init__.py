"""One module a cloud. `connect` finds the one that a queue's name asks for."""

import contextlib
import os
import re
from pathlib import Path

from spotbatch.protocols import Backend, Host

DEFAULT_QUEUE = "local:.spotbatch"


class BadQueueName(ValueError):
    """A queue name that no cloud answers to; the text says what is allowed."""


def connect(queue: str) -> Backend:
    """Ledger, bucket and doorbell behind a queue name. Raises BadQueueName, StoreError.

    `local:FOLDER`, the URL of an SQS queue, or `pubsub:projects/PROJECT/subscriptions/NAME`.
    """
    if _is_local(queue):
        from spotbatch.clouds import local

        return local.connect(Path(queue.removeprefix("local:")))
    if _is_pubsub(queue):
        from spotbatch.clouds import gcp

        return gcp.connect(queue)
    from spotbatch.clouds import aws

    return aws.connect(queue)


def _is_local(queue: str) -> bool:
    if queue.startswith("local:") and len(queue) > len("local:"):
        return True
    if queue.startswith(("https://", "http://")) or _is_pubsub(queue):
        return False
    raise BadQueueName(
        f"queue: {queue!r} is neither local:FOLDER nor the URL of an SQS queue (https://sqs.REGION.amazonaws.com/ACCOUNT/NAME)"
        " nor pubsub:projects/PROJECT/subscriptions/NAME"
    )


def _is_pubsub(queue: str) -> bool:
    return re.fullmatch(r"pubsub:projects/[^/]+/subscriptions/[^/]+", queue) is not None


def host(queue: str) -> Host:
    """This machine, as the cloud of a queue sees it. Raises BadQueueName, OSError."""
    if _is_local(queue):
        from spotbatch.clouds import local

        return local.LocalHost()
    if _is_pubsub(queue):
        from spotbatch.clouds import gcp_host

        return gcp_host.GcpHost()
    from spotbatch.clouds import aws

    return aws.AwsHost()


def default_queue() -> str:
    """What a worker works on when it is not told: `SPOTBATCH_QUEUE`, else what its machine says, else `local:.spotbatch`.

    An EC2 machine says it by its tag `spotbatch:queue`, one of Compute Engine by its metadata attribute `spotbatch-queue`.
    Raises OSError when it cannot be asked.
    """
    if given := os.environ.get("SPOTBATCH_QUEUE"):
        return given
    if os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or _on_ec2():
        from spotbatch.clouds.aws_metadata import Metadata

        return Metadata().read("tags/instance/spotbatch:queue") or DEFAULT_QUEUE
    if os.environ.get("GCE_METADATA_HOST") or _on_compute_engine():
        from spotbatch.clouds.gcp_metadata import Metadata as ComputeMetadata

        return ComputeMetadata().read("instance/attributes/spotbatch-queue") or DEFAULT_QUEUE
    return DEFAULT_QUEUE


def _on_compute_engine() -> bool:
    """https://docs.cloud.google.com/compute/docs/instances/detect-compute-engine"""
    with contextlib.suppress(OSError):
        return Path("/sys/class/dmi/id/product_name").read_text().startswith("Google Compute Engine")
    return False


def _on_ec2() -> bool:
    """https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/identify_ec2_instances.html: Nitro, then Xen."""
    for path, mark in (("/sys/class/dmi/id/sys_vendor", "Amazon EC2"), ("/sys/hypervisor/uuid", "ec2")):
        with contextlib.suppress(OSError):
            if Path(path).read_text().startswith(mark):
                return True
    return False
