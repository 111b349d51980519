"""The stand-in language host obeys the engine at once, and never outlives it."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import language_pb2, language_pb2_grpc

from lab.places import CHECKOUT
from tests.lab.engine.conftest import processes_with, until

HOST = CHECKOUT / "lab" / "engine" / "language_host.py"
SLEEPER = "import subprocess\nsubprocess.run(['sleep', '60'])\n"


@contextmanager
def host(mark: str) -> Iterator[tuple[subprocess.Popen[bytes], language_pb2_grpc.LanguageRuntimeStub]]:
    """A host as the engine starts it: a pipe as standard input, an address as argument, a port on its first line."""
    command = [sys.executable, str(HOST), "127.0.0.1:1"]
    environment = {**os.environ, "LAB_TEST_MARK": mark}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, start_new_session=True) as process:
        assert process.stdout
        port = int(process.stdout.readline())
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            try:
                yield process, language_pb2_grpc.LanguageRuntimeStub(channel)
            finally:
                process.kill()


def run_plugin(stub: language_pb2_grpc.LanguageRuntimeStub, folder: Path, mark: str, program: str):
    (folder / "__main__.py").write_text(program)
    info = language_pb2.ProgramInfo(root_directory=str(folder), program_directory=str(folder), entry_point=".")
    environment = [f"{name}={value}" for name, value in {**os.environ, "LAB_TEST_MARK": mark}.items()]
    return stub.RunPlugin(language_pb2.RunPluginRequest(pwd=str(folder), args=["127.0.0.1:1"], env=environment, info=info, kind="resource"))


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda sign: sign.name)
def test_a_signal_ends_it_with_its_plugins_and_what_they_started(tmp_path: Path, sign: signal.Signals):
    mark = uuid.uuid4().hex
    with host(mark) as (process, stub):
        call = run_plugin(stub, tmp_path, mark, SLEEPER)
        assert until(lambda: len(processes_with(mark)) == 3, 20), "host, plugin, sleep"
        os.kill(process.pid, sign)
        assert process.wait(timeout=3) == (0 if sign != signal.SIGKILL else -signal.SIGKILL)
        assert until(lambda: not processes_with(mark), 3), f"left behind: {processes_with(mark)}"
        call.cancel()


def test_it_ends_when_the_process_that_started_it_ends(tmp_path: Path):
    mark = uuid.uuid4().hex
    parent = f"import subprocess, sys, time\nsubprocess.Popen([sys.executable, {str(HOST)!r}, 'x'], stdin=subprocess.PIPE)\ntime.sleep(60)\n"
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, env={**os.environ, "LAB_TEST_MARK": mark}) as process:
        assert process.stdout
        assert process.stdout.readline().strip().isdigit()
        process.kill()
        assert until(lambda: not processes_with(mark), 5), f"left behind: {processes_with(mark)}"


def test_a_plugin_ends_when_the_engine_lets_go_of_it(tmp_path: Path):
    mark = uuid.uuid4().hex
    with host(mark) as (_, stub):
        call = run_plugin(stub, tmp_path, mark, SLEEPER)
        assert until(lambda: len(processes_with(mark)) == 3, 20)
        call.cancel()
        assert until(lambda: len(processes_with(mark)) == 1, 3), "the host alone"


def test_what_a_plugin_prints_and_its_exit_code_are_handed_on(tmp_path: Path):
    mark = uuid.uuid4().hex
    with host(mark) as (_, stub):
        answers = list(run_plugin(stub, tmp_path, mark, "import sys\nprint('out')\nprint('err', file=sys.stderr)\nsys.exit(4)\n"))
        assert b"".join(answer.stdout for answer in answers) == b"out\n"
        assert b"".join(answer.stderr for answer in answers) == b"err\n"
        assert answers[-1].exitcode == 4


def test_cancel_ends_what_runs(tmp_path: Path):
    mark = uuid.uuid4().hex
    with host(mark) as (_, stub):
        call = run_plugin(stub, tmp_path, mark, SLEEPER)
        assert until(lambda: len(processes_with(mark)) == 3, 20)
        stub.Cancel(empty_pb2.Empty())
        assert until(lambda: len(processes_with(mark)) == 1, 3), "the host alone"
        assert list(call)[-1].exitcode == -signal.SIGKILL
