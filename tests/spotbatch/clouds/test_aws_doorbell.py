import json
import time

import pytest

from lab.cloud import LocalCloud
from spotbatch.clouds.aws import connect
from spotbatch.clouds.aws_client import region_of
from spotbatch.protocols import Backend, StoreError
from tests.spotbatch.clouds.conftest import messages


def in_flight(cloud: LocalCloud, url: str) -> int:
    name = "ApproximateNumberOfMessagesNotVisible"
    return int(cloud.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name])


def test_a_ring_is_heard_once_and_gone_when_silenced(backend: Backend):
    backend.doorbell.ring("r", "000001")
    bell = backend.doorbell.wait(2)
    assert bell is not None and (bell.run, bell.task) == ("r", "000001")
    assert backend.doorbell.wait(0) is None
    backend.doorbell.silence(bell)
    backend.doorbell.silence(bell)
    backend.doorbell.leave(bell)
    assert backend.doorbell.wait(0) is None


def test_a_bell_that_is_left_is_heard_by_the_next_at_once(backend: Backend):
    backend.doorbell.ring("r", "000001")
    bell = backend.doorbell.wait(2)
    assert bell is not None
    backend.doorbell.leave(bell)
    again = backend.doorbell.wait(2)
    assert again is not None and again.task == "000001"


def test_bells_are_fetched_one_at_a_time(queue: str):
    first, second = connect(queue).doorbell, connect(queue).doorbell
    first.ring("r", "000001")
    first.ring("r", "000002")
    one, other = first.wait(2), second.wait(2)
    assert one is not None and other is not None
    assert {one.task, other.task} == {"000001", "000002"}


def test_waiting_ends_when_the_bell_rings_or_the_time_is_over(backend: Backend):
    begun = time.monotonic()
    assert backend.doorbell.wait(1) is None
    assert 0.9 <= time.monotonic() - begun <= 8


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("not json", "JSONDecodeError"),
        ("[" * 100_000, "RecursionError"),
        ("[1, 2]", "TypeError"),
        ("null", "TypeError"),
        ('{"run": "r"}', "KeyError: 'task'"),
        ('{"run": "", "task": "000001"}', "must be names"),
        ('{"run": "r", "task": 1}', "must be names"),
    ],
)
def test_a_malformed_bell_goes_to_the_dead_letters_with_the_reason(cloud: LocalCloud, queue: str, backend: Backend, body: str, reason: str):
    cloud.client("sqs").send_message(QueueUrl=queue, MessageBody=body)
    backend.doorbell.ring("r", "000001")
    bells = [backend.doorbell.wait(1), backend.doorbell.wait(0)]
    assert [bell.task for bell in bells if bell] == ["000001"]
    [letter] = messages(cloud, f"{queue}-dead-letters")
    assert letter["Body"] == body
    assert reason in letter["MessageAttributes"]["reason"]["StringValue"]
    assert in_flight(cloud, queue) == 1, "the good bell alone"


def test_a_malformed_bell_stays_in_the_queue_while_the_dead_letters_cannot_be_written(cloud: LocalCloud, queue: str, backend: Backend):
    cloud.client("sqs").delete_queue(QueueUrl=f"{queue}-dead-letters")
    cloud.client("sqs").send_message(QueueUrl=queue, MessageBody="not json")
    with pytest.raises(StoreError, match=r"sqs:SendMessage on .*-dead-letters"):
        backend.doorbell.wait(1)
    assert in_flight(cloud, queue) == 1


def test_a_queue_that_is_not_there_is_named(cloud: LocalCloud):
    url = f"{cloud.endpoint}/000000000000/absent"
    with pytest.raises(StoreError, match=rf"sqs:ListQueueTags on {url}: .*NonExistentQueue"):
        connect(url)


def test_a_queue_without_our_tags_is_refused_with_every_tag_that_it_lacks(cloud: LocalCloud):
    url = cloud.client("sqs").create_queue(QueueName="bare", tags={"spotbatch:table": "t"})["QueueUrl"]
    with pytest.raises(StoreError, match=r"bare: it lacks the tags spotbatch:bucket, spotbatch:dead-letters;"):
        connect(url)


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://sqs.eu-west-1.amazonaws.com/123456789012/tasks", "eu-west-1"),
        ("https://us-east-2.queue.amazonaws.com/123456789012/tasks", "us-east-2"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/123456789012/tasks", "cn-north-1"),
        ("http://127.0.0.1:4566/000000000000/tasks", "us-east-1"),
    ],
)
def test_the_region_is_that_of_the_url_else_that_of_the_environment(cloud: LocalCloud, url: str, region: str):
    assert region_of(url) == region


def test_without_any_region_the_error_says_where_to_put_one(cloud: LocalCloud):
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("AWS_REGION")
        environment.delenv("AWS_DEFAULT_REGION")
        with pytest.raises(StoreError, match="set AWS_DEFAULT_REGION"):
            region_of("http://127.0.0.1:4566/000000000000/tasks")


def test_a_ring_is_the_task_and_nothing_else(cloud: LocalCloud, queue: str, backend: Backend):
    backend.doorbell.ring("r", "000001")
    [message] = messages(cloud, queue)
    assert json.loads(message["Body"]) == {"run": "r", "task": "000001"}
