"""`systemctl` on a lab machine: asks the machine's own process (lab/machine/systemd.py), which runs the units."""

import json
import os
import socket
import sys
from typing import BinaryIO
from urllib.parse import urlsplit


def ask(path: str, body: object) -> dict:
    """POST to the machine's process, which listens where its metadata service does."""
    where = urlsplit(os.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"])
    content = json.dumps(body).encode()
    with socket.create_connection((where.hostname or "127.0.0.1", where.port or 80)) as connection:
        connection.sendall(b"POST %s HTTP/1.1\r\nhost: machine\r\ncontent-length: %d\r\n\r\n%s" % (path.encode(), len(content), content))
        reply = connection.makefile("rb")
        length = 0
        while line := _line(reply):
            if line.lower().startswith("content-length:"):
                length = int(line.partition(":")[2])
        return json.loads(reply.read(length))


def _line(reply: BinaryIO) -> str:
    return reply.readline().decode().strip()


if __name__ == "__main__":
    answer = ask("/_machine/systemctl", sys.argv[2:])
    if answer["text"]:
        print(answer["text"], file=sys.stderr if answer["code"] and sys.argv[2] != "is-active" else sys.stdout)
    sys.exit(answer["code"])
