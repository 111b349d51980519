"""`python -m lab.machine FD`: be a machine. The first line on standard input is the order, FD an inherited listening socket for its metadata.

Only the market starts this; it closes standard input, or dies, and the machine is gone.
"""

import asyncio
import json
import socket
import sys

from lab.machine.machine import Machine


async def main() -> None:
    orders = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    first = json.loads(await orders.readline())
    await Machine(first, orders, socket.socket(fileno=int(sys.argv[1]))).run()


if __name__ == "__main__":
    asyncio.run(main())
