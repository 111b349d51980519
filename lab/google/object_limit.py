"""What Cloud Storage refuses and fake-gcs-server does not: writes too soon after one another, and removals of another generation."""

import collections
import http.client
import json
import re
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_NAME_IN_BODY = re.compile(rb'"name"\s*:\s*("(?:[^"\\]|\\.)*")')
_OBJECT = re.compile(r"/storage/v1/b/[^/]+/o/([^/?]+)")
_OF_ONE_HOP = ("connection", "content-length", "keep-alive", "transfer-encoding")


class ObjectLimit:
    """A proxy on 127.0.0.1 that answers 429 to a write that comes sooner than `write_seconds` after the last one to the same object.

    https://docs.cloud.google.com/storage/quotas#objects: one write per second to the same object name. Removing is no write, and answered 412
    where it asks for another generation than the one that is there.
    """

    def __init__(self, behind: int, write_seconds: float) -> None:
        self.refused = 0
        """How many writes were answered 429."""
        self._written: dict[str, float] = {}
        self._locks: collections.defaultdict[str, threading.Lock] = collections.defaultdict(threading.Lock)
        limit = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, format: str, *args: object) -> None:
                pass

            def setup(self) -> None:
                super().setup()
                self.server_side = http.client.HTTPConnection("127.0.0.1", behind, timeout=30)

            def finish(self) -> None:
                self.server_side.close()
                super().finish()

            def do_ANY(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                name = _changed_object(self.command, self.path, body)
                if name is None:
                    self.forward(body)
                    return
                with limit._locks[name]:
                    if self.command == "DELETE":
                        self.remove()
                    elif time.monotonic() - limit._written.get(name, float("-inf")) < write_seconds:
                        limit.refused += 1
                        self.answer(429, {"Content-Type": "text/plain"}, b"The object exceeded the rate limit for object mutation operations")
                    elif self.forward(body) < 300:
                        limit._written[name] = time.monotonic()

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_ANY

            def remove(self) -> None:
                target, _, query = self.path.partition("?")
                wanted = urllib.parse.parse_qs(query).get("ifGenerationMatch")
                self.server_side.request("GET", target)
                reply = self.server_side.getresponse()
                text = reply.read()
                found = json.loads(text)["generation"] if reply.status == 200 else None
                if wanted and found and wanted[0] != found:
                    self.answer(412, {"Content-Type": "text/plain"}, b"At least one of the pre-conditions you specified did not hold.")
                else:
                    self.forward(b"")

            def forward(self, body: bytes) -> int:
                headers = {name: value for name, value in self.headers.items() if name.lower() not in _OF_ONE_HOP}
                self.server_side.request(self.command, self.path, body or None, headers)
                reply = self.server_side.getresponse()
                self.answer(reply.status, dict(reply.getheaders()), reply.read())
                return reply.status

            def answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
                self.send_response_only(status)
                for name, value in headers.items():
                    if name.lower() not in _OF_ONE_HOP:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: object, client_address: object) -> None:
                """Whoever goes away in the middle is the one to know."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _changed_object(method: str, target: str, body: bytes) -> str | None:
    """Bucket and name of the object that a request writes or removes; None where it does neither."""
    parts = urllib.parse.urlsplit(target)
    bucket = re.search(r"/b/([^/]+)/o", parts.path)
    if bucket is None:
        return None
    if method == "POST" and parts.path.startswith("/upload/"):
        given = urllib.parse.parse_qs(parts.query).get("name")
        found = _NAME_IN_BODY.search(body)
        name = given[0] if given else json.loads(found[1]) if found else ""
        return f"{bucket[1]}/{name}"
    if method in ("DELETE", "PATCH", "PUT") and (found := _OBJECT.search(parts.path)):
        return f"{bucket[1]}/{urllib.parse.unquote(found[1])}"
    return None
