"""The local cloud's process: MiniStack with the market inside, on one loopback port. Run by the Python of MiniStack's own virtual environment.

`python -m lab.cloud.server SETTINGS` where SETTINGS is a JSON object; see `main`. Only `LocalCloud` and `make lab` start it.
"""
# pyright: reportMissingImports=false

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from lab.machine.processes import end_below

OWNER_CHECK_SECONDS = 0.25


async def serve(listener: socket.socket, settings: dict[str, Any]) -> None:
    """Answer until SIGTERM, or until the owner has gone; then end every machine and every Lambda worker."""
    from hypercorn.asyncio import serve as hypercorn
    from hypercorn.config import Config
    from ministack import app as ministack

    from lab.cloud.market.market import Market, call
    from lab.cloud.market.market_settings import MarketSettings

    folder = Path(settings["folder"])
    market = Market(
        MarketSettings(
            folder=folder / "machines",
            toolbox=Path(settings["toolbox"]),
            python=Path(settings["python"]),
            endpoint=settings["endpoint"],
            notice_seconds=settings["notice_seconds"],
            minute_seconds=settings["minute_seconds"],
        )
    )
    for kind, zone, depth in settings["pools"]:
        market.pools.set_depth((kind, zone), depth)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/_lab/"):
            await _send(send, *call(market, scope["path"].removeprefix("/_lab/"), json.loads(await _body(receive) or b"{}")))
        elif scope["type"] == "http" and (claim := market.claim(_headers(scope))):
            service, region = claim
            body = await _body(receive)
            await _send(send, *service.reply(region, scope["method"], scope["path"], scope["query_string"].decode(), _headers(scope), body))
        elif scope["type"] == "lifespan":

            async def tell(message: Any) -> None:
                if message["type"] == "lifespan.startup.complete":
                    _publish_address(folder, settings)
                await send(message)

            await ministack.app(scope, receive, tell)
        else:
            # Policies that demand TLS must let loopback in: clients reach the real endpoints by https.
            await ministack.app({**scope, "headers": [*scope["headers"], (b"x-forwarded-proto", b"https")]}, receive, send)

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    tasks = [asyncio.create_task(market.scaling.watch()), asyncio.create_task(_watch_owner(settings.get("owner"), stop))]
    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.loglevel = "WARNING"
    config.keep_alive_timeout = 75
    config.graceful_timeout = 0.2
    config.shutdown_timeout = 1.0
    try:
        await hypercorn(application, config, shutdown_trigger=stop.wait)  # type: ignore[arg-type]
    finally:
        for task in tasks:
            task.cancel()
        market.instances.kill_all()


async def _watch_owner(owner: int | None, stop: asyncio.Event) -> None:
    while owner is not None and os.getppid() == owner:
        await asyncio.sleep(OWNER_CHECK_SECONDS)
    if owner is not None:
        stop.set()


def _headers(scope: Any) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


async def _send(send: Any, status: int, reply: Any) -> None:
    content = json.dumps(reply).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
    if status >= 400 and "__type" in (reply or {}):
        headers.append((b"x-amzn-errortype", reply["__type"].encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def _body(receive: Any) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


def _publish_address(folder: Path, settings: dict[str, Any]) -> None:
    """Write cloud.json at once and whole: whoever waits for it may connect."""
    draft = folder / "cloud.json.new"
    draft.write_text(json.dumps({"pid": os.getpid(), "endpoint": settings["endpoint"], "auth": settings["auth"]}))
    draft.replace(folder / "cloud.json")


def main(settings: dict[str, Any]) -> None:
    """`settings`: folder, port (0: any free one), auth, owner (pid, or null), python, toolbox, pools ([type, zone, depth]) and
    the lengths notice_seconds and minute_seconds.
    """
    folder = Path(settings["folder"])
    listener = socket.create_server(("127.0.0.1", settings["port"]), backlog=256)
    port = listener.getsockname()[1]
    settings["endpoint"] = f"http://127.0.0.1:{port}"
    # Read by MiniStack when it is imported. It would bind all interfaces and open MQTT and SFTP ports by itself.
    os.environ |= {
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
        "AUTH": "true" if settings["auth"] else "false",
        "DOCKER_HOST": f"unix://{folder}/no-docker.sock",
    }
    try:
        asyncio.run(serve(listener, settings))
    finally:
        end_below(os.getpid())
        with contextlib.suppress(OSError):
            (folder / "cloud.json").unlink()
        # MiniStack's worker threads would hold the interpreter for seconds.
        sys.stdout.flush()
        os._exit(0)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
