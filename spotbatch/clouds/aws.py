"""AWS: what stands behind the URL of a queue, and the machine as it sees itself."""

import calendar
import json
import os
import time
from collections.abc import Callable, Iterator

from botocore.exceptions import BotoCoreError, ClientError

from spotbatch.clouds import aws_client
from spotbatch.clouds.aws_bucket import S3Bucket
from spotbatch.clouds.aws_dead_letters import DeadLetters
from spotbatch.clouds.aws_doorbell import LONGEST_POLL, SqsDoorbell
from spotbatch.clouds.aws_metadata import SECONDS, Metadata
from spotbatch.clouds.aws_pool import AutoScalingPool
from spotbatch.clouds.aws_store import DynamoStore
from spotbatch.machine_itself import boot_id, power_off
from spotbatch.notice import WARNING_SECONDS, MalformedEvent, Notice, timestamp
from spotbatch.protocols import Backend, Identity, StoreError

HOOK = "spotbatch-drain"
"""The terminate hook that `SpotAutoScalingGroup` gives each of its groups."""

SCHEDULED_EVERY = 60.0
"""Seconds between looks at maintenance events, which come days ahead."""


def connect(queue_url: str) -> Backend:
    """Doorbell, ledger and bucket of a queue; the queue's tags name the other two. Raises StoreError."""
    region = aws_client.region_of(queue_url)
    sqs = aws_client.client("sqs", region, read_seconds=LONGEST_POLL + aws_client.READ_SECONDS)
    try:
        tags = sqs.list_queue_tags(QueueUrl=queue_url).get("Tags", {})
    except (ClientError, BotoCoreError) as fault:
        raise aws_client.trouble(fault, "sqs:ListQueueTags", queue_url) from None
    names = ("spotbatch:table", "spotbatch:bucket", "spotbatch:dead-letters")
    if missing := [name for name in names if not tags.get(name)]:
        raise StoreError(f"queue {queue_url}: it lacks the tags {', '.join(missing)}; SqsTaskQueue sets them")
    table, bucket, dead_letters = (tags[name] for name in names)
    return Backend(
        queue_url,
        DynamoStore(aws_client.client("dynamodb", region), table),
        S3Bucket(lambda: aws_client.client("s3", region), bucket),
        SqsDoorbell(sqs, queue_url, DeadLetters(sqs, dead_letters)),
    )


class AwsHost:
    """This instance, by its metadata service."""

    def __init__(self, metadata: Metadata | None = None, clock: Callable[[], float] = time.time) -> None:
        self._metadata, self._clock = metadata or Metadata(), clock
        self._first_seen: dict[str, float] = {}
        self._id = ""
        self._scheduled: list[tuple[float, str]] = []
        self._scheduled_read = -SCHEDULED_EVERY

    def identity(self) -> Identity:
        """Raises OSError when the metadata service cannot be asked."""
        self._id = self._must_read("instance-id")
        spot = self._metadata.read("instance-life-cycle") != "on-demand"
        zone, ahead = self._metadata.read("placement/availability-zone") or "", WARNING_SECONDS if spot else 0
        return Identity(self._id, boot_id(), self._must_read("instance-type"), zone, spot, ahead, self._launched())

    def notices(self) -> Iterator[Notice]:
        """Every notice that stands there now, and the same one each time. Raises OSError when something could not be read, after the rest."""
        until = time.monotonic() + SECONDS
        self._id = self._id or self._must_read("instance-id", until)
        faults: list[str] = []
        for read in (self._interruption, self._lifecycle, self._rebalance, self._maintenance):
            try:
                yield from read(until)
            except PermissionError:
                # Each other path would cost another token.
                raise
            except OSError as fault:
                faults.append(str(fault))
            except (LookupError, TypeError, ValueError) as fault:
                faults.append(f"metadata service {self._metadata.endpoint}: unreadable: {type(fault).__name__}: {fault}")
        if faults:
            raise OSError("; ".join(dict.fromkeys(faults)))

    def complete_hook(self) -> None:
        """Let the Auto Scaling group end this machine; nothing to do outside of one. Raises OSError, StoreError."""
        group = self._metadata.read("tags/instance/aws:autoscaling:groupName")
        if group:
            region = os.environ.get("AWS_DEFAULT_REGION") or self._must_read("placement/region")
            pool = AutoScalingPool(lambda: aws_client.client("autoscaling", region), [group])
            pool.complete(self._id or self._must_read("instance-id"), {"group": group, "hook": HOOK})

    def shut_down(self) -> None:
        """Power off; on machines of `SpotLaunchTemplate` that ends them for good. Raises OSError, CalledProcessError."""
        power_off()

    def _interruption(self, until: float) -> Iterator[Notice]:
        # {"action":"terminate","time":"2017-09-18T08:22:00Z"}; never spot/termination-time, which knows neither stop nor hibernate.
        text = self._metadata.read("spot/instance-action", until)
        if text is not None:
            said = json.loads(text)
            if said["action"] not in ("terminate", "stop", "hibernate"):
                raise MalformedEvent(f"spot/instance-action: action is {said['action']!r}, allowed: terminate, stop, hibernate")
            deadline = timestamp(said["time"], "spot/instance-action: time")
            yield Notice(self._id, "interruption", self._since(text), deadline, f"spot interruption: {said['action']}")

    def _lifecycle(self, until: float) -> Iterator[Notice]:
        if self._metadata.read("autoscaling/target-lifecycle-state", until) == "Terminated":
            sent = self._since("Terminated")
            yield Notice(self._id, "stop", sent, sent + WARNING_SECONDS, "auto scaling: target state Terminated")

    def _rebalance(self, until: float) -> Iterator[Notice]:
        # {"noticeTime":"2020-10-27T08:22:00Z"}
        text = self._metadata.read("events/recommendations/rebalance", until)
        if text is not None:
            yield Notice(self._id, "rebalance", timestamp(json.loads(text)["noticeTime"], "rebalance: noticeTime"), None, "rebalance recommendation")

    def _maintenance(self, until: float) -> Iterator[Notice]:
        if time.monotonic() - self._scheduled_read >= SCHEDULED_EVERY:
            # [{"NotBefore":"21 Jan 2019 09:00:43 GMT","Code":"system-reboot","State":"active",...}]
            events = json.loads(self._metadata.read("events/maintenance/scheduled", until) or "[]")
            planned = [event for event in events if event["State"] == "active"]
            self._scheduled = [(_moment(event["NotBefore"]), event["Code"]) for event in planned]
            self._scheduled_read = time.monotonic()
        for due, code in self._scheduled:
            if due - WARNING_SECONDS <= self._clock():
                # As an interruption: not every maintenance ends the machine, and one that has drained must not idle for ever.
                yield Notice(self._id, "interruption", self._since(f"{code} {due}"), due, f"scheduled event: {code}")

    def _launched(self) -> float | None:
        # {"pendingTime":"2016-11-19T16:32:11Z","instanceId":"i-1234567890abcdef0","region":"us-west-2",...}
        try:
            document = json.loads(self._metadata.read("instance-identity/document", folder="dynamic") or "{}")
            return timestamp(document["pendingTime"], "instance-identity document: pendingTime")
        except (OSError, LookupError, TypeError, ValueError):
            # Only the bill's reckoning goes by it.
            return None

    def _since(self, what: str) -> float:
        return self._first_seen.setdefault(what, self._clock())

    def _must_read(self, path: str, until: float | None = None) -> str:
        text = self._metadata.read(path, until)
        if not text:
            raise OSError(f"metadata service {self._metadata.endpoint}: no {path}: is this an EC2 instance?")
        return text


def _moment(text: str) -> float:
    return float(calendar.timegm(time.strptime(text, "%d %b %Y %H:%M:%S GMT")))
