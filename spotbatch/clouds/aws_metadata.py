"""The instance metadata service (IMDSv2) of the machine this runs on."""

import http.client
import os
import time
import urllib.parse

ENDPOINT = "http://169.254.169.254"
SECONDS = 2.0
"""A service that hangs must not hold up the watcher for longer."""

TOKEN_SECONDS = 21600
"""The longest that EC2 gives: a handful of PUTs a day.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html"""

_EARLY_SECONDS = 60
_LARGEST = 64 * 1024


class Metadata:
    """Reads texts by path; `AWS_EC2_METADATA_SERVICE_ENDPOINT` moves it. Never through a proxy: EC2 would refuse."""

    def __init__(self, endpoint: str | None = None) -> None:
        self.endpoint = endpoint or os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or ENDPOINT
        parts = urllib.parse.urlsplit(self.endpoint)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"AWS_EC2_METADATA_SERVICE_ENDPOINT: {self.endpoint!r} is not a URL like {ENDPOINT}")
        self._host, self._port, self._prefix = parts.hostname, parts.port or 80, parts.path.rstrip("/")
        self._token, self._good_until = "", 0.0

    def read(self, path: str, until: float | None = None, folder: str = "meta-data") -> str | None:
        """The text at `path` below `/latest/FOLDER/`; None where there is none (404).

        `until` is the moment of `time.monotonic()` at which to give up (default: 2 s from now). Raises OSError for anything but an answer,
        PermissionError where new tokens are refused as well.
        """
        until = time.monotonic() + SECONDS if until is None else until
        status, text = self._get(f"{folder}/{path}", until)
        if status == 401:
            # The token is not valid any more: one new one, once.
            self._good_until = 0.0
            status, text = self._get(f"{folder}/{path}", until)
        if status == 401:
            raise PermissionError(f"metadata service {self.endpoint}: 401 for {path} with a new token")
        if status not in (200, 404):
            raise OSError(f"metadata service {self.endpoint}: {status} for {path}")
        return text if status == 200 else None

    def _get(self, path: str, until: float) -> tuple[int, str]:
        if time.monotonic() > self._good_until:
            self._renew(until)
        return self._request("GET", f"/latest/{path}", {"X-aws-ec2-metadata-token": self._token}, until)

    def _renew(self, until: float) -> None:
        asked = time.monotonic()
        status, text = self._request("PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_SECONDS)}, until)
        if status != 200 or not text or not text.isprintable():
            raise OSError(f"metadata service {self.endpoint}: {status} for a token")
        self._token, self._good_until = text, asked + TOKEN_SECONDS - _EARLY_SECONDS

    def _request(self, method: str, path: str, headers: dict[str, str], until: float) -> tuple[int, str]:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"metadata service {self.endpoint}: no answer in {SECONDS:g} s")
        connection = http.client.HTTPConnection(self._host, self._port, timeout=left)
        try:
            connection.request(method, self._prefix + path, headers=headers)
            reply = connection.getresponse()
            return reply.status, reply.read(_LARGEST).decode()
        except TimeoutError:
            # A bridged container sees this when the hop limit is 1: the reply never arrives.
            raise TimeoutError(f"metadata service {self.endpoint}: no answer in {SECONDS:g} s (in a container: is the hop limit 2?)") from None
        except (http.client.HTTPException, ValueError) as fault:
            raise OSError(f"metadata service {self.endpoint}: unreadable answer for {path}: {fault!r}") from None
        finally:
            connection.close()
