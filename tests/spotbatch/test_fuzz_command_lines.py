"""Whatever is typed is done, or refused in words: no traceback, and no status but those that the command line promises."""

import contextlib
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotbatch import agent, run_program
from spotbatch.clouds import BadQueueName, connect
from spotbatch.protocols import StoreError
from spotbatch.tools import cli
from tests.spotbatch.scheduled_machines import MEMORY
from tests.spotbatch.test_odd_records import quick

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
flags = st.sampled_from(["--queue", "--processes", "--lease", "--until-empty", "--checkpoint-dir", "--signal", "--grace", "--run", "--", "-x"])
words = st.lists(flags | texts | st.sampled_from(["0", "-1", "1e999", "nan", "job:Job", "local:", "ftp://queue"]), max_size=6)


def refused(command, arguments: list[str]) -> str:
    """What it says; it must not come so far as to start anything."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        try:
            status = command(arguments)
        except SystemExit as end:
            status = end.code
    assert status == 2 or (status == 0 and {"-h", "--help"} & set(arguments)), (status, said.getvalue())
    return said.getvalue()


@quick
@given(words=words, bad=st.sampled_from([["--processes", "0"], ["--lease", "nan"], ["--queue", "ftp://queue"], ["--queue", "local:"]]))
def test_a_worker_command_line_with_a_fault_is_refused_in_words(words, bad):
    told = refused(agent.main, [*(word for word in words if word not in ("--", "-h", "--help")), *bad])
    assert "Traceback" not in told and "error" in told


@quick
@given(words=words)
def test_a_run_command_line_without_a_command_is_refused_in_words(words):
    told = refused(run_program.main, [word for word in words if word != "--"])
    assert "Traceback" not in told and told


@quick
@given(queue=texts | st.sampled_from(["local:", "http://", "https://sqs", "local:/proc/none", "https://queue.example/1/2"]))
def test_any_queue_name_is_connected_to_or_refused_by_name(queue):
    with pytest.MonkeyPatch.context() as here, tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        here.chdir(folder)
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            here.delenv(name, raising=False)
        try:
            connect(queue)
        except (BadQueueName, StoreError) as fault:
            assert queue in str(fault) or repr(queue) in str(fault)
        assert not list(Path(folder).iterdir()) or queue.startswith("local:")


@quick
@given(
    command=st.sampled_from(["submit", "status", "results", "cancel", "retry", "remove", "explain", "savings", "convert"]),
    given_words=st.lists(
        texts | st.sampled_from(["--run", "--items", "--items-per-task", "--dead", "--json", "--types", "0", "nan", "/"]), max_size=5
    ),
)
def test_any_other_command_line_ends_in_words(command, given_words):
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as here, tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        here.chdir(folder)
        here.setenv("SPOTBATCH_QUEUE", f"local:{folder}/queue")
        here.setattr("sys.argv", ["spotbatch", command, *given_words])
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said), pytest.raises(SystemExit) as end:
            cli.main()
            raise SystemExit(0)
    assert end.value.code in (0, 1, 2) and "Traceback" not in said.getvalue(), (end.value.code, said.getvalue())
