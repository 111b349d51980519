"""The instance metadata service of one machine (IMDSv2), on a loopback port instead of 169.254.169.254."""

import asyncio
import secrets
import socket
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus

TOKEN_HEADER = "x-aws-ec2-metadata-token"
TTL_HEADER = "x-aws-ec2-metadata-token-ttl-seconds"
LONGEST_TOKEN_SECONDS = 21600
"""https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html"""

Reply = tuple[int, dict[str, str], bytes]
Local = Callable[[bytes], Awaitable[bytes]]


class MetadataService:
    """Answers for what stands under `/latest/`, as EC2 does: 404 for what is not there, 401 without a valid token, listings for folders.

    `values` maps paths such as `meta-data/instance-id` to texts; the cloud changes them while the machine runs.
    `local` are routes of the lab itself, for the stand-ins on this machine.
    Does not prove: hop limits, throttling, what a network namespace or a firewall keeps from a process.
    """

    def __init__(
        self,
        values: dict[str, str],
        *,
        tokens_required: bool = True,
        local: dict[str, Local] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.values = values
        self._tokens_required = tokens_required
        self._local = local or {}
        self._clock = clock
        self._tokens: dict[str, float] = {}

    async def serve(self, listener: socket.socket) -> asyncio.Server:
        """Start answering on a socket that already listens."""
        return await asyncio.start_server(self._connection, sock=listener)

    def change(self, values: dict[str, str | None]) -> None:
        """Set texts, or remove them (None)."""
        for path, text in values.items():
            if text is None:
                self.values.pop(path, None)
            else:
                self.values[path] = text

    def answer(self, method: str, path: str, headers: dict[str, str]) -> Reply:
        """The reply to one request; header names in lower case."""
        if path == "/latest/api/token":
            return self._token(headers) if method == "PUT" else (405, {"allow": "PUT"}, b"")
        if method != "GET":
            return 405, {"allow": "GET"}, b""
        extra: dict[str, str] = {}
        token = headers.get(TOKEN_HEADER)
        if token is not None or self._tokens_required:
            left = self._tokens.get(token or "", 0.0) - self._clock()
            if left <= 0:
                self._tokens.pop(token or "", None)
                return 401, {}, b""
            extra[TTL_HEADER] = str(int(left))
        text = self._text(path.removeprefix("/latest/").removeprefix("/"))
        return (404, extra, b"") if text is None else (200, extra, text.encode())

    def _token(self, headers: dict[str, str]) -> Reply:
        # EC2 refuses a token to what came through a proxy: it would leave the machine.
        if "x-forwarded-for" in headers:
            return 403, {}, b""
        seconds = headers.get(TTL_HEADER, "")
        if not seconds.isdigit() or not 1 <= int(seconds) <= LONGEST_TOKEN_SECONDS:
            return 400, {}, b""
        token = secrets.token_urlsafe(40)
        self._tokens[token] = self._clock() + int(seconds)
        return 200, {TTL_HEADER: seconds}, token.encode()

    def _text(self, path: str) -> str | None:
        if (text := self.values.get(path)) is not None:
            return text
        folder = path.rstrip("/") + "/" if path else ""
        names = {rest[0] + ("/" if rest[1] else "") for key in self.values if key.startswith(folder) for rest in [key[len(folder) :].partition("/")]}
        return "\n".join(sorted(names)) if names else None

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await _request(reader)) is not None:
                method, path, headers, body = request
                if local := self._local.get(path):
                    status, extra, content = 200, {}, await local(body)
                else:
                    status, extra, content = self.answer(method, path, headers)
                lines = [
                    f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
                    "server: EC2ws",
                    f"content-length: {len(content)}",
                    "content-type: text/plain",
                ]
                lines += [f"{name}: {value}" for name, value in extra.items()]
                writer.write("\r\n".join([*lines, "", ""]).encode() + content)
                await writer.drain()
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()


async def _request(reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str], bytes] | None:
    """Method, path, headers and body of the next request on a connection; None when the client has hung up."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *rest = head.rstrip().split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return method, target.partition("?")[0], headers, body
