import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from lab.machine.metadata_service import MetadataService

T = TypeVar("T")


@pytest.fixture
def service() -> MetadataService:
    return MetadataService({"meta-data/instance-id": "i-1", "meta-data/placement/region": "us-east-1", "meta-data/placement/zone": "b"})


def token(service: MetadataService, seconds: str = "60") -> str:
    status, _, body = service.answer("PUT", "/latest/api/token", {"x-aws-ec2-metadata-token-ttl-seconds": seconds})
    assert status == 200
    return body.decode()


def get(service: MetadataService, path: str, token: str | None = None) -> tuple[int, str]:
    status, _, body = service.answer("GET", f"/latest/{path}", {} if token is None else {"x-aws-ec2-metadata-token": token})
    return status, body.decode()


def test_nothing_is_told_without_a_valid_token(service: MetadataService):
    assert get(service, "meta-data/instance-id") == (401, "")
    assert get(service, "meta-data/instance-id", "made-up") == (401, "")
    assert get(service, "meta-data/instance-id", token(service)) == (200, "i-1")


def test_a_token_ends_with_its_time_to_live():
    now = 0.0
    service = MetadataService({"meta-data/instance-id": "i-1"}, clock=lambda: now)
    short = token(service, "5")
    now = 4.9
    assert get(service, "meta-data/instance-id", short) == (200, "i-1")
    now = 5.1
    assert get(service, "meta-data/instance-id", short) == (401, "")


def test_every_reply_says_how_long_the_token_still_lives(service: MetadataService):
    _, headers, _ = service.answer("GET", "/latest/meta-data/instance-id", {"x-aws-ec2-metadata-token": token(service, "600")})
    assert 590 <= int(headers["x-aws-ec2-metadata-token-ttl-seconds"]) <= 600


@pytest.mark.parametrize("seconds", ["", "0", "21601", "soon"])
def test_a_token_needs_a_time_to_live_within_six_hours(service: MetadataService, seconds: str):
    assert service.answer("PUT", "/latest/api/token", {"x-aws-ec2-metadata-token-ttl-seconds": seconds})[0] == 400


def test_a_token_asked_for_through_a_proxy_is_refused(service: MetadataService):
    headers = {"x-aws-ec2-metadata-token-ttl-seconds": "60", "x-forwarded-for": "10.0.0.1"}
    assert service.answer("PUT", "/latest/api/token", headers)[0] == 403


def test_what_is_not_there_is_a_404_until_the_cloud_sets_it(service: MetadataService):
    key = token(service)
    assert get(service, "meta-data/spot/instance-action", key)[0] == 404
    service.change({"meta-data/spot/instance-action": "{}"})
    assert get(service, "meta-data/spot/instance-action", key) == (200, "{}")
    service.change({"meta-data/spot/instance-action": None})
    assert get(service, "meta-data/spot/instance-action", key)[0] == 404


def test_folders_list_what_they_hold(service: MetadataService):
    assert get(service, "meta-data/", token(service)) == (200, "instance-id\nplacement/")
    assert get(service, "meta-data/placement", token(service)) == (200, "region\nzone")


def test_version_one_answers_only_where_the_template_allows_it():
    service = MetadataService({"meta-data/instance-id": "i-1"}, tokens_required=False)
    assert get(service, "meta-data/instance-id") == (200, "i-1")


def served(service: MetadataService, story: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[T]]) -> T:
    """Run a story over a real connection."""

    async def run() -> T:
        listener = socket.create_server(("127.0.0.1", 0))
        async with await service.serve(listener):
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            try:
                return await story(reader, writer)
            finally:
                writer.close()

    return asyncio.run(run())


def test_one_connection_carries_many_requests(service: MetadataService):
    async def twice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> list[bytes]:
        lines = []
        for _ in range(2):
            writer.write(b"PUT /latest/api/token HTTP/1.1\r\nHost: x\r\nX-Aws-Ec2-Metadata-Token-Ttl-Seconds: 60\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            lines.append(head.split(b"\r\n")[0])
        return lines

    assert served(service, twice) == [b"HTTP/1.1 200 OK"] * 2


def test_what_is_no_http_ends_the_connection_and_not_the_service(service: MetadataService):
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(b"nonsense\r\n\r\n")
        return await reader.read()

    assert served(service, nonsense) == b""
