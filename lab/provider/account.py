"""The account and region that the stand-in talks to."""

import threading
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import boto3
from botocore.config import Config

DEFAULT_REGION = "us-east-1"
PARTITION = "aws"


class Account:
    """boto3 clients of one account, made once for each service and region.

    `connection` says which cloud it is, in boto3's words (`endpoint_url`, keys); without it the environment does, by `AWS_ENDPOINT_URL`.
    """

    def __init__(self, region: str = DEFAULT_REGION, connection: Mapping[str, str] | None = None) -> None:
        self.region = region
        self._connection = dict(connection or {})
        self._clients: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()

    def client(self, service: str, region: str | None = None) -> Any:
        place = region or self.region
        with self._lock:
            if (service, place) not in self._clients:
                settings = Config(retries={"max_attempts": 3, "mode": "standard"}, s3={"addressing_style": "path"})
                self._clients[service, place] = boto3.client(service, region_name=place, config=settings, **self._connection)
            return self._clients[service, place]

    @cached_property
    def id(self) -> str:
        """Twelve digits."""
        return self.client("sts").get_caller_identity()["Account"]
