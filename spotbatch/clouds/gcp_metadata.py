"""The metadata server of the Compute Engine machine this runs on."""

import http.client
import os
import urllib.parse

HOST = "169.254.169.254"
"""Its address: names cannot be looked up any more early in a shutdown."""

SECONDS = 2.0
"""A server that hangs must not hold up the watcher for longer."""

_SLACK = 3.0
"""Seconds that the answer to a long poll may be late."""

_LARGEST = 64 * 1024


class Metadata:
    """Reads texts by path; `GCE_METADATA_HOST` moves it. Never through a proxy."""

    def __init__(self, host: str | None = None) -> None:
        self.host = host or os.environ.get("GCE_METADATA_HOST") or HOST

    def read(self, path: str) -> str | None:
        """The text at `path` below `/computeMetadata/v1/`; None where there is none (404). Raises OSError for anything but an answer."""
        return self._get(path, {}, SECONDS)[0]

    def wait(self, path: str, etag: str, seconds: float) -> tuple[str, str]:
        """Text and etag at `path`, as soon as its etag is another than this one, or after so many seconds (0: now). Raises OSError."""
        query = {"wait_for_change": "true", "last_etag": etag, "timeout_sec": str(int(seconds))} if seconds else {}
        text, found = self._get(path, query, seconds + _SLACK if seconds else SECONDS)
        if not text or not found:
            raise OSError(f"metadata server {self.host}: {'no etag with' if text else 'no'} {path}")
        return text, found

    def _get(self, path: str, query: dict[str, str], seconds: float) -> tuple[str | None, str]:
        target = f"/computeMetadata/v1/{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        connection = http.client.HTTPConnection(self.host, timeout=seconds)
        try:
            connection.request("GET", target, headers={"Metadata-Flavor": "Google"})
            reply = connection.getresponse()
            text = reply.read(_LARGEST).decode()
            if reply.status == 404:
                return None, ""
            if reply.status != 200:
                raise OSError(f"metadata server {self.host}: {reply.status} for {path}")
            return text.strip(), reply.headers.get("ETag", "")
        except TimeoutError:
            raise TimeoutError(f"metadata server {self.host}: no answer in {seconds:g} s") from None
        except (http.client.HTTPException, ValueError) as fault:
            raise OSError(f"metadata server {self.host}: unreadable answer for {path}: {fault!r}") from None
        finally:
            connection.close()
