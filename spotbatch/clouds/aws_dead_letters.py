"""Where messages go that nobody can read."""

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from spotbatch.clouds.aws_client import trouble


class DeadLetters:
    """An SQS queue that keeps messages as they came, each with the reason in its attribute `reason`."""

    def __init__(self, client: Any, url: str) -> None:
        self._client, self._url = client, url

    def keep(self, body: str, reason: str) -> None:
        """Raises StoreError; the message must then stay where it is."""
        attributes = {"reason": {"DataType": "String", "StringValue": reason[:1000]}}
        try:
            self._client.send_message(QueueUrl=self._url, MessageBody=body, MessageAttributes=attributes)
        except (ClientError, BotoCoreError) as fault:
            raise trouble(fault, "sqs:SendMessage", self._url) from None
