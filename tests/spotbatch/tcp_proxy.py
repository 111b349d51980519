"""A wire that a test can cut: connections stay open, and nothing passes, as when a network is gone."""

import asyncio
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager


class TcpProxy:
    """`cut()` holds back every byte in both directions, `mend()` ends what hung, as the network's end would, and lets new connections pass."""

    def __init__(self, behind: str) -> None:
        parts = urllib.parse.urlsplit(behind)
        self._behind, self._passes = (parts.hostname, parts.port), True
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def cut(self) -> None:
        self._passes = False

    def mend(self) -> None:
        self._loop.call_soon_threadsafe(self._drop)
        self._passes = True

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._end)
        self._thread.join()
        self._loop.close()

    def _drop(self) -> None:
        for writer in self._writers:
            writer.close()

    def _end(self) -> None:
        self._server.close()
        self._drop()
        # One more turn of the loop, in which the connections' readers see their end.
        self._loop.call_later(0.2, self._loop.stop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._behind)
        self._writers |= {writer, far_writer}
        await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                if self._passes:
                    writer.write(data)
                    await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()
            self._writers.discard(writer)


@contextmanager
def tcp_proxy(behind: str) -> Iterator[TcpProxy]:
    proxy = TcpProxy(behind)
    try:
        yield proxy
    finally:
        proxy.close()
