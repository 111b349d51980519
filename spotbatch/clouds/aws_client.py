"""Clients for AWS services: which region, how patient, and what a refusal means in words.

botocore alone: importing boto3 on top of it costs a cold Lambda a tenth of a second, and nothing here needs it.
"""

import functools
import os
import re
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from spotbatch.protocols import StoreError

CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 2, 4, 3
"""A service that hangs is given up after at most 20 s: a lease lasts 60."""

_REGION = re.compile(r"https?://(?:sqs\.(?P<new>[a-z0-9-]+)|(?P<old>[a-z0-9-]+)\.queue)\.amazonaws\.com(?:\.cn)?/")
"""https://docs.aws.amazon.com/general/latest/gr/sqs-service.html"""

_DENIED = re.compile(r"AccessDenied|Unauthorized|NotAuthorized|AuthorizationError|^403$")


@functools.cache
def _session() -> botocore.session.Session:
    session = botocore.session.get_session()
    # A machine's keys come from its metadata service; botocore would ask that once, for a second.
    session.set_config_variable("metadata_service_timeout", CONNECT_SECONDS)
    session.set_config_variable("metadata_service_num_attempts", ATTEMPTS)
    return session


def client(service: str, region: str, read_seconds: float = READ_SECONDS) -> Any:
    """A client that honours AWS's own environment variables (`AWS_ENDPOINT_URL` among them). Makes no call."""
    retries = {"mode": "standard", "total_max_attempts": ATTEMPTS}
    config = Config(connect_timeout=CONNECT_SECONDS, read_timeout=read_seconds, retries=retries)  # pyright: ignore[reportArgumentType]
    return _session().create_client(service, region_name=region, config=config)


def region_of(queue_url: str) -> str:
    """The region in the URL of an SQS queue, else that of the environment. Raises StoreError."""
    found = _REGION.match(queue_url)
    region = (found and (found["new"] or found["old"])) or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not region:
        raise StoreError(f"queue {queue_url}: its URL names no region (https://sqs.REGION.amazonaws.com/ACCOUNT/NAME); set AWS_DEFAULT_REGION")
    return region


def code_of(fault: Exception) -> str:
    """AWS's name for an error; empty where no answer came."""
    return str(fault.response.get("Error", {}).get("Code", "")) if isinstance(fault, ClientError) else ""


def denied(fault: Exception) -> bool:
    return _DENIED.search(code_of(fault)) is not None


def trouble(fault: ClientError | BotoCoreError, action: str, resource: str) -> StoreError:
    """What went wrong, as a StoreError that names action and resource; and the permission, if it is one that is missing."""
    if denied(fault):
        return StoreError(f"permission missing: allow {action} on {resource} ({fault})")
    return StoreError(f"{action} on {resource}: {fault}")
