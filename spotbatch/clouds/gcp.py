"""Google Cloud: what stands behind the name of a subscription."""

from typing import Any

from google.auth.exceptions import GoogleAuthError

from spotbatch.clouds.gcp_bucket import GcsBucket
from spotbatch.clouds.gcp_client import FAULTS, storage_client, trouble
from spotbatch.clouds.gcp_doorbell import CALL_SECONDS, PubSubDoorbell
from spotbatch.clouds.gcp_store import WRITE_SECONDS, GcsStore
from spotbatch.protocols import Backend, StoreError

BUCKET_LABEL = "spotbatch-bucket"
"""Label of the subscription: name of the bucket of ledger and payloads. Labels take no dots, so neither does its name."""


def connect(queue: str, write_seconds: float = WRITE_SECONDS) -> Backend:
    """Doorbell, ledger and bucket of `pubsub:projects/P/subscriptions/S`.

    The subscription tells the rest: its topic is rung, its dead-letter topic takes what nobody can read, its label `spotbatch-bucket`
    names the bucket. Raises StoreError that names everything it lacks.
    """
    # Importing these takes most of a second; the handler needs them no sooner.
    from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient
    from google.cloud.pubsub_v1.types import BatchSettings

    subscription = queue.removeprefix("pubsub:")
    try:
        subscriber = SubscriberClient()
        publisher = PublisherClient(batch_settings=BatchSettings(max_messages=1))
        found: Any = subscriber.get_subscription(request={"subscription": subscription}, timeout=CALL_SECONDS)
    except GoogleAuthError as fault:
        raise StoreError(f"Google Cloud: {fault}") from None
    except FAULTS as fault:
        raise trouble(fault, "pubsub.subscriptions.get", subscription) from None
    bucket, dead_letters = found.labels.get(BUCKET_LABEL), found.dead_letter_policy.dead_letter_topic
    needed = {f"the label {BUCKET_LABEL}": bucket, "a dead-letter topic": dead_letters}
    if missing := [name for name, value in needed.items() if not value]:
        raise StoreError(f"subscription {subscription}: it lacks {' and '.join(missing)}")
    storage = storage_client()
    return Backend(
        queue,
        GcsStore(storage, bucket, write_seconds),
        GcsBucket(storage, bucket),
        PubSubDoorbell(publisher, subscriber, subscription, found.topic, dead_letters),
    )
