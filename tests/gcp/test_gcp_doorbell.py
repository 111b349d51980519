import json
import time

import pytest
from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient

from lab.google import LocalGoogle
from spotbatch import clouds
from spotbatch.protocols import Backend, StoreError


def letters(queue: str) -> list[tuple[bytes, str]]:
    request = {"subscription": f"{queue.removeprefix('pubsub:')}-dead-letters", "max_messages": 10}
    found = SubscriberClient().pull(request=request, timeout=5).received_messages
    return [(one.message.data, one.message.attributes["reason"]) for one in found]


def test_a_ring_is_heard_once_and_gone_when_silenced(backend: Backend):
    backend.doorbell.ring("r", "000001")
    bell = backend.doorbell.wait(2)
    assert bell is not None and (bell.run, bell.task) == ("r", "000001")
    assert backend.doorbell.wait(0) is None
    backend.doorbell.silence(bell)
    backend.doorbell.silence(bell)
    backend.doorbell.leave(bell)
    assert backend.doorbell.wait(0) is None


def test_a_bell_that_is_left_is_heard_by_the_next_at_once(backend: Backend, queue: str):
    backend.doorbell.ring("r", "000001")
    bell = backend.doorbell.wait(2)
    assert bell is not None
    backend.doorbell.leave(bell)
    again = clouds.connect(queue).doorbell.wait(2)
    assert again is not None and again.task == "000001"


def test_bells_are_fetched_one_at_a_time(backend: Backend, queue: str):
    other_place = clouds.connect(queue).doorbell
    backend.doorbell.ring("r", "000001")
    backend.doorbell.ring("r", "000002")
    one, other = backend.doorbell.wait(2), other_place.wait(2)
    assert one is not None and other is not None
    assert {one.task, other.task} == {"000001", "000002"}


def test_waiting_ends_when_the_time_is_over(backend: Backend):
    begun = time.monotonic()
    assert backend.doorbell.wait(1) is None
    assert 0.9 <= time.monotonic() - begun <= 8


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("not json", "JSONDecodeError"),
        ("[1, 2]", "TypeError"),
        ('{"run": "r"}', "KeyError: 'task'"),
        ('{"run": "", "task": "000001"}', "must be names"),
    ],
)
def test_a_malformed_bell_goes_to_the_dead_letters_with_the_reason(backend: Backend, queue: str, body: str, reason: str):
    topic = queue.removeprefix("pubsub:").replace("/subscriptions/", "/topics/")
    PublisherClient().publish(topic, body.encode()).result(5)
    backend.doorbell.ring("r", "000001")
    bells = [backend.doorbell.wait(2), backend.doorbell.wait(0)]
    assert [bell.task for bell in bells if bell] == ["000001"]
    [(kept, why)] = letters(queue)
    assert kept.decode() == body and reason in why


def test_a_ring_is_the_task_and_nothing_else(backend: Backend, queue: str):
    backend.doorbell.ring("r", "000001")
    received = SubscriberClient().pull(request={"subscription": queue.removeprefix("pubsub:"), "max_messages": 5}, timeout=5).received_messages
    assert [json.loads(one.message.data) for one in received] == [{"run": "r", "task": "000001"}]


def test_a_subscription_that_is_not_there_is_named(google: LocalGoogle):
    with pytest.raises(StoreError, match=r"pubsub.subscriptions.get on projects/lab/subscriptions/absent: "):
        clouds.connect("pubsub:projects/lab/subscriptions/absent")


def test_a_subscription_without_what_it_should_tell_is_refused_with_everything_that_it_lacks(google: LocalGoogle):
    PublisherClient().create_topic(request={"name": "projects/lab/topics/bare"})
    SubscriberClient().create_subscription(request={"name": "projects/lab/subscriptions/bare", "topic": "projects/lab/topics/bare"})
    with pytest.raises(StoreError, match=r"bare: it lacks the label spotbatch-bucket and a dead-letter topic"):
        clouds.connect("pubsub:projects/lab/subscriptions/bare")


@pytest.mark.parametrize("name", ["pubsub:", "pubsub:projects/p/topics/t", "pubsub:subscriptions/s", "projects/p/subscriptions/s"])
def test_a_name_that_is_no_subscription_is_refused_with_what_is_allowed(name: str):
    with pytest.raises(clouds.BadQueueName, match="pubsub:projects/PROJECT/subscriptions/NAME"):
        clouds.connect(name)
