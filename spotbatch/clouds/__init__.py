"""One module a cloud. `connect` finds the one that a queue's name asks for."""

from pathlib import Path

from spotbatch.protocols import Backend, Host

DEFAULT_QUEUE = "local:.spotbatch"


class BadQueueName(ValueError):
    """A queue name that no cloud answers to; the text says what is allowed."""


def connect(queue: str) -> Backend:
    """Ledger, bucket and doorbell behind a queue name: `local:FOLDER`, or the URL of an SQS queue. Raises BadQueueName, StoreError."""
    if queue.startswith("local:") and len(queue) > len("local:"):
        from spotbatch.clouds import local

        return local.connect(Path(queue.removeprefix("local:")))
    if queue.startswith(("https://", "http://")):
        from spotbatch.clouds import aws

        return aws.connect(queue)
    raise BadQueueName(f"queue: {queue!r} is neither local:FOLDER nor the URL of an SQS queue (https://sqs.REGION.amazonaws.com/ACCOUNT/NAME)")


def host(queue: str) -> Host:
    """This machine, as the cloud of a queue sees it."""
    if queue.startswith("local:"):
        from spotbatch.clouds import local

        return local.LocalHost()
    from spotbatch.clouds import aws

    return aws.AwsHost()
