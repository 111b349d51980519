"""Payloads in an S3 bucket: each key is written once."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from spotbatch.clouds.aws_client import code_of, denied, trouble
from spotbatch.protocols import Missing, StoreError

_PAUSES = (0.1, 0.5, 1.0)
"""Seconds before another try when S3 says that somebody else is creating the same key just now (409)."""


class S3Bucket:
    """Immutable objects. The client is made at the first use: the interruption handler never needs it."""

    def __init__(self, client: Callable[[], Any], bucket: str) -> None:
        self._make, self._bucket = client, bucket
        self._made: Any = None

    def put(self, key: str, data: bytes) -> None:
        for pause in (*_PAUSES, None):
            try:
                self._client.put_object(Bucket=self._bucket, Key=key, Body=data, IfNoneMatch="*")
                return
            except (ClientError, BotoCoreError) as fault:
                if code_of(fault) == "PreconditionFailed":
                    if self.get(key) != data:
                        raise StoreError(f"{self._bucket}/{key}: holds other bytes already") from None
                    return
                if code_of(fault) != "ConditionalRequestConflict" or pause is None:
                    raise trouble(fault, "s3:PutObject", f"{self._bucket}/{key}") from None
            time.sleep(pause)

    def get(self, key: str) -> bytes:
        try:
            return self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except (ClientError, BotoCoreError) as fault:
            # Who may not list the whole bucket is told 403, not 404, of a key that is not there.
            if code_of(fault) in ("NoSuchKey", "404") or (denied(fault) and key not in self.keys(key)):
                raise Missing(key) from None
            raise trouble(fault, "s3:GetObject", f"{self._bucket}/{key}") from None

    def keys(self, prefix: str) -> Iterator[str]:
        more: dict[str, str] = {}
        while True:
            try:
                page = self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix, **more)
            except (ClientError, BotoCoreError) as fault:
                raise trouble(fault, "s3:ListBucket", f"{self._bucket} (prefix {prefix})") from None
            yield from (entry["Key"] for entry in page.get("Contents", []))
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def delete(self, key: str) -> None:
        try:
            self._client.delete_object(Bucket=self._bucket, Key=key)
        except (ClientError, BotoCoreError) as fault:
            raise trouble(fault, "s3:DeleteObject", f"{self._bucket}/{key}") from None

    @property
    def _client(self) -> Any:
        if self._made is None:
            self._made = self._make()
        return self._made
