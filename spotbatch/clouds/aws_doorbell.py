"""The doorbell in an SQS queue."""

import json
import math
import time
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from spotbatch.clouds.aws_client import code_of, trouble
from spotbatch.clouds.aws_dead_letters import DeadLetters
from spotbatch.protocols import Bell

LONGEST_POLL = 20
"""https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html"""

_TOO_LATE = ("ReceiptHandleIsInvalid", "InvalidParameterValue", "MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight")
"""The message is not ours any more: its visibility time-out passed, and somebody else has it."""


class SqsDoorbell:
    """One bell at a time, by long poll: a bell fetched ahead could not be had by anybody else."""

    def __init__(self, client: Any, url: str, dead_letters: DeadLetters) -> None:
        self._client, self._url, self._dead_letters = client, url, dead_letters

    def ring(self, run: str, task: str) -> None:
        """Raises StoreError; the sweep then rings later."""
        self._call("SendMessage", self._client.send_message, MessageBody=json.dumps({"run": run, "task": task}))

    def wait(self, seconds: float) -> Bell | None:
        """Raises StoreError. Waits in whole seconds, so up to one longer."""
        end = time.monotonic() + seconds
        while True:
            poll = min(LONGEST_POLL, max(0, math.ceil(end - time.monotonic())))
            found = self._call("ReceiveMessage", self._client.receive_message, MaxNumberOfMessages=1, WaitTimeSeconds=poll)
            for message in found.get("Messages", []):
                if (bell := self._bell(message)) is not None:
                    return bell
            if time.monotonic() >= end:
                return None

    def silence(self, bell: Bell) -> None:
        self._call("DeleteMessage", self._client.delete_message, ReceiptHandle=bell.receipt)

    def leave(self, bell: Bell) -> None:
        self._call("ChangeMessageVisibility", self._client.change_message_visibility, ReceiptHandle=bell.receipt, VisibilityTimeout=0)

    def _bell(self, message: dict[str, Any]) -> Bell | None:
        receipt = message["ReceiptHandle"]
        try:
            body = json.loads(message["Body"])
            run, task = body["run"], body["task"]
            if not (isinstance(run, str) and run and isinstance(task, str) and task):
                raise ValueError("run and task must be names")
        except (LookupError, RecursionError, TypeError, ValueError) as fault:
            self._dead_letters.keep(message["Body"], f'not a bell like {{"run": ..., "task": ...}}: {type(fault).__name__}: {fault}')
            self._call("DeleteMessage", self._client.delete_message, ReceiptHandle=receipt)
            return None
        return Bell(run, task, receipt)

    def _call(self, action: str, call: Any, **arguments: Any) -> Any:
        try:
            return call(QueueUrl=self._url, **arguments)
        except (ClientError, BotoCoreError) as fault:
            if "ReceiptHandle" in arguments and code_of(fault) in _TOO_LATE:
                return {}
            raise trouble(fault, f"sqs:{action}", self._url) from None
