"""`python -m lab.provider`: print a port and serve the AWS stand-in on it until the engine ends.

The cloud is the one that `AWS_ENDPOINT_URL` names; without it nothing is served, so that a lab never reaches a real account.
"""

import os
import signal
import sys
import threading
import time
from concurrent import futures

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from lab.provider.servicer import StandInProvider

_MESSAGE_BYTES = 400 << 20
_THREADS = 16


def serve() -> None:
    if not os.environ.get("AWS_ENDPOINT_URL"):
        sys.exit("lab.provider: AWS_ENDPOINT_URL is not set; allowed: the address of a local cloud, http://127.0.0.1:PORT")
    sizes = [("grpc.max_receive_message_length", _MESSAGE_BYTES), ("grpc.max_send_message_length", _MESSAGE_BYTES)]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=_THREADS), options=sizes)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(StandInProvider(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


def _end_with_the_engine(engine: int) -> None:
    while os.getppid() == engine:
        time.sleep(1)
    os._exit(0)


if __name__ == "__main__":
    # The engine waits for its plugins after SIGINT: anything but an exit at once makes every command slow.
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    threading.Thread(target=_end_with_the_engine, args=(os.getppid(),), daemon=True).start()
    serve()
