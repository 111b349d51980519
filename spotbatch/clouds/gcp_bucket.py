"""Payloads in a Cloud Storage bucket: each key is written once."""

from collections.abc import Iterator
from typing import Any

from google.api_core.exceptions import NotFound, PreconditionFailed

from spotbatch.clouds.gcp_client import FAULTS, TIMEOUT, patiently, trouble
from spotbatch.protocols import Missing, StoreError


class GcsBucket:
    """Immutable objects."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client, self._bucket = client, client.bucket(bucket)

    def put(self, key: str, data: bytes) -> None:
        blob = self._bucket.blob(key)
        try:
            patiently(lambda: blob.upload_from_string(data, "application/octet-stream", if_generation_match=0, timeout=TIMEOUT, retry=None))
        except PreconditionFailed:
            if self.get(key) != data:
                raise StoreError(f"{self._bucket.name}/{key}: holds other bytes already") from None
        except FAULTS as fault:
            raise self._trouble(fault, "create", key) from None

    def get(self, key: str) -> bytes:
        try:
            return patiently(lambda: self._bucket.blob(key).download_as_bytes(timeout=TIMEOUT, retry=None))
        except NotFound as fault:
            if "bucket does not exist" in str(fault):
                raise self._trouble(fault, "get", key) from None
            raise Missing(key) from None
        except FAULTS as fault:
            raise self._trouble(fault, "get", key) from None

    def keys(self, prefix: str) -> Iterator[str]:
        token: str | None = None
        while True:
            try:
                names, token = patiently(lambda token=token: self._page(prefix, token))
            except FAULTS as fault:
                raise self._trouble(fault, "list", f"{prefix}*") from None
            yield from names
            if not token:
                return

    def delete(self, key: str) -> None:
        try:
            patiently(lambda: self._bucket.blob(key).delete(timeout=TIMEOUT, retry=None))
        except NotFound:
            pass
        except FAULTS as fault:
            raise self._trouble(fault, "delete", key) from None

    def _page(self, prefix: str, token: str | None) -> tuple[list[str], str | None]:
        fields = "items(name),nextPageToken"
        listing = self._client.list_blobs(self._bucket, prefix=prefix, page_token=token, fields=fields, timeout=TIMEOUT, retry=None)
        return [blob.name for blob in next(listing.pages, ())], listing.next_page_token

    def _trouble(self, fault: Exception, action: str, key: str) -> StoreError:
        return trouble(fault, f"storage.objects.{action}", f"{self._bucket.name}/{key}")
