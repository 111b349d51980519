"""The doorbell on Pub/Sub: a topic to ring, a subscription to hear."""

import json
import time
from typing import Any

from google.api_core.exceptions import DeadlineExceeded, InvalidArgument, NotFound

from spotbatch.clouds.gcp_client import FAULTS, trouble
from spotbatch.protocols import Bell

CALL_SECONDS = 10.0
LONGEST_PULL, SHORTEST_PULL = 20.0, 1.0
"""Seconds that one pull waits: a message may take most of a second to be found."""


class PubSubDoorbell:
    """One bell at a time, by pull without streaming: a bell fetched ahead could not be had by anybody else."""

    def __init__(self, publisher: Any, subscriber: Any, subscription: str, topic: str, dead_letters: str) -> None:
        self._publisher, self._subscriber = publisher, subscriber
        self._subscription, self._topic, self._dead_letters = subscription, topic, dead_letters

    def ring(self, run: str, task: str) -> None:
        """Raises StoreError; the sweep then rings later."""
        self._publish(self._topic, json.dumps({"run": run, "task": task}).encode())

    def wait(self, seconds: float) -> Bell | None:
        """Raises StoreError. Waits at least a second."""
        end = time.monotonic() + max(seconds, SHORTEST_PULL)
        while (left := end - time.monotonic()) > 0:
            for received in self._pull(min(LONGEST_PULL, max(SHORTEST_PULL, left))):
                if (bell := self._bell(received)) is not None:
                    return bell
        return None

    def silence(self, bell: Bell) -> None:
        self._ack(bell.receipt)

    def leave(self, bell: Bell) -> None:
        request = {"subscription": self._subscription, "ack_ids": [bell.receipt], "ack_deadline_seconds": 0}
        self._consume(self._subscriber.modify_ack_deadline, request)

    def _pull(self, seconds: float) -> list[Any]:
        try:
            request = {"subscription": self._subscription, "max_messages": 1}
            return list(self._subscriber.pull(request=request, retry=None, timeout=seconds).received_messages)
        except DeadlineExceeded:
            return []
        except FAULTS as fault:
            raise trouble(fault, "pubsub.subscriptions.consume", self._subscription) from None

    def _bell(self, received: Any) -> Bell | None:
        data = received.message.data
        try:
            body = json.loads(data)
            run, task = body["run"], body["task"]
            if not (isinstance(run, str) and run and isinstance(task, str) and task):
                raise ValueError("run and task must be names")
        except (LookupError, RecursionError, TypeError, ValueError) as fault:
            reason = f'not a bell like {{"run": ..., "task": ...}}: {type(fault).__name__}: {fault}'
            self._publish(self._dead_letters, data or b"-", reason=reason[:1000])
            self._ack(received.ack_id)
            return None
        return Bell(run, task, received.ack_id)

    def _publish(self, topic: str, data: bytes, **attributes: str) -> None:
        try:
            self._publisher.publish(topic, data, **attributes).result(timeout=CALL_SECONDS)
        except (*FAULTS, TimeoutError) as fault:
            raise trouble(fault, "pubsub.topics.publish", topic) from None

    def _ack(self, receipt: str) -> None:
        self._consume(self._subscriber.acknowledge, {"subscription": self._subscription, "ack_ids": [receipt]})

    def _consume(self, call: Any, request: dict[str, Any]) -> None:
        try:
            call(request=request, timeout=CALL_SECONDS)
        except (InvalidArgument, NotFound) as fault:
            # The message is not ours any more: its deadline passed, and somebody else has it.
            if "ack" not in str(fault).lower():
                raise trouble(fault, "pubsub.subscriptions.consume", self._subscription) from None
        except FAULTS as fault:
            raise trouble(fault, "pubsub.subscriptions.consume", self._subscription) from None
