"""A stand-in for `pulumi-language-python`, for command lines that were built without the official one.

The engine starts it with its own address, reads a port from its first line, and then calls it over gRPC: run a program, run a
plugin that is written in Python (components, policy packs). Programs run in the interpreter that runs this file.
It stops by SIGINT, which it must obey at once because the engine waits for it, or by the end of the engine.
"""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent import futures
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

HERE = Path(__file__).resolve().parent
TOLD = 32
"""Exit code of a program whose failure the user has already been told (see program.py)."""
_MESSAGE_BYTES = 400 << 20


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """Runs Python programs and plugins for the engine at `engine_address`; all of them end with this process (see leash.py)."""

    def __init__(self, engine_address: str) -> None:
        self._engine_address = engine_address
        self._children: set[subprocess.Popen[bytes]] = set()
        self._leash, self._held_end = os.pipe()

    def Handshake(self, request: Any, context: Any) -> language_pb2.LanguageHandshakeResponse:
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=version("pulumi"))

    def About(self, request: Any, context: Any) -> language_pb2.AboutResponse:
        return language_pb2.AboutResponse(executable=sys.executable, version=sys.version.split()[0])

    def GetRequiredPlugins(self, request: Any, context: Any) -> language_pb2.GetRequiredPluginsResponse:
        return language_pb2.GetRequiredPluginsResponse()

    def GetRequiredPackages(self, request: Any, context: Any) -> language_pb2.GetRequiredPackagesResponse:
        return language_pb2.GetRequiredPackagesResponse()

    def GetProgramDependencies(self, request: Any, context: Any) -> language_pb2.GetProgramDependenciesResponse:
        return language_pb2.GetProgramDependenciesResponse()

    def RuntimeOptionsPrompts(self, request: Any, context: Any) -> language_pb2.RuntimeOptionsResponse:
        return language_pb2.RuntimeOptionsResponse()

    def InstallDependencies(self, request: Any, context: Any) -> Iterator[language_pb2.InstallDependenciesResponse]:
        yield from ()

    def Cancel(self, request: Any, context: Any) -> empty_pb2.Empty:
        for child in list(self._children):
            _kill_group(child)
        return empty_pb2.Empty()

    def Run(self, request: language_pb2.RunRequest, context: Any) -> language_pb2.RunResponse:
        """Run a Pulumi program to its end. `bail`: it failed, and the engine shall add nothing to what the program said."""
        folder = request.info.program_directory or request.pwd
        call = {
            "program": str((Path(folder) / (request.info.entry_point or ".")).resolve()),
            "pwd": request.pwd or folder,
            "root": request.info.root_directory or folder,
            "args": list(request.args),
            "project": request.project,
            "stack": request.stack,
            "organization": request.organization or "organization",
            "config": dict(request.config),
            "secret_keys": list(request.configSecretKeys),
            "parallel": request.parallel,
            "preview": request.dryRun,
            "monitor": request.monitor_address,
            "engine": self._engine_address,
        }
        with self._child([str(HERE / "program.py")], stdin=subprocess.PIPE) as child:
            child.communicate(json.dumps(call).encode())
        if child.returncode in (0, TOLD):
            return language_pb2.RunResponse(bail=child.returncode == TOLD)
        ended = f"signal {-child.returncode}" if child.returncode < 0 else f"code {child.returncode}"
        return language_pb2.RunResponse(error=f"the program ended with exit {ended}")

    def RunPlugin(self, request: language_pb2.RunPluginRequest, context: Any) -> Iterator[language_pb2.RunPluginResponse]:
        """Run a plugin that is written in Python, hand on what it prints, and end it when the engine lets go of the call."""
        folder = request.info.program_directory
        command = ["-m", "pulumi.policy", *request.args[:1], folder] if request.kind == "analyzer" else [folder, *request.args]
        environment = dict(entry.split("=", 1) for entry in request.env) or None
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with self._child(command, cwd=request.pwd or None, env=environment, **pipes) as child:
            context.add_callback(lambda: _kill_group(child))
            printed: queue.Queue[tuple[str, bytes]] = queue.Queue()
            for name in ("stdout", "stderr"):
                threading.Thread(target=_read, args=(getattr(child, name), name, printed), daemon=True).start()
            still_open = 2
            while still_open:
                name, text = printed.get()
                if text:
                    yield language_pb2.RunPluginResponse(**{name: text})  # pyright: ignore[reportArgumentType]
                else:
                    still_open -= 1
            yield language_pb2.RunPluginResponse(exitcode=child.wait())

    @contextlib.contextmanager
    def _child(self, command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
        """A Python program in a session of its own, that no way of ending this process leaves behind."""
        leashed = [sys.executable, "-u", str(HERE / "leash.py"), str(self._leash), *command]
        child: subprocess.Popen[Any] = subprocess.Popen(leashed, start_new_session=True, pass_fds=[self._leash], **options)
        self._children.add(child)
        try:
            yield child
        finally:
            _kill_group(child)
            child.wait()
            self._children.discard(child)


def _read(pipe: IO[bytes], name: str, printed: queue.Queue[tuple[str, bytes]]) -> None:
    while text := pipe.read1(4096):  # pyright: ignore[reportAttributeAccessIssue]
        printed.put((name, text))
    printed.put((name, b""))


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


def _exit_at_once(*_: object) -> None:
    os._exit(0)


def main() -> None:
    engine_address = next((argument for argument in sys.argv[1:] if not argument.startswith("-")), "")
    signal.signal(signal.SIGINT, _exit_at_once)
    signal.signal(signal.SIGTERM, _exit_at_once)
    options = [("grpc.max_receive_message_length", _MESSAGE_BYTES), ("grpc.max_send_message_length", _MESSAGE_BYTES)]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32), options=options)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(LanguageHost(engine_address), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    # The engine holds the other end of standard input for as long as it lives, however it ends.
    while os.read(0, 4096):
        pass
    _exit_at_once()


if __name__ == "__main__":
    main()
