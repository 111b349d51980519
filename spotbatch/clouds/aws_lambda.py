"""The interruption handler as Lambda functions: `handle` takes batches of its queue, and the timer's call for a sweep."""

import functools
import json
import math
import os
import time
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from spotbatch import log
from spotbatch.claim_story import waste
from spotbatch.clouds import aws_client
from spotbatch.clouds.aws import connect
from spotbatch.clouds.aws_dead_letters import DeadLetters
from spotbatch.clouds.aws_pool import AutoScalingPool
from spotbatch.handler import Handled, Handler, reminder
from spotbatch.ledger import Ledger
from spotbatch.metrics import embedded
from spotbatch.notice import MalformedEvent

LONGEST_DELAY = 900
"""A later deadline is reached by several messages.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html"""

SPARE_MILLISECONDS = 2000
"""With less time left, records are handed back untouched: a function that runs out of time hands back the whole batch."""


def handle(event: dict[str, Any], context: Any) -> dict[str, Any] | None:
    """Entry point. Of a batch, the records that failed are named, so that only they come again."""
    if event.get("spotbatch") == "sweep":
        sweep()
        return None
    if "Records" not in event:
        raise MalformedEvent(f"event: {event!r:.200} is neither a batch of the events queue nor a sweep")
    return {"batchItemFailures": [{"itemIdentifier": name} for name in batch(event["Records"], context)]}


def batch(records: list[dict[str, Any]], context: Any) -> list[str]:
    """Act on each record; ids of those that must come again. Raises the faults if no record could be handled: the function is broken."""
    handler, total = _handler(), Handled()
    failed: list[str] = []
    faults: list[Exception] = []
    for record in records:
        if context is not None and context.get_remaining_time_in_millis() < SPARE_MILLISECONDS:
            failed.append(record["messageId"])
            continue
        try:
            done = _record(handler, record["body"])
        except Exception as fault:
            log.LOGGER.exception("message failed", extra={"fields": {"message": record["messageId"], "body": record["body"][:1000]}})
            failed.append(record["messageId"])
            faults.append(fault)
            continue
        total.notices += done.notices
        total.not_ours += done.not_ours
        total.without_drain += done.without_drain
        total.requeued += done.requeued
    _publish_some(Notices=total.notices, NoticesNotOurs=total.not_ours, **_lost(total))
    if len(faults) == len(records):
        raise ExceptionGroup("no message of the batch could be handled", faults)
    return failed


def sweep() -> None:
    """Look through the ledger, and publish the backlog by which pools scale. Raises when records cannot be read, after all the others."""
    swept, handled = _handler().sweep()
    _publish(Backlog=swept.queued + swept.running)
    _publish_some(**_lost(handled))
    log.say("swept", queued=swept.queued, running=swept.running, requeued=[task.key for task in swept.requeued], rung=swept.rung)
    if swept.bad:
        raise ExceptionGroup("tasks that cannot be read", [ValueError(fault) for fault in swept.bad])


def delay(seconds: float) -> int:
    """How long SQS shall hold a message back; one that comes before its deadline only sends the next."""
    return max(1, min(LONGEST_DELAY, math.ceil(seconds)))


def _record(handler: Handler, body: str) -> Handled:
    try:
        try:
            message = json.loads(body)
        except (ValueError, RecursionError) as fault:
            raise MalformedEvent(f"not JSON: {fault}") from None
        return handler.message(message)
    except MalformedEvent as fault:
        _dead_letters().keep(body, str(fault))
        log.say("message malformed", 30, reason=str(fault), body=body[:1000])
        return Handled()


def _lost(handled: Handled) -> dict[str, int]:
    return {"NoticesWithoutDrain": handled.without_drain, "WasteSeconds": sum(map(waste, handled.requeued))}


def _publish_some(**values: int) -> None:
    """What is not nothing."""
    if some := {name: value for name, value in values.items() if value}:
        _publish(**some)


def _publish(**values: int) -> None:
    log.say("measured", **embedded(_setting("SPOTBATCH_QUEUE"), values, time.time()))


@functools.cache
def _handler() -> Handler:
    log.start()
    region = aws_client.region_of(_setting("SPOTBATCH_QUEUE"))
    groups = [group for group in os.environ.get("SPOTBATCH_GROUPS", "").split(",") if group]
    pool = AutoScalingPool(lambda: aws_client.client("autoscaling", region), groups)
    return Handler(Ledger(connect(_setting("SPOTBATCH_QUEUE"))), pool, _remind)


def _remind(machine: str, seconds: float) -> None:
    url = _setting("SPOTBATCH_EVENTS_QUEUE")
    try:
        _sqs().send_message(QueueUrl=url, MessageBody=json.dumps(reminder(machine)), DelaySeconds=delay(seconds))
    except (ClientError, BotoCoreError) as fault:
        raise aws_client.trouble(fault, "sqs:SendMessage", url) from None


@functools.cache
def _dead_letters() -> DeadLetters:
    return DeadLetters(_sqs(), _setting("SPOTBATCH_DEAD_LETTERS"))


@functools.cache
def _sqs() -> Any:
    return aws_client.client("sqs", aws_client.region_of(_setting("SPOTBATCH_QUEUE")))


def _warm_up() -> None:
    """Load what the first call needs. Makes no call."""
    for service in ("sqs", "dynamodb"):
        aws_client.client(service, os.environ["AWS_REGION"])


def _setting(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise ValueError(f"environment variable {name} is not set: InterruptionHandler sets it")
    return value


# Lambda lends its import phase a whole CPU, and the first call a third of one.
if "AWS_LAMBDA_FUNCTION_NAME" in os.environ and "AWS_REGION" in os.environ:
    _warm_up()
