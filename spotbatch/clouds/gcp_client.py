"""Clients for Google Cloud: how patient, and what a refusal means in words."""

import os
from collections.abc import Callable
from typing import Any, TypeVar

import requests
from google.api_core import exceptions
from google.api_core.retry import Retry
from google.auth import default as default_credentials
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError, TransportError
from google.auth.transport.requests import AuthorizedSession

from spotbatch.protocols import StoreError

TIMEOUT = (2.0, 4.0)
"""Seconds to connect, and to wait for an answer."""

PATIENCE = 12.0
"""Seconds after which a service that fails is not asked again: a lease lasts 60."""

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"

_Answer = TypeVar("_Answer")

FAULTS = (exceptions.GoogleAPIError, requests.RequestException, GoogleAuthError)
"""What Google's clients raise."""


def storage_client() -> Any:
    """A client for Cloud Storage with the machine's own credentials; `STORAGE_EMULATOR_HOST` moves it. Makes no call. Raises StoreError."""
    from google.cloud.storage import Client

    # Else the client asks in the background what region its bucket is in, for traces, with a permission that nothing else needs.
    os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    try:
        credentials, project = (AnonymousCredentials(), None) if os.environ.get("STORAGE_EMULATOR_HOST") else default_credentials([_SCOPE])
    except GoogleAuthError as fault:
        raise StoreError(f"Google Cloud: {fault}") from None
    return Client(project=project or os.environ.get("GOOGLE_CLOUD_PROJECT") or "", _http=AuthorizedSession(credentials))


def patiently(call: Callable[[], _Answer], pause: float = 0.1, heard: Callable[[Exception], object] | None = None) -> _Answer:
    """What the call answers; asked again while the service fails or is in a hurry (429), from `pause` seconds apart. Each fault is `heard`."""
    again = Retry(predicate=transient, initial=pause, maximum=4.0, multiplier=2.0, timeout=PATIENCE, on_error=heard)
    return again(call)()


def transient(fault: BaseException) -> bool:
    """May trying again cure it?"""
    if isinstance(fault, exceptions.GoogleAPICallError):
        return fault.code in (408, 429) or (fault.code or 0) >= 500
    return isinstance(fault, requests.RequestException | TransportError | ConnectionError)


def trouble(fault: Exception, permission: str, resource: str) -> StoreError:
    """What went wrong, as a StoreError that names permission and resource."""
    if isinstance(fault, exceptions.Forbidden):
        return StoreError(f"permission missing: allow {permission} on {resource} ({fault})")
    return StoreError(f"{permission} on {resource}: {fault}")
