"""`poweroff`, `shutdown` and `halt` on a lab machine: units are stopped, and the instance is terminated.

`shutdown +M` waits M minutes and `shutdown -c` cancels, as systemd's own.
"""

import json
import os
import re
import socket
import sys
from urllib.parse import urlsplit


def seconds(command: str, words: list[str]) -> float | None:
    """When to go; None: cancel. `shutdown` alone means in a minute. Raises ValueError."""
    if "-c" in words:
        return None
    times = [word for word in words if not word.startswith("-")]
    if command != "shutdown" or times[:1] == ["now"]:
        return 0.0
    if not times:
        return 60.0
    if re.fullmatch(r"\+?\d+", times[0]) is None:
        raise ValueError(f"Failed to parse time specification: {times[0]} (the lab's {command} knows now, +M and M)")
    return 60.0 * int(times[0])


def ask(when: float | None) -> None:
    """Tell the machine's process, which listens where its metadata service does."""
    where = urlsplit(os.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"])
    content = json.dumps({"seconds": when}).encode()
    with socket.create_connection((where.hostname or "127.0.0.1", where.port or 80)) as connection:
        connection.sendall(b"POST /_machine/poweroff HTTP/1.1\r\nhost: machine\r\ncontent-length: %d\r\n\r\n%s" % (len(content), content))
        connection.recv(1)


if __name__ == "__main__":
    try:
        ask(seconds(sys.argv[1], sys.argv[2:]))
    except ValueError as fault:
        sys.exit(str(fault))
