"""A machine's metadata service that a test sets, and makes go wrong."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MACHINE = "i-0123456789abcdef0"
AT_REST = {
    "instance-id": MACHINE,
    "instance-type": "m5.xlarge",
    "instance-life-cycle": "spot",
    "placement/availability-zone": "us-east-1b",
    "events/maintenance/scheduled": "[]",
}


class Service:
    """A metadata service: `texts` by path; `refuse(path)` may say what goes wrong with a request."""

    def __init__(self) -> None:
        self.texts = dict(AT_REST)
        self.asked: list[str] = []
        self.tokens: list[str] = []
        self.refuse: Callable[[str], int | str | None] = lambda path: None
        self.released = threading.Event()
        service = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                pass

            def do_PUT(self) -> None:
                service.tokens.append(f"token-{len(service.tokens)}")
                assert 1 <= int(self.headers["X-aws-ec2-metadata-token-ttl-seconds"]) <= 21600
                self.reply("token", service.tokens[-1])

            def do_GET(self) -> None:
                path = self.path.removeprefix("/latest/").removeprefix("meta-data/")
                service.asked.append(path)
                if self.headers["X-aws-ec2-metadata-token"] not in service.tokens[-1:]:
                    self.send_response(401)
                    self.end_headers()
                    return
                self.reply(path, service.texts.get(path))

            def reply(self, path: str, text: str | None) -> None:
                fault = service.refuse(path)
                if fault == "hang":
                    service.released.wait(10)
                elif fault == "garbage":
                    self.wfile.write(b"\x16\x03\x01 this is not HTTP\r\n\r\n")
                elif isinstance(fault, int):
                    self.send_response(fault)
                    self.end_headers()
                else:
                    self.send_response(404 if text is None else 200)
                    self.end_headers()
                    self.wfile.write((text or "").encode())

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"


@contextmanager
def metadata_service() -> Iterator[Service]:
    service = Service()
    thread = threading.Thread(target=service.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield service
    finally:
        service.released.set()
        service.server.shutdown()
        thread.join()
        service.server.server_close()
