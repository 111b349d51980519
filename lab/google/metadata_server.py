"""The metadata server of a Compute Engine machine, which a test or a rehearsal sets, and makes go wrong."""

import threading
import time
import urllib.parse
import zlib
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

AT_REST = {
    "instance/id": "4520031799277581759",
    "instance/zone": "projects/123456789012/zones/us-central1-a",
    "instance/machine-type": "projects/123456789012/machineTypes/n2-standard-4",
    "instance/scheduling/preemptible": "TRUE",
    "instance/preempted": "FALSE",
}


class MetadataServer:
    """Serves `texts` on 127.0.0.1 for one block, with etags and long polls as Google's does.

    https://docs.cloud.google.com/compute/docs/metadata/querying-metadata#waitforchange
    `refuse(path)` may say what goes wrong with a request: a status, `empty`, `hang`, `cut`, or None.
    """

    def __init__(self) -> None:
        self._texts = dict(AT_REST)
        self._changed = threading.Condition()
        self._ended = False
        self.asked: list[str] = []
        """Every request, oldest first."""
        self.refuse: Callable[[str], int | str | None] = lambda path: None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            disable_nagle_algorithm = True

            def log_message(self, format: str, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                outer.asked.append(self.path)
                parts = urllib.parse.urlsplit(self.path)
                path = parts.path.removeprefix("/computeMetadata/v1/")
                query = dict(urllib.parse.parse_qsl(parts.query))
                fault = outer.refuse(path)
                if self.headers["Metadata-Flavor"] != "Google":
                    fault = 403
                if fault == "cut":
                    return
                if fault == "hang":
                    outer._wait(lambda: False, 30)
                    return
                if query.get("wait_for_change") == "true":
                    last = query.get("last_etag") or _etag(outer._texts.get(path))
                    outer._wait(lambda: _etag(outer._texts.get(path)) != last, float(query.get("timeout_sec", 300)))
                text = outer._texts.get(path)
                self.send_response(fault if isinstance(fault, int) else 404 if text is None else 200)
                self.send_header("Metadata-Flavor", "Google")
                if text is not None and fault is None:
                    self.send_header("ETag", _etag(text))
                self.end_headers()
                if text is not None and fault is None:
                    self.wfile.write(text.encode())

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        """For `GCE_METADATA_HOST`."""

    def set(self, path: str, text: str) -> float:
        """Change what stands at a path; the moment, by `time.monotonic()`."""
        with self._changed:
            self._texts[path] = text
            self._changed.notify_all()
            return time.monotonic()

    def etag(self, path: str) -> str:
        """What stands at a path, as long polls name it."""
        return _etag(self._texts.get(path))

    def _wait(self, condition: Callable[[], bool], seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._ended or condition(), seconds)

    def __enter__(self) -> "MetadataServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _etag(text: str | None) -> str:
    return f"{zlib.crc32((text or '').encode()):016x}"
