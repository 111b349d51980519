import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FaultyService:
    """An AWS endpoint that does to each request what `script` says next, and forwards when nothing is left to do.

    `hang`: no answer at all. `swallow`: forwarded, and the answer lost. `(status, body)`: answered so, not forwarded.
    """

    behind: str
    script: list[str | tuple[int, str]] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    """What was asked, oldest first: the target action or the method."""
    dated: bool = True
    endpoint: str = ""


@contextmanager
def faulty_service(behind: str = "") -> Iterator[FaultyService]:
    service = FaultyService(behind)
    released = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_ANY(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            service.seen.append(self.headers.get("X-Amz-Target", self.command).rsplit(".", 1)[-1])
            what = service.script.pop(0) if service.script else "forward"
            if what == "hang":
                released.wait(30)
                self.close_connection = True
                return
            if isinstance(what, tuple):
                self.answer(what[0], what[1].encode(), {"Content-Type": "application/x-amz-json-1.0"})
                return
            status, headers, content = self.forward(body)
            if what == "swallow":
                self.close_connection = True
                return
            self.answer(status, content, headers)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_ANY

        def forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection", "expect")}
            request = urllib.request.Request(service.behind + self.path, data=body or None, headers=headers, method=self.command)
            try:
                with urllib.request.urlopen(request, timeout=10) as reply:
                    return reply.status, dict(reply.headers), reply.read()
            except urllib.error.HTTPError as fault:
                with fault:
                    return fault.code, dict(fault.headers), fault.read()

        def answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
            self.send_response_only(status)
            if service.dated:
                self.send_header("Date", self.date_time_string(int(time.time())))
            for name, value in headers.items():
                if name.lower() not in ("content-length", "transfer-encoding", "connection", "date"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    service.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield service
    finally:
        released.set()
        server.shutdown()
        thread.join()
        server.server_close()
