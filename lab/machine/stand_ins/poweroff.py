"""`poweroff`, `shutdown` and `halt` on a lab machine: units are stopped, and the instance is terminated."""

import os
import socket
from urllib.parse import urlsplit

if __name__ == "__main__":
    where = urlsplit(os.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"])
    with socket.create_connection((where.hostname or "127.0.0.1", where.port or 80)) as connection:
        connection.sendall(b"POST /_machine/poweroff HTTP/1.1\r\nhost: machine\r\ncontent-length: 0\r\n\r\n")
        connection.recv(1)
