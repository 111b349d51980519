"""One module a cloud. `connect` finds the one that a queue's name asks for."""

import contextlib
import os
from pathlib import Path

from spotbatch.protocols import Backend, Host

DEFAULT_QUEUE = "local:.spotbatch"


class BadQueueName(ValueError):
    """A queue name that no cloud answers to; the text says what is allowed."""


def connect(queue: str) -> Backend:
    """Ledger, bucket and doorbell behind a queue name: `local:FOLDER`, or the URL of an SQS queue. Raises BadQueueName, StoreError."""
    if _is_local(queue):
        from spotbatch.clouds import local

        return local.connect(Path(queue.removeprefix("local:")))
    from spotbatch.clouds import aws

    return aws.connect(queue)


def _is_local(queue: str) -> bool:
    if queue.startswith("local:") and len(queue) > len("local:"):
        return True
    if queue.startswith(("https://", "http://")):
        return False
    raise BadQueueName(f"queue: {queue!r} is neither local:FOLDER nor the URL of an SQS queue (https://sqs.REGION.amazonaws.com/ACCOUNT/NAME)")


def host(queue: str) -> Host:
    """This machine, as the cloud of a queue sees it. Raises BadQueueName, OSError."""
    if _is_local(queue):
        from spotbatch.clouds import local

        return local.LocalHost()
    from spotbatch.clouds import aws

    return aws.AwsHost()


def default_queue() -> str:
    """What a worker works on when it is not told: `SPOTBATCH_QUEUE`, else on EC2 the machine's tag `spotbatch:queue`, else `local:.spotbatch`.

    Raises OSError when an EC2 machine cannot read its tags.
    """
    if given := os.environ.get("SPOTBATCH_QUEUE"):
        return given
    if os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or _on_ec2():
        from spotbatch.clouds.aws_metadata import Metadata

        return Metadata().read("tags/instance/spotbatch:queue") or DEFAULT_QUEUE
    return DEFAULT_QUEUE


def _on_ec2() -> bool:
    """https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/identify_ec2_instances.html: Nitro, then Xen."""
    for path, mark in (("/sys/class/dmi/id/sys_vendor", "Amazon EC2"), ("/sys/hypervisor/uuid", "ec2")):
        with contextlib.suppress(OSError):
            if Path(path).read_text().startswith(mark):
                return True
    return False
