"""Whatever stands in one record or one payload: the others go on, and nothing ends in a crash that comes again and again."""

import contextlib
import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from spotbatch.bad_record import BadRecord
from spotbatch.checkpoint import checksum
from spotbatch.ledger import MAX_FAILURES, Refused
from spotbatch.runner import Runner
from spotbatch.signal_board import SignalBoard
from tests.spotbatch.clock import Clock
from tests.spotbatch.scheduled_machines import MEMORY
from tests.spotbatch.test_odd_records import machine, quick, task, values
from tests.spotbatch.test_runner import Job
from tests.spotbatch.world import RUN, World

ADDRESS = ("kind", "key", "run", "task", "version", "nonce")
"""What the store itself goes by."""
thorough = settings(quick, max_examples=150)


@contextlib.contextmanager
def a_world():
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        yield World(Path(name))


def spoil(world, key, fields):
    record = world.store.read(key)
    world.store.swap({**record, **fields, "version": record["version"] + 1}, record["version"])


def odd_fields(kind):
    return st.dictionaries(st.sampled_from(sorted(set(kind.to_record()) - set(ADDRESS))), values, min_size=1, max_size=3)


@thorough
@given(fields=odd_fields(task), running=st.booleans())
def test_an_odd_task_holds_up_no_other(fields, running):
    with a_world() as world:
        world.submit(items=20)
        gone = world.machine()
        for name in ("000000", "000001") if running else ():
            world.claimed(gone, name)
        # As the store indexes it: by a text.
        spoil(world, "task/run/000000", {**fields, **{name: "odd" for name in ("state", "machine") if name in fields}})
        world.clock.passes(1000)
        world.sweep()
        healthy = world.machine("m2")
        with contextlib.suppress(BadRecord, Refused):
            world.ledger.claim(RUN, "000000", healthy)
        assert world.ledger.finish(world.saved(world.claimed(healthy, "000001"), 10)).state == "done"


@thorough
@given(fields=odd_fields(machine))
def test_an_odd_machine_loses_no_task_and_its_agent_writes_it_anew(fields):
    with a_world() as world:
        world.submit()
        world.claimed(world.machine("m1"))
        spoil(world, "machine/m1", fields)
        # Either it is understood, and beats, or its agent registers again, or it is gone.
        again = world.machine("m1", agent="agent 2")
        known = world.registered("m1")
        assert known is not None and known.agent == "agent 2"
        world.sweep()
        world.clock.passes(1000)
        world.sweep()
        assert world.task().state == "queued"
        if known.state == "active":
            with contextlib.suppress(Refused):
                world.ledger.claim(RUN, "000000", again)


@thorough
@given(content=st.binary(max_size=200) | st.sampled_from([b"[]", b'{"state":1,"results":[]}', b'{"state":"?","results":[0,1,2,3]}', b"9" * 5000]))
def test_an_odd_checkpoint_with_a_fitting_checksum_ends_its_task_with_the_reason(content):
    with a_world() as world:
        world.submit()
        owner = world.machine()
        saved = world.saved(world.claimed(owner), 4)
        odd = replace(saved.checkpoints[0], inline="", key="runs/run/tasks/000000/odd", sha256=checksum(content), size=len(content))
        world.payloads.put(odd.key, content)
        spoil(world, saved.key, {"checkpoints": [odd.to_record()]})
        runner = Runner(world.ledger, Job(Clock()), SignalBoard.make(1), 0)
        runner.run(world.task())
        while world.task().state == "queued":
            runner.run(world.claimed(owner))
        found = world.task()
        assert found.state == "dead" and found.attempts["failed"] == MAX_FAILURES and "checkpoint 1-0" in found.traceback


@thorough
@given(content=st.binary(max_size=200), torn=st.integers(0, 3_000))
def test_an_odd_or_torn_checkpoint_is_damaged_and_its_items_run_again(content, torn):
    with a_world() as world:
        world.submit()
        owner = world.machine()
        saved = world.saved(world.claimed(owner), 4, text='"' + "x" * 600 + '"')
        key = saved.checkpoints[0].key
        path = world.payloads.folder / key
        path.write_bytes(content or path.read_bytes()[:-1][:torn])
        job = Job(Clock())
        Runner(world.ledger, job, SignalBoard.make(1), 0).run(world.task())
        assert (world.task().state, job.ran) == ("done", list(range(10)))
