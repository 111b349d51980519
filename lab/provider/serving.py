"""How a stand-in provider runs as a plugin of the engine."""

import os
import signal
import threading
import time
from concurrent import futures

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

_MESSAGE_BYTES = 400 << 20
_THREADS = 16


def serve(provider: provider_pb2_grpc.ResourceProviderServicer) -> None:
    """Print a port and answer on it until the engine ends, however it ends."""
    # The engine waits for its plugins after SIGINT: anything but an exit at once makes every command slow.
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    threading.Thread(target=_end_with_the_engine, args=(os.getppid(),), daemon=True).start()
    sizes = [("grpc.max_receive_message_length", _MESSAGE_BYTES), ("grpc.max_send_message_length", _MESSAGE_BYTES)]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=_THREADS), options=sizes)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


def _end_with_the_engine(engine: int) -> None:
    while os.getppid() == engine:
        time.sleep(1)
    os._exit(0)
